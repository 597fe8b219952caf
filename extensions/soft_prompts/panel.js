// The panel's hands in the page: it remembers where the writer wrote, inserts and copies tags, asks for news, and marks
// the chosen row. Runs once, in the webui within its load event, alone in that of panel.standalone.
;(() => {
  if (window.softPrompts) return;
  const PANEL = "#soft-prompts";
  const NAMES = {
    "chat-input": "the chat input",
    "textbox-notebook": "the notebook",
    "textbox-default": "the Default tab",
  };
  const part = (selector) => document.querySelector(`${PANEL} ${selector}`);

  // ---- where the writer wrote last

  // One-line text boxes of gradio are inputs with this test id; the inputs of drop-downs and sliders are not.
  const isText = (field) => field?.matches?.('textarea, input[data-testid="textbox"]') &&
    !field.disabled && !field.readOnly && !field.closest(PANEL);
  let last = null;
  document.addEventListener("focusin", (event) => { if (isText(event.target)) last = event.target; });

  const field = () => {
    if (last?.isConnected && isText(last)) return last;
    const all = [...document.querySelectorAll("#chat-input textarea, textarea, input")];
    const first = document.querySelector("#chat-input textarea") ?? all.find(isText);
    first?.setSelectionRange(first.value.length, first.value.length);
    return first;
  };

  const nameOf = (field) => {
    const known = Object.keys(NAMES).find((id) => field.closest(`#${id}`));
    const label = field.closest(".block")?.querySelector('[data-testid="block-info"]')?.textContent.trim();
    return known ? NAMES[known] : label ? `“${label}”` : "the text box";
  };

  const clearing = {};
  const note = (text, where = "#sp-note") => {
    const line = part(where);
    if (line) line.textContent = text;
    clearTimeout(clearing[where]);
    clearing[where] = setTimeout(() => { if (line) line.textContent = ""; }, 8000);
  };

  const insert = (tag) => {
    const into = field();
    if (!into) return note("There is no text box to insert it into. Copy it.");
    if (into.offsetParent) into.focus();
    // insertText keeps the writer's undo. It needs the focus, which a box in another tab cannot have.
    if (document.activeElement !== into || !document.execCommand("insertText", false, tag)) {
      into.setRangeText(tag, into.selectionStart, into.selectionEnd, "end");
      into.dispatchEvent(new Event("input", { bubbles: true }));
    }
    note(`Inserted into ${nameOf(into)}.`);
  };

  // What an answer has just drawn, perhaps out of sight.
  const reveal = (what) => setTimeout(() => part(what)?.scrollIntoView({ block: "nearest" }), 100);

  // ---- the clipboard, which exists only over https and on this machine

  const copyOldWay = (text) => {
    const before = document.activeElement;
    const box = document.createElement("textarea");
    box.value = text;
    box.style.cssText = "position:fixed;opacity:0";
    part("").append(box);
    box.select();
    const done = document.execCommand("copy");
    box.remove();
    before?.focus();
    return done;
  };

  const copy = async (text, done, failed, where) => {
    try {
      await navigator.clipboard.writeText(text);
      note(done, where);
    } catch {
      note(copyOldWay(text) ? done : failed, where);
    }
  };

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

  // ---- news: asked for once a second while somebody looks, and not again before the answer to the last is there

  let asked = 0;
  let seen = null;
  const tick = () => {
    const panel = document.querySelector(PANEL);
    if (panel && panel !== seen) {
      seen = panel;
      new MutationObserver(() => mark()).observe(panel, { childList: true, subtree: true });
    }
    if (!panel?.offsetParent || document.hidden || Date.now() - asked < 30000) return;
    asked = Date.now();
    part("#sp-poll")?.click();
  };
  setInterval(tick, 1000);
  tick();

  window.softPrompts = {
    insert,
    tag,
    answered: () => { asked = 0; },
    copyTag: (text) => copy(text, "Copied.", "The browser does not let it be copied: select the tag and press Ctrl+C."),
    copyReport: (text) => {
      const failed = "The browser does not let it be copied: select it and press Ctrl+C.";
      reveal("#sp-report");
      return copy(text, "Report copied.", failed, "#sp-report-note .sp-note");
    },
    // The tag of what was made, and Insert, stand above the form, perhaps out of sight.
    made: () => { if (!part("#sp-maker .sp-said")) reveal("#sp-details"); },
  };
})();
