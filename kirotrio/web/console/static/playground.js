// The playground's page. What it sends goes to the public APIs by `fetch`, with a key that lives in this script's memory
// for minutes; what comes back is put into the page as text, never as markup.
(() => {
  "use strict";
  const form = document.getElementById("playground");
  if (!form) return;
  const dialects = window.playgroundDialects;
  const say = document.getElementById("sentences").dataset;
  const at = (id) => document.getElementById(id);
  const MOST_RAW = 2_000_000;  // characters of events that are shown
  const EARLY = 30_000;        // milliseconds before its end from which on a key is replaced

  let key = null;              // { secret, until }, until in this page's own time
  let image = null;            // { kind, data, url }
  let running = null;          // the AbortController of what runs
  form.hidden = false;

  // The key.

  async function currentKey(signal) {
    if (key && performance.now() < key.until - EARLY) return key.secret;
    const answer = await fetch(form.dataset.key, {
      method: "POST",
      body: new URLSearchParams({ csrf: form.dataset.csrf }),
      redirect: "manual",
      signal,
    });
    if (answer.type === "opaqueredirect") throw new Told(say.signedOut);
    if (!answer.ok) throw new Told(filled(say.noKey, { status: answer.status }));
    const given = await answer.json();
    key = { secret: given.key, until: performance.now() + given.seconds * 1000 };
    return key.secret;
  }

  class Told extends Error {}  // its message is for the person

  const filled = (sentence, parts) => sentence.replace(/\{(\w+)\}/g, (whole, name) => parts[name] ?? whole);

  // The request.

  function asked() {
    const api = form.elements.api.selectedOptions[0].dataset;
    const dialect = dialects[api.dialect];
    const wanted = {
      model: form.elements.model.value,
      system: form.elements.system.value,
      message: form.elements.message.value,
      most: Number(form.elements.most.value),
      thinking: form.elements.thinking.checked,
      tool: form.elements.tool.checked,
      stream: form.elements.stream.checked,
      image,
    };
    return { path: api.path, dialect, stream: wanted.stream, body: JSON.stringify(dialect.body(wanted), null, 2) };
  }

  // `EOF` cannot stand alone on a line of JSON, so the lines do as they say whatever was written.
  function showLines() {
    if (!at("lines").open) return;
    const { path, dialect, body } = asked();
    const headers = { "content-type": "application/json", ...dialect.headers("$KIROTRIO_KEY") };
    const lines = Object.entries(headers).map(([name, value]) => `  -H "${name}: ${value}" \\`);
    at("curl").textContent = [`curl -N "${location.origin}${path}" \\`, ...lines, "  --data-binary @- <<'EOF'", body, "EOF"].join("\n");
  }

  form.addEventListener("input", showLines);
  at("lines").addEventListener("toggle", showLines);

  form.elements.image.addEventListener("change", () => {
    const file = form.elements.image.files[0];
    image = null;
    at("preview").hidden = true;
    showLines();
    if (!file) return;
    const reader = new FileReader();
    reader.addEventListener("load", () => {
      if (form.elements.image.files[0] !== file) return;
      const url = reader.result;
      image = { kind: file.type, url, data: url.slice(url.indexOf(",") + 1) };
      at("preview").src = url;
      at("preview").hidden = false;
      showLines();
    });
    reader.readAsDataURL(file);
  });

  // The answer. Pieces are gathered, and put into the page once a frame.

  function Shown() {
    const waiting = new Map();
    const calls = new Map();
    const usage = {};
    let frame = 0;
    let rawSize = 0;
    const began = performance.now();

    const flush = () => {
      cancelAnimationFrame(frame);
      frame = 0;
      for (const [element, pieces] of waiting) element.append(pieces.join(""));
      waiting.clear();
    };
    const add = (element, piece) => {
      if (!waiting.has(element)) waiting.set(element, []);
      waiting.get(element).push(piece);
      frame ||= requestAnimationFrame(flush);
    };
    const since = () => ((performance.now() - began) / 1000).toFixed(2);
    const first = () => { at("first").textContent ||= since(); };

    this.failed = false;
    this.ended = false;
    this.text = (piece) => { first(); add(at("text"), piece); };
    this.thinking = (piece) => { first(); at("thought").hidden = false; add(at("thinking-text"), piece); };
    this.call = (id, name) => {
      first();
      const part = at("call").content.cloneNode(true);
      part.querySelector("code").textContent = name;
      calls.set(id, part.querySelector("pre"));
      at("calls").append(part);
    };
    this.input = (id, piece) => { if (calls.has(id)) add(calls.get(id), piece); };
    this.usage = (told) => {
      for (const [name, value] of Object.entries(told)) if (typeof value === "number") usage[name] = value;
      for (const name of ["input", "cached", "output"]) at(`usage-${name}`).textContent = usage[name]?.toLocaleString() ?? "–";
    };
    this.stop = (reason) => { if (reason) at("reason").textContent = reason; };
    this.end = () => { this.ended = true; };
    this.fail = (sentence) => {
      this.failed = true;
      this.ended = true;
      at("problem").textContent = sentence;
      at("problem").hidden = false;
    };
    this.raw = (text) => {
      if (rawSize >= MOST_RAW) return;
      rawSize += text.length;
      add(at("raw"), rawSize < MOST_RAW ? text : `${text.slice(0, MOST_RAW - rawSize + text.length)}\n${say.cut}`);
    };
    this.head = (answer) => {
      at("status").textContent = answer.status;
      at("usage-kind").textContent = answer.headers.get("x-kirotrio-usage") || "";
      const id = answer.headers.get("request-id");
      if (!id) return;
      at("request").textContent = id;
      at("request").href = `/console/requests/${encodeURIComponent(id)}`;
    };
    this.close = (sentence) => {
      flush();
      at("seconds").textContent = since();
      at("progress").textContent = sentence;
      at("answer").removeAttribute("aria-busy");
    };

    at("answer").hidden = false;
    at("answer").setAttribute("aria-busy", "true");
    at("problem").hidden = at("thought").hidden = true;
    for (const id of ["text", "thinking-text", "raw", "calls", "first", "seconds", "status", "reason", "request", "usage-kind", "problem"]) at(id).textContent = "";
    at("request").removeAttribute("href");
    this.usage({});
    at("progress").textContent = say.running;
  }

  // Server-sent events, as they come. Lines may be cut anywhere.
  async function readEvents(answer, dialect, shown) {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      shown.raw(value);
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (!line.startsWith("data:")) continue;
        const data = line.slice(5).trim();
        if (data === "[DONE]") shown.end();
        else if (data) dialect.event(JSON.parse(data), shown);
      }
    }
    if (!shown.ended) shown.fail(say.broken);
  }

  async function refusal(answer, shown) {
    const text = await answer.text();
    shown.raw(text);
    let message = "";
    try {
      message = JSON.parse(text).error.message;
    } catch {
      message = text.slice(0, 500);
    }
    if (answer.status === 401) key = null;
    const after = answer.headers.get("retry-after");
    const said = filled(say.refused, { status: answer.status, message });
    shown.fail(after ? `${said} ${filled(say.later, { seconds: after })}` : said);
  }

  async function send(shown, signal) {
    const { path, dialect, stream, body } = asked();
    const headers = { "content-type": "application/json", ...dialect.headers(await currentKey(signal)) };
    const answer = await fetch(path, { method: "POST", body, headers, signal, credentials: "omit", cache: "no-store" });
    shown.head(answer);
    if (!answer.ok) return refusal(answer, shown);
    if (stream) return readEvents(answer, dialect, shown);
    const text = await answer.text();
    const whole = JSON.parse(text);
    shown.raw(JSON.stringify(whole, null, 2));
    return dialect.whole(whole, shown);
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running) return;
    const controller = running = new AbortController();
    const shown = new Shown();
    at("send").disabled = true;
    at("stop").disabled = false;
    try {
      await send(shown, controller.signal);
    } catch (error) {
      if (!controller.signal.aborted) shown.fail(error instanceof Told ? error.message : say.unreachable);
    } finally {
      running = null;
      at("send").disabled = false;
      at("stop").disabled = true;
      shown.close(controller.signal.aborted ? say.stopped : shown.failed ? say.failed : say.done);
    }
  });

  at("stop").addEventListener("click", () => running?.abort());
})();
