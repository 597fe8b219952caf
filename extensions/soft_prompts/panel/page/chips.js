// Tags in what the page shows, as quiet chips: the text stays as it was, for whoever copies it.
;(() => {
  const own = window.softPrompts;
  if (own.chips) return;
  const { writing, grammar } = own;
  const { make } = writing;
  // The chat's messages, and the panes of notebook and default that take HTML.
  const WHERE = ".message-body, .readable-container, .sp-chips";
  const NEVER = ".sp-chip, .sp-writing, pre, textarea, input, select, script, style, svg, [contenteditable]";
  const AT_ONCE = 4; // milliseconds, before the page is drawn again

  const words = (tag) => {
    const { tokens, problem, unknown } = writing.about(tag);
    const strength = tag.strength === 1 ? "" : ` at strength ${tag.strength}`;
    const cost = tokens ? `, ${writing.tokens(tokens)}` : "";
    const wrong = unknown ? ": the library has none of this name" : problem ? `: ${problem}` : "";
    return { text: `Soft prompt ${tag.name}${strength}${cost}${wrong}`, wrong: Boolean(wrong) };
  };

  const tell = (chip, tag) => {
    const { text, wrong } = words(tag);
    if (chip.title === text) return;
    chip.title = text;
    chip.setAttribute("aria-label", text);
    chip.classList.toggle("sp-chip-wrong", wrong);
  };

  const chipOf = (tag) => {
    const chip = make("span", "sp-chip");
    const name = tag.text.match(/^<<sp:([^:>]*)/)[1];
    chip.tabIndex = 0;
    chip.setAttribute("role", "note");
    chip.append(make("i", "", "<<sp:"), name, make("i", "", tag.text.slice(5 + name.length)));
    tell(chip, tag);
    return chip;
  };

  const replace = (node) => {
    const text = node.nodeValue;
    const pieces = document.createDocumentFragment();
    let end = 0;
    for (const tag of grammar.tags(text)) {
      if (tag.start > end) pieces.append(text.slice(end, tag.start));
      pieces.append(chipOf(tag));
      end = tag.stop;
    }
    if (!end) return;
    if (end < text.length) pieces.append(text.slice(end));
    node.replaceWith(pieces);
  };

  const worth = (node) => node.nodeValue.includes("<<sp:") && !node.parentElement?.closest(NEVER);
  const textsIn = (root) => {
    if (root.nodeType === Node.TEXT_NODE) return worth(root) ? [root] : [];
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) if (worth(walker.currentNode)) found.push(walker.currentNode);
    return found;
  };

  // Of what changed, the parts that are shown to a reader.
  const partsOf = (node) => {
    const parent = node.nodeType === Node.TEXT_NODE ? node.parentElement : node;
    if (!parent?.closest) return [];
    if (parent.closest(WHERE)) return [node];
    return node === parent ? [...node.querySelectorAll(WHERE)] : [];
  };

  const waiting = new Set();
  const idle = window.requestIdleCallback ?? ((work) => setTimeout(() => work({ timeRemaining: () => 8 }), 30));
  let due = false;

  const work = (until) => {
    for (const node of waiting) {
      if (performance.now() > until) break;
      waiting.delete(node);
      for (const part of node.isConnected ? partsOf(node) : []) textsIn(part).forEach(replace);
    }
    if (!waiting.size || due) return;
    due = true;
    idle((deadline) => { due = false; work(performance.now() + Math.max(4, deadline.timeRemaining())); }, { timeout: 1000 });
  };

  // What is drawn while an answer streams is small, and done before it is seen; a long chat waits until there is time.
  new MutationObserver((records) => {
    for (const { type, target, addedNodes } of records) {
      if (type === "characterData") waiting.add(target);
      else for (const node of addedNodes) if (node.nodeType <= Node.TEXT_NODE) waiting.add(node);
    }
    if (waiting.size) work(performance.now() + AT_ONCE);
  }).observe(document.body, { childList: true, characterData: true, subtree: true });

  // The webui compares each new state of a message with what stands there: with chips in both, it finds them unchanged.
  const compared = window.morphdom;
  if (typeof compared === "function") {
    window.morphdom = (from, to, ...more) => {
      if (typeof to === "string" && to.includes("&lt;&lt;sp:")) {
        const made = document.createElement("template");
        made.innerHTML = to.trim();
        for (const place of made.content.querySelectorAll(WHERE)) textsIn(place).forEach(replace);
        to = made.content.firstChild ?? to;
      }
      return compared(from, to, ...more);
    };
    Object.assign(window.morphdom, compared);
  }

  const again = () => {
    for (const chip of document.querySelectorAll(".sp-chip")) {
      const [tag] = grammar.tags(chip.textContent);
      if (tag) tell(chip, tag);
    }
  };
  writing.changed(again);

  // ---- the words of a chip that has the focus, by key or finger; a mouse sees them as its title

  const tip = make("div", "sp-tip");
  tip.setAttribute("aria-hidden", "true");
  document.addEventListener("focusin", ({ target }) => {
    tip.remove();
    if (!target.matches?.(".sp-chip")) return;
    tip.textContent = target.title;
    writing.layer().append(tip);
    const at = target.getBoundingClientRect();
    const over = at.bottom + tip.offsetHeight + 12 > window.innerHeight;
    tip.style.left = `${Math.max(8, Math.min(at.left, window.innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${over ? at.top - tip.offsetHeight - 6 : at.bottom + 6}px`;
  });
  for (const event of ["focusout", "scroll"]) document.addEventListener(event, () => tip.remove(), true);

  for (const place of document.querySelectorAll(WHERE)) waiting.add(place);
  work(0);
  own.chips = { again };
})();
