// The line under a text box: which tags stand in it, what they cost, and what keeps one from working.
;(() => {
  const own = window.softPrompts;
  if (own.costs) return;
  const { writing, grammar } = own;
  const { make, tokens } = writing;
  const MOST = 6;
  const lines = new Map(); // text box -> { line, value, shown, over }

  // ---- what there is to say of a text: { costs, sum, problems: [{ text, mend, start, stop }] }

  const UNCLOSED = "is not closed: type >> behind the name";
  const problemOf = (tag) => {
    const { problem, near, unknown } = writing.about(tag);
    if (!unknown) return problem && { text: `${tag.text}: ${problem}` };
    const mend = near && tag.text.replace(/^<<sp:[^:>]*/, `<<sp:${near}`);
    const words = near ? `: did you mean ${near}?` : ": the library has none of this name";
    return { text: `no soft prompt “${tag.name}”${words}`, mend };
  };

  // The longest name that the words behind `<<sp:` begin with; what follows it is text again.
  const begun = ({ text }) => {
    const words = text.slice(5).normalize("NFC");
    for (let end = words.length; end; end -= 1) {
      if (writing.known(words.slice(0, end)) && !/^[\p{L}\p{M}\p{N}]/u.test(words.slice(end))) return words.slice(0, end);
    }
    return "";
  };

  const unclosedOf = (field, fragment) => {
    const { text, start, stop } = fragment;
    const at = field.selectionStart;
    const within = document.activeElement === field && at >= start && at <= stop;
    if (within) return null; // is being typed
    const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
    if (text === "<<sp:") return { text: "“<<sp:” has no name: choose one, or take it away" };
    if (field.value.startsWith(">>", stop)) {
      const number = text.match(/^<<sp:([^:]+):(-?\d+),(\d+)$/);
      const mend = number && `<<sp:${number[1]}:${number[2]}.${number[3]}>>`;
      if (mend) return { text: `“${shown}>>” is no tag: a strength has a dot`, mend, start, stop: stop + 2 };
      return { text: `“${shown}>>” is no tag: a name has letters, digits, spaces and . _ - /` };
    }
    const name = begun(fragment);
    return { text: `“${shown}” ${UNCLOSED}`, mend: name && `<<sp:${name}>>`, start, stop: start + 5 + name.length };
  };

  const costsOf = (tags) => {
    const costs = new Map();
    for (const tag of tags) {
      const { tokens: each, problem, unknown } = writing.about(tag);
      if (problem || unknown) continue;
      const cost = costs.get(tag.text) ?? { text: tag.text, each, times: 0 };
      costs.set(tag.text, { ...cost, times: cost.times + 1 });
    }
    return [...costs.values()];
  };

  const tooMuch = (sum) => {
    const { context, reply } = writing.feed;
    return context && sum >= context - reply
      ? `together they need ${tokens(sum)}, and the context of ${context.toLocaleString("en-US")} keeps ` +
        `${reply.toLocaleString("en-US")} for the reply: take one out, or make the context longer`
      : "";
  };

  const read = (field) => {
    const tags = grammar.tags(field.value);
    const costs = costsOf(tags);
    const sum = costs.reduce((all, { each, times }) => all + each * times, 0);
    const seen = new Set();
    const problems = tags.flatMap((tag) => {
      if (seen.has(tag.text)) return [];
      seen.add(tag.text);
      const problem = problemOf(tag);
      return problem ? [{ start: tag.start, stop: tag.stop, ...problem }] : [];
    });
    problems.push(...grammar.unclosed(field.value).map((each) => unclosedOf(field, each)).filter(Boolean));
    const much = tooMuch(sum);
    if (much) problems.push({ text: much });
    return { tags: tags.length, costs, sum, problems, note: tags.length ? writing.feed.line : "" };
  };

  // ---- what it looks like; the webui hides every span within its text boxes

  const costText = ({ each, times }) => {
    if (!each) return times > 1 ? `× ${times}` : "";
    return `${tokens(each)}${times > 1 ? ` × ${times}` : ""}`;
  };

  const sumText = ({ costs, sum }) => {
    const { context } = writing.feed;
    if (!sum) return "";
    if (context) return `${sum.toLocaleString("en-US")} of ${tokens(context)}`;
    return costs.length > 1 || costs[0].times > 1 ? tokens(sum) : "";
  };

  const costRow = (found) => {
    const row = make("div", "sp-cost-row");
    found.costs.slice(0, MOST).forEach((cost, at) => {
      if (at) row.append(" · ");
      const each = make("b", "sp-cost-tag");
      each.append(make("code", "", cost.text), " ", make("b", "sp-cost-count", costText(cost)));
      row.append(each);
    });
    if (found.costs.length > MOST) row.append(` · and ${found.costs.length - MOST} more`);
    const sum = sumText(found);
    if (sum) row.append(" - ", make("b", "sp-cost-sum", sum));
    return row;
  };

  const problemRow = (field, problem) => {
    const row = make("div", "sp-cost-problem");
    const sign = make("b", "sp-cost-sign", "✕ ");
    sign.setAttribute("aria-hidden", "true");
    row.append(sign, problem.text);
    if (!problem.mend) return row;
    const button = make("button", "sp-mend", `Write ${problem.mend}`);
    button.type = "button";
    button.addEventListener("click", () => mend(field, problem));
    row.append(" ", button);
    return row;
  };

  const rows = (field, found) => {
    const { problems, note } = found;
    const made = found.costs.length ? [costRow(found)] : [];
    made.push(...problems.slice(0, MOST).map((each) => problemRow(field, each)));
    if (problems.length > MOST) made.push(make("div", "sp-cost-problem", `and ${problems.length - MOST} more like these`));
    if (note) made.push(make("div", "sp-cost-note", note));
    return made;
  };

  // The cursor stays where it was in the text.
  const mend = (field, { start, stop, mend: text }) => {
    const at = field.selectionStart;
    const longer = text.length - (stop - start);
    const then = at >= stop ? at + longer : Math.min(at, start + text.length);
    writing.write(field, start, stop, text);
    field.setSelectionRange(then, then);
    update(field);
  };

  // ---- where it stands: below the text in its own frame, or over what is around a frame that would be moved by it

  const floating = (field) => {
    for (let each = field.parentElement; each && each !== document.body; each = each.parentElement) {
      if (/absolute|fixed|sticky/.test(getComputedStyle(each).position)) return each;
    }
    return null;
  };

  const put = (field, line) => {
    const before = field.getBoundingClientRect().top;
    // gradio's own boxes stand in a frame with their label; the webui's for a message to edit stand bare.
    if (field.dataset.testid === "textbox") field.closest(".block").append(line);
    else field.after(line);
    const anchor = field.getBoundingClientRect().top < before - 0.5 && floating(field);
    if (!anchor) return;
    line.classList.add("sp-over");
    anchor.append(line);
  };

  // A box as high as the window gives the line its room, so that the page need not scroll for it.
  const share = (field, line) => {
    const atEnd = field.scrollTop + field.clientHeight >= field.scrollHeight - 2;
    field.style.maxHeight = "";
    const page = document.scrollingElement;
    const over = page.scrollHeight - page.clientHeight;
    if (over <= 0 || over > line.offsetHeight + 1 || field.offsetHeight < 200) return;
    const look = getComputedStyle(field);
    const whole = look.boxSizing === "border-box" ? field.offsetHeight : parseFloat(look.height);
    field.style.maxHeight = `${whole - over}px`;
    if (atEnd) field.scrollTop = field.scrollHeight;
  };

  // One short line has room between that frame and the window's foot; more lies over what is around, with a ground.
  const fit = (field, line) => {
    if (!line.classList.contains("sp-over")) return share(field, line);
    line.classList.remove("sp-framed", "sp-above");
    const room = window.innerHeight - line.parentElement.getBoundingClientRect().bottom;
    line.classList.toggle("sp-framed", line.offsetHeight > 18 || line.offsetHeight > room);
    line.classList.toggle("sp-above", line.offsetHeight > room);
  };

  const remove = (field) => {
    if (!lines.has(field)) return;
    lines.get(field).line.remove();
    lines.delete(field);
    field.style.maxHeight = "";
    writing.say("");
  };

  const update = (field) => {
    const found = read(field);
    const made = rows(field, found);
    if (!made.length) return remove(field);
    const kept = lines.get(field);
    const line = kept?.line.isConnected ? kept.line : make("section", "sp-writing sp-cost");
    const shown = made.map((each) => each.textContent).join(". ");
    const changed = shown !== kept?.shown || JSON.stringify(found.problems) !== kept?.problems;
    if (changed) line.replaceChildren(...made);
    if (line !== kept?.line) {
      line.setAttribute("aria-label", "Soft prompts in this text");
      put(field, line);
    }
    lines.set(field, { line, shown, value: field.value, problems: JSON.stringify(found.problems) });
    if (changed || line !== kept?.line) fit(field, line);
    if (shown !== kept?.shown && document.activeElement === field) writing.say(shown, 1200);
  };

  // ---- when: a moment after a key, and twice a second for what the page itself writes, as an answer or an empty box

  const visible = (field) => field.isConnected && field.offsetParent !== null;
  const tick = () => {
    if (document.hidden) return;
    for (const field of lines.keys()) if (!field.isConnected) remove(field);
    for (const field of writing.fields()) {
      const worth = lines.has(field) || field.value.includes("<<sp:");
      if (worth && visible(field)) update(field);
    }
  };

  const due = new Map();
  document.addEventListener("input", (event) => {
    const field = event.target;
    if (!writing.writes(field)) return;
    // The model or the library may be another by now.
    if (field.value.includes("<<sp:")) writing.ask();
    clearTimeout(due.get(field));
    due.set(field, setTimeout(() => { due.delete(field); if (visible(field)) update(field); }, 150));
  });
  document.addEventListener("focusout", (event) => { if (lines.has(event.target)) setTimeout(tick); });
  window.addEventListener("resize", () => { for (const [field, { line }] of lines) fit(field, line); });
  writing.changed(tick);
  setInterval(() => { if (!due.size) tick(); }, 500);

  own.costs = { update };
})();
