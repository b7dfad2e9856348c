// --- filters ---

const OPTIONS = {
  family: () => data.families.filter((family) => cells.some((cell) => cell.family === family)),
  network: () => unique(cells.map((cell) => cell.network)),
  idiom: () => unique(cells.map((cell) => cell.idiom)),
  exporter: () => backends(cells.map((cell) => cell.exporter)),
  importer: () => backends(cells.map((cell) => cell.importer).filter(Boolean)),
  status: () => unique(cells.map((cell) => cell.status)),
  cause: () => unique(cells.flatMap((cell) => cell.why)),
  blame: () => unique(cells.map((cell) => cell.blame).filter(Boolean)),
  issue: () => unique(cells.map((cell) => cell.known_issue).filter(Boolean)),
};

function fillFilters() {
  for (const [name, values] of Object.entries(OPTIONS)) {
    form.elements[name].append(element("option", { value: "" }, "any"));
    if (name === "status") form.elements[name].append(element("option", { value: "silent" }, "silently wrong"));
    if (name === "status") form.elements[name].append(element("option", { value: "mended" }, "right once rewritten"));
    for (const value of values()) form.elements[name].append(element("option", { value }, words(value)));
  }
  const steps = unique(cells.map((cell) => cell.dt_import).filter(Boolean));
  form.elements.dt.append(element("option", { value: "" }, "the export’s"));
  for (const step of steps) form.elements.dt.append(element("option", { value: String(step) }, `${step} s`));
  form.elements.dt.append(element("option", { value: "all" }, "all"));
}

function matches(cell, wanted) {
  if (wanted.dt === "all") { /* every step */ }
  else if (wanted.dt) { if (cell.importer && String(cell.dt_import) !== wanted.dt) return false; }
  else if (!cell.atExport) return false;
  for (const name of ["family", "network", "idiom", "exporter", "importer", "blame"]) {
    if (wanted[name] && cell[name] !== wanted[name]) return false;
  }
  if (wanted.issue && cell.known_issue !== wanted.issue) return false;
  if (wanted.cause && !cell.why.includes(wanted.cause)) return false;
  if (wanted.status === "silent") { if (cell.kind !== "silent") return false; }
  else if (wanted.status === "mended") { if (!cell.after || cell.after.kind !== "good") return false; }
  else if (wanted.status && cell.status !== wanted.status) return false;
  if (!wanted.q) return true;
  cell.text ??= JSON.stringify([cell.row, cell.details.causes || []]).toLowerCase();
  return wanted.q.toLowerCase().split(/\s+/).every((word) => cell.text.includes(word));
}
