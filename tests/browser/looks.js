// What tests/support/looks.py asks of a page. It comes by the debugger, since the pages' policy forbids it.
window.looks = (() => {
  const FORMS = "button, select, textarea, summary, input:not([type=hidden]), a[href]";
  const APART = 'code, pre, time, [lang="en"], [translate="no"]';
  const SAYING = ["aria-label", "placeholder", "title", "alt", "data-confirm", "data-label"];

  // What can be tapped and is less than this. Links within a line of text are excepted, as the rule (WCAG 2.2, 2.5.8)
  // has it; what a label wraps is as large as its label.
  function small(least) {
    return [...document.querySelectorAll(FORMS)]
      .filter((one) => one.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
      .filter((one) => !one.closest(".unseen, .skip"))
      .filter((one) => one.localName !== "a" || getComputedStyle(one).display !== "inline")
      .map((one) => [one.outerHTML.slice(0, 160), (one.closest("label") || one).getBoundingClientRect()])
      .filter(([, box]) => box.width && (box.width < least || box.height < least))
      .map(([html, box]) => `${Math.round(box.width)}x${Math.round(box.height)} ${html}`);
  }

  // Every text that a person meets, but what has a form or a language of its own: code, times, what is marked as
  // English or as nothing to translate.
  function texts() {
    const found = [document.title];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode())
      if (!walker.currentNode.parentElement.closest(`${APART}, script, style, textarea, datalist`))
        found.push(walker.currentNode.data);
    for (const name of SAYING)
      for (const one of document.querySelectorAll(`[${name}]`))
        // A code stands as the title of its word (<data>), for whoever looks into records and logs.
        if (!one.closest(APART) && !(name === "title" && one.localName === "data")) found.push(one.getAttribute(name));
    return found.map((text) => text.replace(/\s+/g, " ").trim()).filter(Boolean);
  }

  // How the element that has the focus shows it; null where nothing has it.
  function focus() {
    const one = document.activeElement;
    if (!one || one === document.body) return null;
    const style = getComputedStyle(one);
    const box = one.getBoundingClientRect();
    const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
    return {
      html: one.outerHTML.slice(0, 160),
      shown: outlined || style.boxShadow !== "none",
      inside: box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth,
    };
  }

  return { small, texts, focus };
})();
