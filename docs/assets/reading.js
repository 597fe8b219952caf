/* For who reads by keyboard or ear: the search says what it is, and code that is too wide can be scrolled by keys. */
document.querySelector(".md-search")?.setAttribute("aria-label", "Search")
addEventListener("load", () =>
  setTimeout(() => {
    for (const code of document.querySelectorAll("pre > code")) code.setAttribute("tabindex", "0")
  }, 100),
)
