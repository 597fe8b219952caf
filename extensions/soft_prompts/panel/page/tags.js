// The grammar of tags, the same as in tags.py, which says it in words; a test holds the two equal.
;(() => {
  if (window.softPrompts.grammar) return;

  // Unicode's way of counting, so that 200 characters are 200 in both.
  const CANDIDATE = /<<sp:([^<>:\r\n\t]{1,200})(?::(-?[0-9]{1,20}(?:\.[0-9]{1,20})?))?>>/gu;
  const NAME = /^(?! )[\p{L}\p{M}\p{N} ._\/\u200c\u200d-]+(?<! )$/u;
  const BEGUN = /<<sp:[^<>\r\n\t]*/g;

  // In steps of 0.01, halves to the even one.
  const rounded = (strength) => {
    const steps = Number(strength) * 100;
    let near = Math.round(steps);
    if (Math.abs(steps % 1) === 0.5 && near % 2) near -= 1;
    return near / 100 + 0;
  };

  const slashesBefore = (text, at) => {
    let start = at;
    while (text[start - 1] === "\\") start -= 1;
    return at - start;
  };

  // Every tag, escaped ones too: { name, strength, text, start, stop, escaped }.
  const all = (text) => {
    const found = [];
    let end = 0;
    CANDIDATE.lastIndex = 0;
    for (let match; (match = CANDIDATE.exec(text)); ) {
      const name = match[1].normalize("NFC");
      const start = match.index;
      const stop = start + match[0].length;
      CANDIDATE.lastIndex = NAME.test(name) ? stop : start + 1;
      if (!NAME.test(name)) continue;
      const escaped = slashesBefore(text.slice(end, start), start - end) % 2 === 1;
      found.push({ name, strength: rounded(match[2] ?? 1), text: match[0], start, stop, escaped });
      end = stop;
    }
    return found;
  };

  const tags = (text) => (text.includes("<<sp:") ? all(text).filter((tag) => !tag.escaped) : []);

  // As tags.parse: texts and tags in turn, a backslash before a tag read as what it means.
  const parse = (text) => {
    const pieces = [];
    let literal = "";
    let end = 0;
    for (const { name, strength, text: spelled, start, stop, escaped } of all(text)) {
      const count = slashesBefore(text.slice(end, start), start - end);
      literal += text.slice(end, start - count) + "\\".repeat(count >> 1);
      if (escaped) literal += spelled;
      else {
        if (literal) pieces.push(literal);
        pieces.push({ name, strength, text: spelled });
        literal = "";
      }
      end = stop;
    }
    literal += text.slice(end);
    return literal ? [...pieces, literal] : pieces;
  };

  // What begins as a tag and is none: { text, start, stop }; one that a backslash stands before is meant as a text.
  const unclosed = (text) => {
    if (!text.includes("<<sp:")) return [];
    const known = new Set(all(text).map((tag) => tag.start));
    return [...text.matchAll(BEGUN)]
      .filter((match) => !known.has(match.index) && text[match.index - 1] !== "\\")
      .map((match) => ({ text: match[0], start: match.index, stop: match.index + match[0].length }));
  };

  window.softPrompts.grammar = { parse, tags, unclosed, isName: (name) => NAME.test(name) };
})();
