// A live part of a page (the template live.html): it comes back by itself after the gateway was away, says so while there
// is no connection, and says when the sign-in is over.
(() => {
  "use strict";
  const SOON = 1000;
  const LATER = 3000;
  // A stream that ends and comes back at once is no news to anybody.
  const TOLD_AFTER = 2000;
  // The gateway says `here` every 15 seconds; a machine that lost its power says nothing, not even that it ended.
  const SILENCE = 40000;
  const shown = new Intl.DateTimeFormat(document.documentElement.lang || "en", { dateStyle: "medium", timeStyle: "medium" });

  // What htmx takes for an EventSource. A browser's own gives up for good at any answer that is no stream (a proxy's 502,
  // a 503 of a gateway that stops), and htmx then waits for ever longer.
  class Line extends EventTarget {
    #address;
    #part;
    #source;
    #names = new Set();
    #last = new Map();
    #asOf = Date.now();
    #isOpen = false;
    #tries = 0;
    #timers = {};

    constructor(address) {
      super();
      this.#address = address;
      const parts = [...document.querySelectorAll("[sse-connect]")];
      this.#part = parts.find((part) => part.getAttribute("sse-connect") === address);
      this.#connect();
    }

    addEventListener(name, ...rest) {
      super.addEventListener(name, ...rest);
      if (!this.#names.has(name)) {
        this.#names.add(name);
        this.#forward(this.#source, name);
      }
    }

    close() {
      for (const timer of Object.values(this.#timers)) clearTimeout(timer);
      this.#source.close();
    }

    #connect() {
      const source = this.#source = new EventSource(this.#address);
      source.onopen = (event) => this.#opened(event);
      source.onerror = () => this.#lost();
      source.addEventListener("here", () => this.#heard());
      source.addEventListener("over", () => this.close());
      source.addEventListener("gone", () => this.#gone());
      for (const name of this.#names) this.#forward(source, name);
      this.#watch();
    }

    #forward(source, name) {
      source.addEventListener(name, (event) => {
        this.#heard();
        // After a break all of it comes again: what is the same stays, with the reader's focus and what they entered.
        if (this.#last.get(name) === event.data) return;
        this.#last.set(name, event.data);
        this.dispatchEvent(new MessageEvent(name, { data: event.data }));
      });
    }

    #opened(event) {
      clearTimeout(this.#timers.telling);
      this.#timers.telling = undefined;
      this.#isOpen = true;
      this.#tries = 0;
      this.#heard();
      this.#status?.replaceChildren();
      this.onopen?.(event);
    }

    #heard() {
      this.#asOf = Date.now();
      this.#watch();
    }

    #watch() {
      clearTimeout(this.#timers.silence);
      this.#timers.silence = setTimeout(() => this.#lost(true), SILENCE);
    }

    #lost(silent = false) {
      if (this.#isOpen && !silent) this.#asOf = Date.now();
      this.#isOpen = false;
      this.#source.close();
      clearTimeout(this.#timers.silence);
      this.#timers.telling ??= setTimeout(() => this.#say(), TOLD_AFTER);
      const wait = this.#tries++ ? LATER * (0.75 + Math.random() / 2) : SOON;
      this.#timers.again = setTimeout(() => this.#connect(), wait);
    }

    get #status() {
      return this.#part?.querySelector("[data-lost]");
    }

    #say() {
      const status = this.#status;
      if (!status) return;
      const line = document.createElement("p");
      line.className = "notice";
      line.textContent = status.dataset.lost.replace("#", shown.format(new Date(this.#asOf)));
      status.replaceChildren(line);
    }

    #gone() {
      this.close();
      const ended = this.#part?.querySelector("template[data-gone]");
      if (!ended) return;
      this.#part.querySelector("[data-live]").hidden = true;
      this.#status.replaceChildren(ended.content.cloneNode(true));
    }
  }

  htmx.createEventSource = (address) => new Line(address);
})();
