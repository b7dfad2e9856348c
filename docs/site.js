// Tables that are wider than the page are scrolled; the keyboard has to reach them too.  What is a dialog has a name.
window.addEventListener("load", () => {
  document.querySelector("[data-md-component=search]").setAttribute("aria-label", "Search");
  for (const each of document.querySelectorAll(".md-typeset__scrollwrap")) each.tabIndex = 0;
  document.querySelectorAll(".md-code__nav").forEach((each, number) => each.setAttribute("aria-label", `Block ${number + 1}`));
});
