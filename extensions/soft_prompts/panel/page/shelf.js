// The library's files: a file dropped on the list, one that is fetched, and the trash.
;(() => {
  const { PANEL, part } = window.softPrompts;
  if (window.softPrompts.download) return;
  const SECTION = `${PANEL} #sp-shelf-page`;

  const say = (selector, text) => {
    const box = part(`${selector} textarea, ${PANEL} ${selector} input`);
    box.value = text;
    box.dispatchEvent(new Event("input", { bubbles: true }));
  };

  // ---- a file dropped anywhere on the section goes the way of the button

  const brings = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const input = () => part("#sp-bring input[type=file]");
  const mark = (on) => part("#sp-shelf-page")?.classList.toggle("sp-dropping", on);
  const free = () => !part("#sp-upload")?.disabled && !part("#sp-upload button")?.disabled;

  document.addEventListener("dragover", (event) => {
    if (!brings(event) || !event.target.closest?.(SECTION)) return mark(false);
    event.preventDefault();
    event.dataTransfer.dropEffect = free() ? "copy" : "none";
    mark(free());
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) mark(false); });
  document.addEventListener("drop", (event) => {
    mark(false);
    if (!brings(event) || !event.target.closest?.(SECTION)) return;
    event.preventDefault();
    const into = input();
    if (!into || !free() || !event.dataTransfer.files.length) return;
    const one = new DataTransfer();
    one.items.add(event.dataTransfer.files[0]);
    into.files = one.files;
    into.dispatchEvent(new Event("change", { bubbles: true }));
  });

  // ---- the second click of a double click is none: what the first one said would be gone at once

  const ONCE = ["rename", "describe", "duplicate", "convert", "discard", "undo", "take-back", "keep", "refuse", "make"]
    .map((name) => `${PANEL} #sp-${name}`).join();
  document.addEventListener("click", (event) => {
    if (event.detail < 2 || !event.target.closest?.(ONCE)) return;
    event.stopImmediatePropagation();
    event.preventDefault();
  }, true);

  // ---- the trash

  document.addEventListener("click", (event) => {
    const back = event.target.closest?.(`${PANEL} .sp-back`);
    if (back) say("#sp-bin", back.dataset.bin);
  });

  // ---- a copy that was made for this page; as a blob, so that it keeps its name

  const download = async (file) => {
    const one = Array.isArray(file) ? file[0] : file;
    if (!one?.url) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await (await fetch(one.url)).blob());
    link.download = one.orig_name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  };

  Object.assign(window.softPrompts, { download });
})();
