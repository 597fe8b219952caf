// The sheet: what stands on it is still there when the page is opened again, in this browser alone.
;(() => {
  const KEY = "soft-prompts-sheet";
  const box = () => document.querySelector("#sp-sheet:has(#sp-go) #sp-text textarea");
  let kept = null;
  const keep = () => {
    const field = box();
    if (!field) return;
    try {
      if (kept === null) {
        kept = localStorage.getItem(KEY) ?? "";
        if (!kept || field.value) return;
        field.value = kept;
        field.dispatchEvent(new Event("input", { bubbles: true }));
      } else if (field.value !== kept) {
        kept = field.value;
        localStorage.setItem(KEY, kept);
      }
    } catch {
      kept = field.value; // a browser that keeps nothing
    }
  };
  setInterval(keep, 500);
  keep();
})();
