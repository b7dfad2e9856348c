// --- one network, from one library into another ---

function fillQuestion() {
  for (const [name, values] of Object.entries({ exporter: data.libraries, importer: data.libraries, family: OPTIONS.family() })) {
    question.elements[name].append(element("option", { value: "" }, name === "family" ? "of any sort" : "choose"));
    for (const value of values) question.elements[name].append(element("option", { value }, value));
  }
  question.addEventListener("submit", (event) => event.preventDefault());
  question.addEventListener("input", () => {
    const { view, sort } = state(), asked = {};
    for (const name of ["exporter", "importer", "family"]) asked[name] = question.elements[name].value;
    replace({ view, sort, ...asked });
  });
}

/** How far one gets with a cell, best first: as it is, once rewritten, not at all. */
const rank = (cell) => (cell.kind === "good" ? 0 : cell.after && cell.after.kind === "good" ? 1 : cell.importer ? 2 : 3);
const RANKS = ["right as it is", "right once rewritten", "not right", "no graph"];

function asked(wanted) {
  const { exporter, importer, family } = wanted;
  return cells.filter((cell) => cell.atExport && cell.exporter === exporter && (!cell.importer || cell.importer === importer)
    && (!family || cell.family === family));
}

/** Of the networks that are right, the one of the same sort that has most in common with another. */
function nearest(name, right) {
  const own = data.networks[name], parts = own.about.split(", ");
  const begun = (other) => [...other].findIndex((letter, at) => letter !== name[at]);
  const common = (other) => 100 * data.networks[other].about.split(", ").filter((part) => parts.includes(part)).length + begun(other);
  return right.filter((other) => data.networks[other].family === own.family).sort((a, b) => common(b) - common(a))[0];
}

/** A network in a line: the better of its idioms, what came of it, and what hinders the other. */
function line(group, right) {
  const [best, ...others] = [...group].sort((a, b) => rank(a) - rank(b));
  const how = rank(best), known = data.issues[best.known_issue], about = data.networks[best.network].about;
  const item = element("li", {}, element("span", { class: `chip k-${best.kind}` }, best.letter));
  if (best.after) item.append(" ", element("span", { class: `chip k-${best.after.kind}` }, best.after.letter));
  item.append(" ", element("a", { href: address({ ...state(), cell: best.cell_id }) }, best.network), about ? ` (${about}): ` : ": ",
    element("strong", {}, RANKS[how]));
  const end = how ? best.after : best;
  if (how < 2 && best.accuracy_source !== null && end.accuracy_target !== null) {
    item.append(`, accuracy ${best.accuracy_source.toFixed(2)} → ${end.accuracy_target.toFixed(2)}`);
  }
  item.append([". ", ". As it is: ", ": ", ": "][how]);
  if (how) item.append(known ? `${known}. ` : `${best.says} `);
  if (how === 2) item.append(`${best.remedied} `);
  const like = how < 2 ? "" : nearest(best.network, right);
  if (like) item.append(`Nearest network that is right: ${like} (${data.networks[like].about}).`);
  if (how < 2 && others.some((one) => rank(one) > how)) {
    item.append(element("span", { class: "faint" }, `Write it in the ${best.idiom} way; as ${others[0].idiom}: ${RANKS[rank(others[0])]}.`));
  }
  return item;
}

function answer(wanted) {
  const box = named("answer"), { exporter, importer } = wanted, sort = wanted.family ? `${wanted.family} ` : "";
  for (const name of ["exporter", "importer", "family"]) question.elements[name].value = wanted[name] || "";
  box.replaceChildren();
  const groups = new Map();
  for (const cell of exporter && importer ? asked(wanted) : []) groups.set(cell.network, [...(groups.get(cell.network) || []), cell]);
  if (!groups.size) return;
  const lines = [...groups.values()].sort((a, b) => Math.min(...a.map(rank)) - Math.min(...b.map(rank)));
  const count = (how) => lines.filter((group) => Math.min(...group.map(rank)) === how).length;
  const right = lines.filter((group) => Math.min(...group.map(rank)) < 2).map((group) => group[0].network);
  const list = element("ul", { class: "answer" });
  for (const group of lines) list.append(line(group, right));
  box.append(
    element("p", {}, `Of ${groups.size} ${sort}network${groups.size === 1 ? "" : "s"} made in ${exporter}, ${importer} runs `,
      element("strong", {}, `${count(0)} right as ${count(0) === 1 ? "it is" : "they are"}`), " and ", element("strong", {}, `${count(1)} once rewritten`),
      count(2) ? `; ${count(2)} wrong or not at all` : "", count(3) ? `; of ${count(3)} ${exporter} writes no graph` : "", "."),
    list,
    element("p", {}, `What to do with your own, once ${exporter} has exported it:`),
    element("pre", { tabindex: "0" }, [
      `nir-interop explain my_graph.nir --backend ${importer}    # what ${importer} makes of it, and why`,
      `nir-interop reconcile my_graph.nir --from ${exporter} --to ${importer} -o for_${importer.split("=")[0]}.nir    # writes it only if every output is right`,
    ].join("\n")),
    element("dl", { class: "faint" }, ...Object.entries(data.idioms[exporter] || {}).flatMap(([idiom, how]) => [
      element("dt", {}, words(idiom)), element("dd", {}, `${how}.`)])));
}
