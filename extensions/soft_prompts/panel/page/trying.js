// Trying: what a word owes to its prompt, for pointer and keys; copying a column; and news of the library.
;(() => {
  const { PANEL, part, note, insert, copy, often, news } = window.softPrompts;
  if (window.softPrompts.colours) return;
  const PAGE = `${PANEL} #sp-try-page`;
  const NOTE = "#sp-try-note";

  // ---- one word, and its numbers

  // Its words stand in a line for those who listen, and beside the word for those who look.
  const bubble = () => {
    const made = part("#sp-try-bubble") ?? Object.assign(document.createElement("div"), { id: "sp-try-bubble" });
    made.ariaHidden = "true";
    if (!made.isConnected) document.querySelector(PAGE).append(made);
    return made;
  };
  let told = null;
  const hide = () => { told = null; part("#sp-try-bubble")?.classList.remove("sp-on"); };
  const place = () => {
    const [at] = told?.getClientRects() ?? [];
    if (!at) return hide();
    const box = bubble();
    const left = Math.min(at.left, document.documentElement.clientWidth - box.offsetWidth - 8);
    const below = at.bottom + 6;
    const fits = below + box.offsetHeight < document.documentElement.clientHeight;
    box.style.left = `${Math.max(8, left)}px`;
    box.style.top = `${fits ? below : at.top - box.offsetHeight - 6}px`;
    box.classList.add("sp-on");
  };
  const say = (word) => {
    const text = word.textContent.trim() || "a space";
    const words = `“${text}”: ${word.dataset.say ?? "about as likely in both"}`;
    const line = part("#sp-try-word");
    if (line) line.textContent = words;
    bubble().textContent = words;
    told = word;
    place();
  };
  const choose = (word) => {
    for (const old of document.querySelectorAll(`${PAGE} .sp-now`)) old.classList.remove("sp-now");
    word.classList.add("sp-now");
    say(word);
  };
  const wordAt = (target) => target.closest?.(`${PAGE} .sp-story .sp-tok`);

  document.addEventListener("mouseover", (event) => {
    const word = wordAt(event.target);
    if (word) say(word); else hide();
  });
  document.addEventListener("scroll", () => { if (told) place(); }, true);
  // ---- what is said before the server has heard of it, and which trial is this page's

  let run = "";
  const line = () => part("#sp-try-state .sp-go, #sp-try-state .sp-said span:last-child");
  const said = (words) => { if (line()) line().textContent = words; };
  const going = () => /^(Waiting|Writing)/.test(line()?.textContent ?? "");

  // While it is captured: before gradio hears of it. A second click means the same trial, and nothing more.
  document.addEventListener("click", (event) => {
    if (event.target.closest?.(`${PAGE} #sp-try-write`) && !going()) {
      run = `${Date.now()}.${Math.random()}`;
      said("Waiting for the model …");
    }
    if (event.target.closest?.(`${PAGE} #sp-try-stop`) && going()) said("Stopping …");
  }, true);

  document.addEventListener("click", (event) => {
    const word = wordAt(event.target);
    if (word) choose(word);
    const column = event.target.closest?.(`${PAGE} .sp-col`);
    if (event.target.closest?.(`${PAGE} .sp-copy-text`)) copyText(column);
    const tag = event.target.closest?.(`${PAGE} .sp-insert-tag`)?.dataset.tag;
    if (tag) insert(tag, NOTE);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    const story = event.target.matches?.(`${PAGE} .sp-story`) ? event.target : null;
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!story || (!step && event.key !== "Home" && event.key !== "End")) return;
    const words = [...story.querySelectorAll(".sp-tok")];
    const at = words.indexOf(story.querySelector(".sp-now"));
    const next = step ? Math.max(0, Math.min(words.length - 1, at + step)) : event.key === "Home" ? 0 : words.length - 1;
    if (!words[next]) return;
    event.preventDefault();
    words[next].scrollIntoView({ block: "nearest" });
    choose(words[next]);
  });

  const copyText = (column) => {
    const text = [...column.querySelectorAll(".sp-story .sp-tok")].map((word) => word.textContent).join("");
    return copy(text, "Copied.", "The browser does not let it be copied: select it and press Ctrl+C.", NOTE);
  };

  // ---- news of the library

  const { rung, answered } = news("#sp-try-poll", 1500, () => document.querySelector(PAGE)?.offsetParent);
  // Where no soft prompt stands, there is no strength.
  const sides = () => {
    for (const side of document.querySelectorAll(`${PAGE} .sp-side`)) {
      side.classList.toggle("sp-nothing", (side.querySelector("input")?.value ?? "").startsWith("("));
    }
  };
  often(() => setTimeout(sides), 1500);

  Object.assign(window.softPrompts, {
    trying: rung,
    tried: answered,
    sides: () => setTimeout(sides),
    colours: (on) => part("#sp-try-page")?.classList.toggle("sp-plain", !on),
    // The first two of what is sent: the name of this page's trial, and the tag of the row chosen in the library.
    signed: ([, ...sent]) => [run, ...sent],
    hinted: ([run, , ...sent]) => {
      const chosen = part("#sp-details .sp-chosen") && part("#sp-tag textarea, #sp-tag input")?.value;
      return [run, chosen || "", ...sent];
    },
  });
})();
