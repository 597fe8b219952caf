// The panel's hands in the page: it remembers where the writer wrote, inserts and copies. The sections add theirs to
// window.softPrompts. Runs once, in the webui within its load event, alone in that of panel.standalone.
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

  const insert = (tag, where) => {
    const into = field();
    if (!into) return note("There is no text box to insert it into. Copy it.", where);
    if (into.offsetParent) into.focus();
    // insertText keeps the writer's undo. It needs the focus, which a box in another tab cannot have.
    if (document.activeElement !== into || !document.execCommand("insertText", false, tag)) {
      into.setRangeText(tag, into.selectionStart, into.selectionEnd, "end");
      into.dispatchEvent(new Event("input", { bubbles: true }));
    }
    note(`Inserted into ${nameOf(into)}.`, where);
  };

  // What an answer has just drawn, perhaps out of sight.
  const reveal = (what) => setTimeout(() => part(what)?.scrollIntoView({ block: "nearest" }), 100);

  // ---- news, for which a page that nobody has touched for a while asks less often: each answer costs it some work

  const RECENT = 30000, SELDOM = 4;
  let touched = Date.now();
  for (const each of ["pointerdown", "keydown", "focusin"]) {
    document.addEventListener(each, () => { touched = Date.now(); }, true);
  }
  const often = (tick, every, lively = () => false) => {
    let count = 0;
    setInterval(() => {
      if (Date.now() - touched < RECENT || count++ % SELDOM === 0 || lively()) tick();
    }, every);
    tick();
  };

  // looks: whether somebody does; not asked again before the answer to the last is there.
  const news = (poll, every, looks, lively) => {
    let asked = 0, heard = "";
    often(() => {
      if (document.hidden || !looks() || Date.now() - asked < 30000) return;
      asked = Date.now();
      part(poll)?.click();
    }, every, lively);
    return {
      // Of a new word, what is to be drawn is on its way.
      rung: (bell) => { if (bell === heard) asked = 0; else heard = bell; },
      answered: () => { asked = 0; },
    };
  };

  // Each time that something is drawn anew below `selector`, which may come late and be replaced.
  const redrawn = (selector, react) => {
    let known = null;
    often(() => {
      const place = document.querySelector(selector);
      if (!place || place === known) return;
      known = place;
      new MutationObserver(() => react()).observe(place, { childList: true, subtree: true });
      react();
    }, 1000);
  };

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

  // ---- the marks on the tabs

  const { answered: marked } = news("#sp-marks-poll", 3000, () => document.querySelector(PANEL)?.offsetParent);

  window.softPrompts = { PANEL, part, field, isText, nameOf, note, insert, reveal, copy, often, news, redrawn, marked };
})();
