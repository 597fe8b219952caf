// The library: the chosen row, the tag at another strength, and news.
;(() => {
  const { PANEL, part, note, reveal, copy, news, redrawn } = window.softPrompts;
  if (window.softPrompts.tag) return;

  // ---- the tag with another strength; the same spelling as Tag.__str__

  const tag = (old, strength) => {
    const name = old.match(/^<<sp:([^:]*?)(?::-?[\d.]+)?>>$/)?.[1];
    if (name === undefined) return old;
    const shown = Number((Number(strength) || 0).toFixed(2)) + 0;
    return shown === 1 ? `<<sp:${name}>>` : `<<sp:${name}:${shown}>>`;
  };

  // ---- choosing a row, by mouse, Enter or arrow keys

  const rows = () => [...document.querySelectorAll(`${PANEL} .sp-row`)];
  const choose = (row) => {
    const box = part("#sp-key textarea, #sp-key input");
    box.value = row.dataset.key;
    box.dispatchEvent(new Event("input", { bubbles: true }));
    mark(row.dataset.key);
  };

  let focused = null;
  const mark = (chosen = part(".sp-chosen")?.dataset.key) => {
    for (const row of rows()) {
      row.setAttribute("aria-pressed", row.dataset.key === chosen);
      // A new list took the focus away from the row that had it.
      if (row.dataset.key === focused && document.activeElement === document.body) row.focus({ preventScroll: true });
    }
  };

  document.addEventListener("click", (event) => {
    const row = event.target.closest?.(`${PANEL} .sp-row`);
    if (row) choose(row);
    // What needs attention stands at the list's end.
    if (event.target.closest?.(`${PANEL} .sp-ailing`)) {
      const first = part('.sp-row[data-ailing="yes"]');
      first?.scrollIntoView({ block: "nearest" });
      first?.focus({ preventScroll: true });
    }
  });
  document.addEventListener("focusin", (event) => {
    focused = event.target.closest?.(`${PANEL} .sp-row`)?.dataset.key ?? null;
  });
  document.addEventListener("keydown", (event) => {
    const all = rows();
    const at = all.indexOf(event.target);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (at < 0 || !step) return;
    event.preventDefault();
    all[at + step]?.focus();
  });

  redrawn(PANEL, () => mark());
  const { rung, answered } = news("#sp-poll", 1000, () => document.querySelector(PANEL)?.offsetParent);

  Object.assign(window.softPrompts, {
    tag, rung, answered,
    copyTag: (text) => copy(text, "Copied.", "The browser does not let it be copied: select the tag and press Ctrl+C."),
    copyReport: (text) => {
      const failed = "The browser does not let it be copied: select it and press Ctrl+C.";
      reveal("#sp-report");
      return copy(text, "Report copied.", failed, "#sp-report-note .sp-note");
    },
    // The tag of what was made, and Insert, stand above the form, perhaps out of sight.
    made: () => { if (!part("#sp-maker .sp-said")) reveal("#sp-details"); },
  });
})();
