// Training: which start is chosen, the buttons of runs, the table of facts, and news.
;(() => {
  const { PANEL, part, insert, reveal, news, redrawn } = window.softPrompts;
  if (window.softPrompts.train) return;
  const PAGE = "#sp-train-page";
  const AT_ONCE = 100; // rows of the table; more are shown on demand, and all are kept

  const box = (name) => part(`#sp-train-${name} textarea, #sp-train-${name} input`);
  const put = (name, text) => {
    const field = box(name);
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };

  // ---- the buttons of runs

  let last = "";
  let asked = 0;
  const act = (button) => {
    const { act, run, tag, sure } = button.dataset;
    if (act === "insert") return insert(tag, `.sp-run[data-run="${run}"] .sp-note`);
    if (sure && !button.dataset.armed) return arm(button, sure);
    // Of a double click, the first one counts.
    if (last === act + run && Date.now() - asked < 700) return;
    [last, asked] = [act + run, Date.now()];
    const name = button.closest(".sp-buttons").querySelector(".sp-new")?.value;
    const agreed = button.closest(".sp-run")?.querySelector(".sp-agree")?.checked;
    put("act", JSON.stringify({ act, run, new: name, agreed, time: asked }));
  };

  const arm = (button, words) => {
    const before = button.textContent;
    button.dataset.armed = "yes";
    button.textContent = words;
    setTimeout(() => { delete button.dataset.armed; button.textContent = before; }, 4000);
  };

  // ---- what a new drawing takes away: the chosen card, the focus, and what was opened

  const opened = new Map();
  let focused = null;
  const runs = () => document.querySelectorAll(`${PAGE} .sp-run`);
  const mark = () => {
    const kind = part("[data-kind]:not(.sp-card)")?.dataset.kind ?? "";
    for (const card of document.querySelectorAll(`${PAGE} .sp-card`)) {
      const pressed = String(card.dataset.kind === kind);
      if (card.getAttribute("aria-pressed") !== pressed) card.setAttribute("aria-pressed", pressed);
    }
    for (const run of runs()) {
      const open = opened.get(run.dataset.run);
      if (open !== undefined && run.open !== open) run.open = open;
    }
    if (focused && document.activeElement === document.body) {
      const same = part(`[data-run="${focused.run}"][data-act="${focused.act}"]`);
      (same ?? part(`[data-run="${focused.run}"][data-act]`))?.focus({ preventScroll: true });
    }
  };

  document.addEventListener("focusin", (event) => { focused = event.target.closest?.(`${PAGE} [data-act]`)?.dataset ?? null; });
  document.addEventListener("click", (event) => {
    const at = (selector) => event.target.closest?.(`${PAGE} ${selector}`);
    const card = at(".sp-card");
    const button = at("[data-act]");
    const run = at(".sp-run > summary")?.parentElement;
    if (card) put("kind", card.dataset.kind);
    if (button) act(button);
    if (run) opened.set(run.dataset.run, !run.open);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches?.(`${PAGE} .sp-new`)) {
      event.target.closest(".sp-buttons").querySelector("[data-act]").click();
    }
  });

  // ---- the table of facts: drawn here, so that a thousand rows are no thousand components

  let rows = [];
  let shown = AT_ONCE;
  const make = (tag, facts = {}, ...inside) => {
    const made = Object.assign(document.createElement(tag), facts);
    made.append(...inside);
    return made;
  };
  const save = () => put("table", JSON.stringify(rows));
  const field = (row, column, name) => {
    const made = make("textarea", { value: row[column], rows: 1 });
    made.setAttribute("aria-label", name);
    made.addEventListener("input", () => { row[column] = made.value; save(); });
    return make("td", {}, made);
  };
  const held = (row, number) => {
    const made = make("input", { type: "checkbox", checked: row[2] });
    made.setAttribute("aria-label", `Fact ${number} is held out`);
    made.addEventListener("change", () => { row[2] = made.checked; save(); });
    return make("td", {}, made);
  };
  const remover = (row, number) => {
    const made = make("button", { type: "button", className: "sp-remove", textContent: "×" });
    made.setAttribute("aria-label", `Delete fact ${number}`);
    made.addEventListener("click", () => {
      const at = rows.indexOf(row);
      rows.splice(at, 1);
      if (!rows.length) rows.push(["", "", false]);
      drawn();
      save();
      document.querySelectorAll(`${PAGE} .sp-remove`)[Math.min(at, rows.length - 1)]?.focus();
    });
    return make("td", {}, made);
  };
  const line = (row, place) => make("tr", {},
    field(row, 0, `Call ${place + 1}`), field(row, 1, `Response ${place + 1}`),
    held(row, place + 1), remover(row, place + 1));
  const drawn = () => {
    const head = make("thead", {}, make("tr", {}, ...["What comes up (call)", "What follows (response)", "Held out", ""].map((name) =>
      make("th", { textContent: name, scope: "col" }))));
    const body = make("tbody", {}, ...rows.slice(0, shown).map(line));
    const more = make("button", { type: "button", className: "sp-btn", textContent: "Add a fact" });
    more.addEventListener("click", () => {
      rows.push(["", "", false]);
      shown = Math.max(shown, rows.length);
      drawn();
      save();
      part("#sp-train-rows tbody tr:last-child textarea").focus();
    });
    const rest = make("button", { type: "button", className: "sp-btn",
      textContent: `Show more: ${shown} of ${rows.length} are here` });
    rest.addEventListener("click", () => { shown += 5 * AT_ONCE; drawn(); });
    part("#sp-train-rows").replaceChildren(make("table", {}, head, body),
      make("div", { className: "sp-buttons" }, more, ...(rows.length > shown ? [rest] : [])));
  };
  const draw = (text) => {
    if (text === JSON.stringify(rows) && part("#sp-train-rows table")) return;
    rows = JSON.parse(text || "[]");
    shown = AT_ONCE;
    drawn();
  };

  // ---- news

  redrawn(PAGE, () => {
    part("#sp-train-spoken")?.setAttribute("aria-live", "polite");
    mark();
  });
  const { rung, answered } = news("#sp-train-poll", 1000, () => document.querySelector(PAGE)?.offsetParent,
    () => part("#sp-train-progress .sp-live"));

  window.softPrompts.train = {
    rung, answered, draw,
    // What was begun stands at the top, perhaps out of sight.
    began: () => { if (part("#sp-train-progress .sp-live")) reveal("#sp-train-progress"); },
  };
})();
