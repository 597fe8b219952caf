// Where a character of a text box stands on the screen: a copy of the box, laid out as it is, with a mark in it.
;(() => {
  const own = window.softPrompts;
  if (own.caret) return;
  const LOOK = [
    "fontFamily", "fontSize", "fontStyle", "fontVariant", "fontWeight", "fontStretch", "fontKerning", "letterSpacing",
    "wordSpacing", "lineHeight", "tabSize", "textIndent", "textTransform", "textAlign", "direction", "wordBreak",
    "overflowWrap", "paddingTop", "paddingRight", "paddingBottom", "paddingLeft",
  ];

  const copyOf = (field, at) => {
    const style = getComputedStyle(field);
    const copy = document.createElement("div");
    for (const name of LOOK) copy.style[name] = style[name];
    Object.assign(copy.style, {
      position: "absolute", top: "0", left: "0", visibility: "hidden", boxSizing: "border-box", border: "0",
      // Without the scroll bar, which takes its room from the text.
      width: field.tagName === "INPUT" ? "max-content" : `${field.clientWidth}px`,
      whiteSpace: field.tagName === "INPUT" ? "pre" : "pre-wrap",
    });
    copy.setAttribute("aria-hidden", "true");
    copy.append(field.value.slice(0, at));
    return copy;
  };

  // { left, top, bottom } of the place before the character `at`, from the window's corner.
  const caret = (field, at) => {
    const copy = copyOf(field, at);
    const mark = document.createElement("span");
    // The rest of its word, which takes it to the next line where it is too long for this one.
    mark.textContent = field.value.slice(at, at + 200).match(/^\S+/)?.[0] ?? "\u200b";
    copy.append(mark);
    document.body.append(copy);
    const first = mark.getClientRects()[0];
    const corner = copy.getBoundingClientRect();
    const place = { left: first.left - corner.left, top: first.top - corner.top, height: first.height };
    copy.remove();
    const box = field.getBoundingClientRect();
    // One line stands in the middle of its box.
    const down = field.tagName === "INPUT" ? (field.clientHeight - corner.height) / 2 : 0;
    const top = box.top + field.clientTop + down + place.top - field.scrollTop;
    return { left: box.left + field.clientLeft + place.left - field.scrollLeft, top, bottom: top + place.height };
  };

  own.caret = caret;
})();
