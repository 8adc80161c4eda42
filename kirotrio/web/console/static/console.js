// What the pages need beside htmx. They work without it, but for what is live.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("scripted");

  // Times come in UTC and are shown in the reader's own zone, with UTC as their title.
  const shown = new Intl.DateTimeFormat(root.lang || "en", { dateStyle: "medium", timeStyle: "medium" });
  const shownDay = new Intl.DateTimeFormat(root.lang || "en", { dateStyle: "medium" });
  function localise(within) {
    for (const time of within.querySelectorAll("time[datetime]:not([title])")) {
      const at = new Date(time.dateTime);
      if (!Number.isNaN(at.getTime())) {
        const isDay = "day" in time.dataset;
        time.title = isDay ? shown.format(at) : time.textContent;
        time.textContent = (isDay ? shownDay : shown).format(at);
      }
    }
  }

  function prepare(within) {
    localise(within);
    for (const element of within.querySelectorAll("[data-needs-script]")) element.hidden = false;
    for (const dialog of within.querySelectorAll("dialog[data-begins-open]")) dialog.showModal();
  }

  const menu = document.querySelector("button.menu");
  if (menu) {
    const places = document.getElementById(menu.getAttribute("aria-controls"));
    const narrow = window.matchMedia("(max-width: 44rem)");
    const groups = [...places.querySelectorAll("details.group")];
    // On a phone the menu shows all there is; elsewhere a group opens over the page, one at a time.
    const fit = () => {
      menu.hidden = !narrow.matches;
      for (const group of groups) {
        group.name = narrow.matches ? "" : "group";
        group.open = narrow.matches;
        group.querySelector("summary").tabIndex = narrow.matches ? -1 : 0;
      }
    };
    const close = (but, focus) => {
      for (const group of groups) {
        if (!narrow.matches && group.open && group !== but) {
          group.open = false;
          if (focus) group.querySelector("summary").focus();
        }
      }
    };
    document.addEventListener("click", (event) => close(event.target.closest?.("details.group"), false));
    document.addEventListener("focusin", (event) => close(event.target.closest?.("details.group"), false));
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(null, true); });
    narrow.addEventListener("change", fit);
    fit();
    const unfold = (open) => {
      places.classList.toggle("open", open);
      menu.setAttribute("aria-expanded", String(open));
    };
    menu.addEventListener("click", () => unfold(!places.classList.contains("open")));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && narrow.matches && places.classList.contains("open")) {
        unfold(false);
        menu.focus();
      }
    });
  }

  document.addEventListener("click", async (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const opens = target?.closest("[data-opens]");
    if (opens) {
      document.getElementById(opens.dataset.opens).showModal();
      return;
    }
    if (target?.closest("[data-closes]")) {
      target.closest("dialog")?.close();
      return;
    }
    const copies = target?.closest("[data-copies]");
    if (copies) {
      const text = document.getElementById(copies.dataset.copies).textContent;
      try {
        await navigator.clipboard.writeText(text);
        copies.textContent = copies.dataset.copied;
      } catch {
        window.getSelection().selectAllChildren(document.getElementById(copies.dataset.copies));
      }
    }
  });

  // A dialog gives the focus back to what opened it; one that began open has its button to give it to.
  document.addEventListener("close", (event) => {
    const focused = document.activeElement;
    if (event.target instanceof HTMLDialogElement && (focused === document.body || event.target.contains(focused))) {
      document.querySelector(`[data-opens="${event.target.id}"]`)?.focus();
    }
  }, true);

  // A form or button with `data-confirm` asks first; one that was sent is not sent twice.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const question = event.submitter?.dataset.confirm || form.dataset.confirm;
    if (question && !window.confirm(question)) {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    if (form.method === "post" && !form.hasAttribute("hx-post")) {
      if (form.dataset.sent) {
        event.preventDefault();
        return;
      }
      form.dataset.sent = "1";
      setTimeout(() => { delete form.dataset.sent; }, 3000);  // a download leaves the page as it is
    }
  }, true);

  // Choices that take effect at once.
  document.addEventListener("change", (event) => {
    if (event.target instanceof HTMLSelectElement && event.target.hasAttribute("data-sends")) event.target.form.requestSubmit();
  });

  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });
  document.addEventListener("htmx:load", (event) => prepare(event.target));
  prepare(document);
})();
