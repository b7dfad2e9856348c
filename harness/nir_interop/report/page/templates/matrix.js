// --- the button of a cell ---

const badness = { silent: 5, wrong: 4, error: 3, declined: 2, nothing: 1, good: 0 };

/** The letters, then what they stand for: what a screen reader reads. */
function said(cell) {
  const letters = cell.after ? `${cell.letter} ${cell.after.letter}` : cell.letter;
  const step = cell.importer ? ` read by ${cell.importer} at ${cell.dt_import} s` : ", no graph";
  const silent = cell.kind === "silent" ? ", silently" : "";
  const after = cell.after ? `; rewritten: ${words(cell.after.status)}` : "";
  return `${letters}: ${cell.network} ${cell.idiom}, written by ${cell.exporter}${step}: ${words(cell.status)}${silent}${after}`;
}

function button(cell, lone) {
  const made = element("button", { type: "button", class: `cell${lone ? " lone" : ""}`, "aria-label": said(cell), title: said(cell), tabindex: "-1" },
    element("span", { class: `k-${cell.kind}` }, cell.letter));
  if (cell.after) made.append(" ", element("span", { class: `k-${cell.after.kind}` }, cell.after.letter));
  else if (!lone) made.append(element("span", { class: "same" }, ""));
  made.addEventListener("click", () => { location.hash = address({ ...state(), cell: cell.cell_id }); });
  return made;
}

// --- the matrix ---

function matrix(found, order) {
  const groups = new Map();
  for (const cell of found) {
    if (!groups.has(cell.exporter)) groups.set(cell.exporter, new Set());
    if (cell.importer) groups.get(cell.exporter).add(cell.importer);
  }
  const exporters = backends(groups.keys());
  const importers = new Map(exporters.map((name) => [name, groups.get(name).size ? backends(groups.get(name)) : [""]]));
  const rows = new Map();
  for (const cell of found) {
    const step = cell.atExport ? "" : ` at ${cell.dt_import} s`;
    const key = `${cell.network}\n${cell.idiom}\n${step}`;
    if (!rows.has(key)) rows.set(key, { network: cell.network, idiom: cell.idiom, step, cells: new Map(), all: [] });
    const row = rows.get(key);
    row.cells.set(`${cell.exporter}\n${cell.importer || ""}`, cell);
    row.all.push(cell);
  }
  const share = (row) => row.all.reduce((sum, cell) => sum + badness[cell.kind], 0) / row.all.length;
  const keys = [...rows.keys()].sort();
  if (order) keys.sort((a, b) => (share(rows.get(b)) - share(rows.get(a))) * (order === "wrong" ? 1 : -1));

  const table = element("table", { class: "matrix" }, element("caption", { class: "hidden" }, "Networks by exporter and importer"));
  const above = element("tr", {}, element("th", { scope: "col", rowspan: "2" }, "network"));
  const below = element("tr");
  for (const exporter of exporters) {
    const under = importers.get(exporter);
    above.append(element("th", { scope: "colgroup", colspan: under.length, class: "first" }, `${exporter} →`));
    under.forEach((importer, number) => below.append(element("th",
      { scope: "col", class: `importer${number ? "" : " first"}` }, element("span", {}, imported(importer) || "(no graph)"))));
  }
  table.append(element("thead", {}, above, below));
  const body = element("tbody");
  for (const key of keys) {
    const row = rows.get(key);
    const line = element("tr", {}, element("th", { scope: "row" }, row.network, " ", element("small", {}, row.idiom + row.step)));
    for (const exporter of exporters) {
      const under = importers.get(exporter), failed = row.cells.get(`${exporter}\n`);
      if (failed) {
        line.append(element("td", { colspan: under.length, class: "first" }, button(failed, true)));
        continue;
      }
      under.forEach((importer, number) => {
        const cell = row.cells.get(`${exporter}\n${importer}`);
        line.append(element("td", number ? {} : { class: "first" }, cell ? button(cell, false) : null));
      });
    }
    body.append(line);
  }
  table.append(body);
  return table;
}

// --- the list ---

const LISTED = 300;

const LIST = [
  ["network", (cell) => `${cell.network} ${cell.idiom}`],
  ["written by", (cell) => cell.exporter],
  ["read by", (cell) => imported(cell.importer) || "no graph"],
  ["at [s]", (cell) => cell.dt_import],
  ["status", (cell) => badness[cell.kind]],
  ["outputs that differ", (cell) => cell.mismatch_rate],
  ["accuracy", (cell) => cell.accuracy_delta],
  ["causes", (cell) => cell.why.map(words).join(", ")],
];

function list(found, wanted) {
  const by = Number(wanted.by || 0), down = Boolean(wanted.down);
  const value = LIST[by] ? LIST[by][1] : LIST[0][1];
  const sorted = [...found].sort((a, b) => {
    const one = value(a), other = value(b);
    if (one === null || other === null) return (one === null) - (other === null);
    return (one < other ? -1 : one > other ? 1 : 0) * (down ? -1 : 1);
  });
  const head = element("tr");
  LIST.forEach(([name], number) => {
    const press = element("button", { type: "button" }, name);
    press.addEventListener("click", () => {
      const turned = by === number && !down;
      replace({ ...state(), by: String(number), down: turned ? "1" : "" });
      const again = named("cells").querySelectorAll("thead button")[number];
      if (again) again.focus();
    });
    head.append(element("th", { scope: "col", "aria-sort": by === number ? (down ? "descending" : "ascending") : "none" }, press));
  });
  const body = element("tbody");
  for (const cell of sorted.slice(0, LISTED)) {
    const accuracy = cell.accuracy_delta === null ? "" : `${cell.accuracy_source.toFixed(2)} → ${cell.accuracy_target.toFixed(2)}`;
    body.append(element("tr", {},
      element("th", { scope: "row" }, cell.network, " ", element("small", {}, cell.idiom)),
      element("td", {}, cell.exporter), element("td", {}, imported(cell.importer) || "no graph"),
      element("td", { class: "number" }, cell.dt_import === null ? "" : String(cell.dt_import)),
      element("td", {}, button(cell, false), " ", words(cell.status)),
      element("td", { class: "number" }, percent(cell.mismatch_rate)), element("td", { class: "number" }, accuracy),
      element("td", {}, cell.why.map(words).join(", "))));
  }
  const table = element("table", { class: "listing" }, element("caption", { class: "hidden" }, "Cells"), element("thead", {}, head), body);
  if (sorted.length <= LISTED) return table;
  return element("div", {}, table, element("p", {}, `The first ${LISTED} of ${sorted.length}; filter to see the others.`));
}

// --- keys: one stop of the tab key for all cells, arrows among them ---

function rove(box) {
  const all = [...box.querySelectorAll("button.cell")];
  if (all.length) all[0].tabIndex = 0;
  const rows = [...box.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("button.cell")]).filter((row) => row.length);
  const place = new Map();
  rows.forEach((row, y) => row.forEach((one) => place.set(one, y)));
  box.onkeydown = (event) => {
    const from = event.target.closest("button.cell");
    if (!from) return;
    const y = place.get(from), x = rows[y].indexOf(from);
    const near = (row) => row && row.reduce((best, one) =>
      Math.abs(one.getBoundingClientRect().left - from.getBoundingClientRect().left)
        < Math.abs(best.getBoundingClientRect().left - from.getBoundingClientRect().left) ? one : best);
    const to = { ArrowRight: () => rows[y][x + 1], ArrowLeft: () => rows[y][x - 1], ArrowDown: () => near(rows[y + 1]),
      ArrowUp: () => near(rows[y - 1]), Home: () => rows[y][0], End: () => rows[y].at(-1) }[event.key];
    const next = to && to();
    if (to) event.preventDefault();
    if (!next) return;
    from.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  };
}
