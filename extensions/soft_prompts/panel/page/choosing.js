// After `<<sp:` a list of names to choose from, after `<<sp:name:` one of strengths; a combobox for screen readers.
;(() => {
  const own = window.softPrompts;
  if (own.choosing) return;
  const { writing, grammar, caret } = own;
  const { make } = writing;
  const MOST = 50;
  const STRENGTHS = { 0.5: "half of it", 0.7: "a little less", 1: "as it was made", 1.3: "a little more" };

  // ---- what is being typed: { field, start, from, query, name }; start: of `<<sp:`, from: of what is to be replaced

  const typed = (field) => {
    const at = field?.selectionStart;
    if (at == null || at !== field.selectionEnd) return null;
    const back = Math.max(0, at - 240);
    const match = field.value.slice(back, at).match(/(\\*)<<sp:([^<>:\r\n\t]{0,200})(:[-0-9.]{0,20})?$/);
    if (!match || match[1].length % 2) return null;
    const [, slashes, name, strength] = match;
    if (strength !== undefined && !grammar.isName(name)) return null;
    const start = back + match.index + slashes.length;
    const from = strength === undefined ? start + 5 : at - strength.length + 1;
    return { field, start, from, at, query: field.value.slice(from, at), name: strength === undefined ? null : name };
  };

  // What is written, and up to where it replaces what stood there: a tag that is written again keeps its strength.
  const written = ({ field, start, at, name }, title) => {
    const whole = grammar.tags(field.value.slice(start, start + 260)).find((tag) => tag.start === 0);
    if (whole) return [name === null ? title + whole.text.match(/(:[-0-9.]+)?>>$/)[0] : `${title}>>`, start + whole.stop];
    return [`${title}>>`, field.value.startsWith(">>", at) ? at + 2 : at];
  };

  // ---- what is offered

  // Usable ones first, then the very name, names that begin with it, and those that hold it; each in the library's order.
  const rank = ({ entry, folded, base }, query) => {
    const at = folded.indexOf(query);
    if (at < 0) return -1;
    const like = query === folded || query === base ? 0 : at === 0 ? 1 : base.startsWith(query) ? 2 : 3;
    return (entry.usable ? 0 : entry.waits ? 4 : 8) + like;
  };

  let before = { index: null, query: "", found: [] };
  const search = (typedQuery) => {
    const query = typedQuery.normalize("NFC").toLowerCase();
    const { index } = writing;
    // Each further letter looks only among what the last one found.
    const among = before.index === index && query.startsWith(before.query) ? before.found : index;
    const ranked = Array.from({ length: 12 }, () => []);
    for (const each of among) {
      const place = rank(each, query);
      if (place >= 0) ranked[place].push(each);
    }
    const found = ranked.flat();
    before = { index, query, found };
    return found;
  };

  const names = (query) => {
    const found = search(query);
    const options = found.slice(0, MOST).map(({ entry }) => ({
      title: entry.name,
      side: entry.tokens ? writing.tokens(entry.tokens) : "",
      more: entry.usable ? entry.description : entry.reason,
      dim: !entry.usable && !entry.waits,
    }));
    return { options, count: found.length };
  };

  const strengths = (query) => {
    const own = /^-?\d+(\.\d+)?$/.test(query) && Math.abs(query) <= 4 && !(query in STRENGTHS) ? [query] : [];
    const all = [...Object.keys(STRENGTHS).sort().filter((each) => each.startsWith(query)), ...own];
    const options = all.map((each) => ({ title: each, side: "", more: STRENGTHS[each] ?? "" }));
    return { options, count: options.length };
  };

  // ---- the list itself

  let open = null; // as of `typed`, with its options and the chosen one
  let dismissed = null; // [field, start] that Escape closed

  const box = make("div", "sp-box");
  const list = make("div", "sp-list");
  const foot = make("div", "sp-foot");
  box.append(list, foot);
  list.id = "sp-choices";
  list.setAttribute("role", "listbox");
  // The text box keeps the focus, and a phone its keyboard.
  box.addEventListener("mousedown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const option = event.target.closest(".sp-option");
    if (option && open) choose(Number(option.dataset.at));
  });

  const row = (option, at) => {
    const item = make("div", option.dim ? "sp-option sp-dim" : "sp-option");
    item.id = `sp-choice-${at}`;
    item.dataset.at = at;
    item.setAttribute("role", "option");
    item.append(make("span", "sp-option-name", option.title), make("span", "sp-option-side", option.side));
    if (option.more) item.append(make("span", "sp-option-more", option.more));
    return item;
  };

  const mark = (at) => {
    open.active = at;
    [...list.children].forEach((item, number) => item.setAttribute("aria-selected", number === at));
    const item = list.children[at];
    if (!item) return open.field.removeAttribute("aria-activedescendant");
    open.field.setAttribute("aria-activedescendant", item.id);
    if (item.offsetTop < list.scrollTop) list.scrollTop = item.offsetTop;
    const below = item.offsetTop + item.offsetHeight - list.clientHeight;
    if (below > list.scrollTop) list.scrollTop = below;
  };

  const COMBOBOX = {
    role: "combobox", "aria-autocomplete": "list", "aria-haspopup": "listbox", "aria-controls": list.id,
    "aria-expanded": "true",
  };
  const HINTS = [":", "for another strength", "Esc", "to close"];

  const hint = (count, shown) => {
    foot.replaceChildren();
    if (!writing.arrived) return foot.append("Asking for the library…");
    if (!count) return foot.append(open.name === null ? none(open.query) : "A strength is a number from -4 to 4.");
    if (count > shown) return foot.append(`${shown} of ${count.toLocaleString("en-US")}: type on to find the others.`);
    const keys = ["Enter", "writes it", ...(open.name === null ? HINTS : HINTS.slice(2))];
    keys.forEach((word, at) => foot.append(at % 2 ? ` ${word}${at < keys.length - 1 ? " · " : ""}` : make("kbd", "", word)));
  };
  const none = (query) => (writing.index.length
    ? `No soft prompt is called “${query}”.`
    : "The library is empty yet: drop a file into its folder, or make one in the tab Soft prompts.");

  const draw = () => {
    const { options, count } = open.name === null ? names(open.query) : strengths(open.query);
    const kept = open.options?.[open.active]?.title;
    open.options = options;
    list.replaceChildren(...options.map(row));
    list.hidden = !options.length;
    open.field.setAttribute("aria-expanded", Boolean(options.length));
    list.setAttribute("aria-label", open.name === null ? "Soft prompts" : `Strength of ${open.name}`);
    hint(count, options.length);
    mark(Math.max(0, open.moved ? options.findIndex((option) => option.title === kept) : 0));
    const what = open.name === null ? ["soft prompt", "soft prompts"] : ["strength", "strengths"];
    writing.say(`${count.toLocaleString("en-US")} ${what[count === 1 ? 0 : 1]} to choose from`, 400);
    place();
  };

  // Below the cursor's line, or above it, wholly within what one sees, with a phone's keyboard, too.
  const place = () => {
    if (!open) return;
    const at = caret(open.field, open.from);
    const seen = open.field.getBoundingClientRect();
    if (at.bottom < seen.top || at.top > seen.bottom) return close();
    const view = window.visualViewport ?? { offsetTop: 0, offsetLeft: 0, width: innerWidth, height: innerHeight };
    const [above, below] = [at.top - view.offsetTop - 12, view.offsetTop + view.height - at.bottom - 12];
    const up = below < 200 && above > below;
    // The window's own scroll bar covers a part of it.
    const wide = Math.min(view.width, document.documentElement.clientWidth);
    box.style.maxWidth = `${wide - 16}px`;
    // What stands beneath the list takes a line, or on a phone, in some fonts, two.
    const rest = box.offsetHeight - list.offsetHeight;
    list.style.maxHeight = `${Math.max(96, Math.min(320, (up ? above : below) - rest))}px`;
    const most = view.offsetLeft + wide - box.offsetWidth - 8;
    box.style.left = `${Math.max(view.offsetLeft + 8, Math.min(at.left, most))}px`;
    box.style.top = `${up ? at.top - box.offsetHeight - 4 : at.bottom + 4}px`;
  };

  const show = (now) => {
    const fresh = !open || open.field !== now.field || open.start !== now.start || (open.name === null) !== (now.name === null);
    if (open && open.field !== now.field) close();
    open = fresh ? { ...now, active: 0 } : { ...open, ...now, moved: open.moved && open.query === now.query };
    if (!box.isConnected) writing.layer().append(box);
    for (const [name, value] of Object.entries(COMBOBOX)) now.field.setAttribute(name, value);
    draw();
  };

  const close = () => {
    if (!open) return;
    for (const name of [...Object.keys(COMBOBOX), "aria-activedescendant"]) open.field.removeAttribute(name);
    writing.say("", 0);
    open = null;
    box.remove();
  };

  const choose = (at) => {
    const { field, from, options } = open;
    const [text, stop] = written(open, options[at].title);
    close();
    writing.write(field, from, stop, text);
  };

  // ---- what the writer does

  const look = (field) => {
    const now = typed(field);
    const gone = !now || (dismissed && (dismissed[0] !== field || dismissed[1] !== now.start));
    if (gone) dismissed = null;
    if (!now || dismissed) return close();
    writing.ask();
    show(now);
  };

  document.addEventListener("input", (event) => {
    if (!event.isComposing && writing.writes(event.target)) look(event.target);
  });
  let composing = false;
  document.addEventListener("compositionstart", () => { composing = true; });
  document.addEventListener("compositionend", (event) => {
    composing = false;
    if (writing.writes(event.target)) setTimeout(() => look(event.target));
  });
  document.addEventListener("selectionchange", () => {
    if (!open || composing) return;
    const now = typed(open.field);
    if (document.activeElement !== open.field || now?.start !== open.start) close();
    else if (now.at !== open.at) show(now);
  });
  document.addEventListener("focusout", (event) => { if (event.target === open?.field) close(); });
  for (const event of ["scroll", "resize"]) window.addEventListener(event, () => place(), { capture: true, passive: true });
  window.visualViewport?.addEventListener("resize", place);
  writing.changed(() => { if (open) draw(); });
  // A file that is dropped into the folder meanwhile appears in the open list.
  setInterval(() => { if (open) writing.ask(); }, 2000);

  // The name that is marked, ready for a strength: a colon cannot be a part of any.
  const strengthen = () => {
    const { field, from, at, query, options, active } = open;
    if (open.name !== null || !query || writing.known(query.normalize("NFC")) || !options[active]) return false;
    writing.write(field, from, at, `${options[active].title}:`);
    return true;
  };

  const step = (by) => {
    open.moved = true;
    mark((open.active + by + open.options.length) % open.options.length);
    return true;
  };

  const KEYS = {
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    Enter: () => (choose(open.active), true),
    Tab: () => (choose(open.active), true),
    ":": strengthen,
  };

  const pressed = (event) => {
    const { key, ctrlKey, altKey, metaKey, shiftKey } = event;
    // Enter ends a word there, and is none of ours.
    if (event.isComposing || event.keyCode === 229) return false;
    if (!open) {
      const now = key === "ArrowDown" && altKey && writing.writes(event.target) && typed(event.target);
      return now ? (dismissed = null, show(now), true) : false;
    }
    if (event.target !== open.field || ctrlKey || altKey || metaKey) return false;
    if (key === "Escape") return (dismissed = [open.field, open.start]), close(), true;
    if (!open.options.length || (shiftKey && key !== ":")) return false;
    return KEYS[key]?.() ?? false;
  };

  // Before the host's own listeners, for which Enter sends the message and Escape stops the reply.
  window.addEventListener("keydown", (event) => {
    if (!pressed(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, { capture: true });

  own.choosing = { search, close };
})();
