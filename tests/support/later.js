// What a browser promises for some time later, and mostly keeps at once, comes a good while later: events of details,
// dialogs and readers, frames, observers, answers of fetch and of htmx's requests. So a test is found that reads without
// waiting. A function of the milliseconds; it runs before the scripts of a page.
(ms) => {
  "use strict";
  const LATE = new Set(["toggle", "close", "load", "loadend"]);
  const late = (heard) => typeof heard === "function" ? function (...args) { setTimeout(() => heard.apply(this, args), ms); } : heard;
  const within = (target) => target instanceof Window;  // htmx and we begin at a window's own load

  const listen = EventTarget.prototype.addEventListener;
  EventTarget.prototype.addEventListener = function (name, heard, ...rest) {
    return listen.call(this, name, LATE.has(name) && !within(this ?? window) ? late(heard) : heard, ...rest);
  };
  const onload = Object.getOwnPropertyDescriptor(XMLHttpRequestEventTarget.prototype, "onload");
  Object.defineProperty(XMLHttpRequestEventTarget.prototype, "onload", {
    ...onload, set(heard) { onload.set.call(this, late(heard)); },
  });
  const frame = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (drawn) => frame(() => setTimeout(() => drawn(performance.now()), ms));
  window.cancelAnimationFrame = () => {};  // what was asked for comes, though nobody waits for it
  const fetched = window.fetch.bind(window);
  window.fetch = async (...args) => {
    const answer = await fetched(...args);
    await new Promise((done) => setTimeout(done, ms));
    return answer;
  };
  const Observer = window.ResizeObserver;
  window.ResizeObserver = class extends Observer { constructor(seen) { super(late(seen)); } };
}
