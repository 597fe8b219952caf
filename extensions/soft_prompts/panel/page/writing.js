// Where the writer writes: the names that the library has, and what is known of a tag. The list (choosing.js), the line
// under a text box (costs.js) and the chips (chips.js) are made of it.
;(() => {
  const own = window.softPrompts;
  if (own.writing) return;
  const { part, isText } = own;
  const EVERY = 2000;
  const LARGEST = 4;

  // ---- the names, asked for while somebody writes, and not again before the answer to the last is there

  let feed = { names: [], context: 0, reply: 0, state: "", line: "" };
  let sent = null;
  let known = new Map();
  let index = [];
  const listeners = [];
  let asked = 0;
  let waiting = false;
  let later = 0;

  const ask = () => {
    const since = Date.now() - asked;
    if (waiting && since < 30000) return;
    clearTimeout(later);
    if (since < EVERY) {
      later = setTimeout(ask, EVERY - since);
      return;
    }
    const button = part("#sp-names-poll");
    if (!button) return;
    asked = Date.now();
    waiting = true;
    button.click();
  };

  const named = (json) => {
    waiting = false;
    if (!json || json === sent) return;
    sent = json;
    feed = JSON.parse(json);
    known = new Map(feed.names.map((entry) => [entry.name, entry]));
    index = feed.names.map((entry) => {
      const folded = entry.name.toLowerCase();
      return { entry, folded, base: folded.slice(folded.lastIndexOf("/") + 1) };
    });
    nearest.clear();
    for (const listener of listeners) listener();
  };

  // ---- which name is meant by one that nothing has

  const LIKE = (length) => (length < 4 ? 1 : length < 8 ? 2 : 3);
  const nearest = new Map();

  // Letters to change, add, leave out or swap; given up beyond `most`.
  const distance = (from, to, most) => {
    if (Math.abs(from.length - to.length) > most) return most + 1;
    let [older, old] = [[], [...Array(to.length + 1).keys()]];
    for (let i = 1; i <= from.length; i += 1) {
      const row = [i];
      for (let j = 1; j <= to.length; j += 1) {
        row[j] = Math.min(old[j] + 1, row[j - 1] + 1, old[j - 1] + (from[i - 1] === to[j - 1] ? 0 : 1));
        if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]) {
          row[j] = Math.min(row[j], older[j - 2] + 1);
        }
      }
      if (Math.min(...row) > most) return most + 1;
      [older, old] = [old, row];
    }
    return old[to.length];
  };

  const near = (name) => {
    if (!nearest.has(name)) {
      const folded = name.toLowerCase().replace(/\.(safetensors|txt|pt|bin|gguf|json|zip)$/, "");
      let best = null;
      let least = LIKE(folded.length) + 1;
      for (const each of index) {
        const far = folded === each.base ? 0 : distance(folded, each.folded, least - 1);
        if (far < least) [best, least] = [each.entry.name, far];
        if (!least) break;
      }
      nearest.set(name, best);
    }
    return nearest.get(name);
  };

  // ---- what is known of a tag: { tokens, problem, near }; a problem is why it does nothing

  const about = (tag) => {
    if (Math.abs(tag.strength) > LARGEST) {
      return { tokens: 0, problem: `a strength lies between -${LARGEST} and ${LARGEST}, 1 being the prompt as it is` };
    }
    const entry = known.get(tag.name);
    if (entry) return { tokens: entry.tokens, problem: entry.usable || entry.waits ? "" : entry.reason };
    return sent === null ? { tokens: 0, problem: "" } : { tokens: 0, problem: "", near: near(tag.name), unknown: true };
  };

  // ---- text boxes that a writer writes in; one of the panel's own says so by this class

  const writes = (field) => isText(field) || (field?.matches?.(".sp-writes textarea") && !field.readOnly);
  const fields = () => [...document.querySelectorAll('textarea, input[data-testid="textbox"]')].filter(writes);

  // insertText keeps the writer's undo; a box that cannot have the focus is written to directly.
  const write = (field, start, stop, text) => {
    field.focus({ preventScroll: true });
    field.setSelectionRange(start, stop);
    if (document.activeElement === field && document.execCommand("insertText", false, text)) return;
    field.setRangeText(text, start, stop, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };

  // ---- small things

  const make = (kind, name, text = "") => {
    const made = document.createElement(kind);
    if (name) made.className = name;
    if (text) made.textContent = text;
    return made;
  };
  const tokens = (count) => `${count.toLocaleString("en-US")} ${count === 1 ? "token" : "tokens"}`;

  // Over everything; within the page's own container, where gradio 4 lets the style sheet count.
  const layer = () => {
    let found = document.querySelector("#sp-layer");
    if (!found) {
      found = make("div", "sp-writing");
      found.id = "sp-layer";
      (document.querySelector(".gradio-container .contain") ?? document.body).append(found);
    }
    return found;
  };

  // Read out once it has stood still; told: by the list and by the line.
  let saying = 0;
  const say = (text, after = 700) => {
    let live = document.querySelector("#sp-live");
    if (!live) {
      live = make("div", "sp-unseen");
      live.id = "sp-live";
      live.setAttribute("role", "status");
      live.setAttribute("aria-live", "polite");
      layer().append(live);
    }
    clearTimeout(saying);
    saying = setTimeout(() => { if (live.textContent !== text) live.textContent = text; }, after);
  };

  document.addEventListener("focusin", (event) => { if (writes(event.target)) ask(); });

  own.named = named;
  own.writing = {
    ask, about, near, write, writes, fields, make, tokens, layer, say,
    get feed() { return feed; },
    get index() { return index; },
    get arrived() { return sent !== null; },
    known: (name) => known.get(name),
    changed: (listener) => listeners.push(listener),
  };
  ask();
  // The panel may be drawn a moment after the page.
  const first = setInterval(() => { if (sent !== null) clearInterval(first); else ask(); }, EVERY);
})();
