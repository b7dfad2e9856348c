// --- showing what the address says ---

let before = null;

function showCells(wanted) {
  const asked = JSON.stringify(KEPT.map((name) => wanted[name] || ""));
  if (asked === before) return false;
  before = asked;
  for (const name of [...FILTERS, "view", "sort"]) {
    const field = form.elements[name];
    if (document.activeElement !== field || field.value !== (wanted[name] || "")) field.value = wanted[name] || "";
    field.classList.toggle("set", Boolean(wanted[name]));
  }
  answer(wanted);
  const found = cells.filter((cell) => matches(cell, wanted));
  const silent = found.filter((cell) => cell.kind === "silent").length, right = found.filter((cell) => cell.kind === "good").length;
  named("found").textContent = `${found.length} cells: ${right} right, ${silent} silently wrong`;
  const box = named("cells");
  box.replaceChildren(wanted.view === "list" ? list(found, wanted) : matrix(found, wanted.sort));
  rove(box);
  const legend = named("legend");
  legend.replaceChildren();
  const seen = new Set(found.flatMap((cell) => (cell.after ? [cell, cell.after] : [cell])).map((cell) => `${cell.status}\n${cell.letter}\n${cell.kind}`));
  for (const one of [...seen].sort()) {
    const [status, letter, kind] = one.split("\n");
    legend.append(element("li", {}, element("span", { class: `chip k-${kind}` }, letter), ` ${words(status)}${letter.endsWith("!") ? ", without a warning" : kind === "nothing" && status === "mismatch" ? " with another step, or with continuous time" : ""}`));
  }
  return true;
}

function show() {
  const wanted = state();
  const there = [...document.querySelectorAll(".tab")].map((tab) => tab.id);
  const tab = there.includes(wanted.tab) ? wanted.tab : "matrix";
  for (const id of there) named(id).hidden = id !== tab;
  for (const link of document.querySelectorAll("nav a[data-tab]")) {
    // A filter stays while one reads on another page.
    link.setAttribute("href", address({ ...wanted, cell: "", tab: link.dataset.tab }));
    if (link.dataset.tab === tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const other = tab === "matrix" && showCells(wanted);
  if (wanted.at && named(wanted.at)) {
    named(wanted.at).open = true;
    named(wanted.at).scrollIntoView();
  }
  if (wanted.cell) open(wanted.cell);
  else if (dialog.open) dialog.close();
  return { tab, other };
}

/** Go to what an address asks for; whether it asks for anything. */
function arrive(wanted) {
  if (!KEPT.some((name) => wanted[name])) return false;
  named(wanted.exporter && wanted.importer ? "ask" : "matrix-heading").scrollIntoView();
  return true;
}

form.addEventListener("input", () => {
  const wanted = state();
  for (const name of [...FILTERS, "view", "sort"]) wanted[name] = form.elements[name].value;
  replace(wanted);
});
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", (event) => {
  event.preventDefault();
  replace({});
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  named("main-content").focus();
});
let last = "";
window.addEventListener("hashchange", () => {
  const wanted = state(), { tab, other } = show(), turned = tab !== last;
  last = tab;
  if (wanted.cell || wanted.at || !(turned || other)) return;
  if (tab !== "matrix" || !other || !arrive(wanted)) window.scrollTo(0, 0);
});

fillFilters();
fillQuestion();
last = show().tab;
if (last === "matrix") arrive(state());
