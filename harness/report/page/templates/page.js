"use strict";
// Draws the matrix and the cells from the data in this file. What it shows is set as text, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const column = Object.fromEntries(data.columns.map((name, number) => [name, number]));
  const SVG = "http://www.w3.org/2000/svg";
  const LISTED = 300;

  const cells = data.cells.map((cell) => side(cell));
  const byId = new Map(cells.map((cell) => [cell.cell_id, cell]));
  const named = (id) => document.getElementById(id);
  const form = named("filters"), dialog = named("cell");

  function side(raw) {
    const found = { ...raw };
    for (const name of data.columns) found[name] = raw.row[column[name]];
    found.why = found.causes ? found.causes.split(";") : [];
    if (raw.after) found.after = side(raw.after);
    // A failed export has no step to be imported at: it belongs to every step.
    found.atExport = !found.importer || found.dt_import === found.dt_export;
    found.text = JSON.stringify([found.row, found.details.causes || []]).toLowerCase();
    return found;
  }

  // --- small tools ---

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined) made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  }

  function drawn(tag, attributes = {}, text) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  const words = (text) => String(text).replaceAll("_", " ");
  const percent = (share) => (share === null ? "" : share === 1 ? "100 %" : `${(100 * share).toFixed(share < 0.01 ? 2 : 1)} %`);
  const unique = (values) => [...new Set(values)].sort();
  const short = (value) => (value === null ? "" : Number(value.toPrecision(3)).toString());

  // --- the address bar ---

  const FILTERS = ["network", "idiom", "exporter", "importer", "dt", "status", "cause", "blame", "issue", "q"];
  const KEPT = [...FILTERS, "view", "sort", "by", "down"];

  function state() {
    return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  }

  function address(wanted) {
    const found = new URLSearchParams();
    for (const name of ["tab", ...KEPT, "cell"]) if (wanted[name]) found.set(name, wanted[name]);
    return `#${found}`;
  }

  /** Change the address without a new entry in the history, then show what it says. */
  function replace(wanted) {
    history.replaceState(null, "", address(wanted));
    show();
  }

  // --- filters ---

  const OPTIONS = {
    network: () => unique(cells.map((cell) => cell.network)),
    idiom: () => unique(cells.map((cell) => cell.idiom)),
    exporter: () => unique(cells.map((cell) => cell.exporter)),
    importer: () => unique(cells.map((cell) => cell.importer).filter(Boolean)),
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
    for (const name of ["network", "idiom", "exporter", "importer", "blame"]) {
      if (wanted[name] && cell[name] !== wanted[name]) return false;
    }
    if (wanted.issue && cell.known_issue !== wanted.issue) return false;
    if (wanted.cause && !cell.why.includes(wanted.cause)) return false;
    if (wanted.status === "silent") { if (cell.kind !== "silent") return false; }
    else if (wanted.status === "mended") { if (!cell.after || cell.after.kind !== "good") return false; }
    else if (wanted.status && cell.status !== wanted.status) return false;
    return !wanted.q || wanted.q.toLowerCase().split(/\s+/).every((word) => cell.text.includes(word));
  }

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
    const exporters = [...groups.keys()].sort();
    const importers = new Map(exporters.map((name) => [name, groups.get(name).size ? [...groups.get(name)].sort() : [""]]));
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
        { scope: "col", class: `importer${number ? "" : " first"}` }, element("span", {}, importer || "(no graph)"))));
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

  const LIST = [
    ["network", (cell) => `${cell.network} ${cell.idiom}`],
    ["written by", (cell) => cell.exporter],
    ["read by", (cell) => cell.importer || "no graph"],
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
        element("td", {}, cell.exporter), element("td", {}, cell.importer || "no graph"),
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

  // --- a cell ---

  function paragraph(text, name) {
    return text ? element("p", name ? { class: name } : {}, text) : null;
  }

  function section(title, ...content) {
    const there = content.filter(Boolean);
    return there.length ? element("section", {}, element("h3", {}, title), ...there) : null;
  }

  function causes(cell) {
    const found = cell.details.causes || [];
    if (!found.length && !cell.why.length) return null;
    const items = found.length ? found : cell.why.map((cause) => ({ cause, outputs: 0, nodes: [], says: "" }));
    const made = element("ul");
    for (const one of items) {
      const item = element("li", {}, element("strong", {}, words(one.cause)), ` — ${data.causes[one.cause] || ""}. `);
      if (one.outputs && cell.mismatched) {
        const share = Math.min(1, one.outputs / cell.mismatched), bar = element("span", { class: "bar", "aria-hidden": "true" });
        bar.style.width = `${(6 * share).toFixed(2)}rem`;
        item.append(bar, `explains ${percent(share)} of what differs. `);
      }
      if (one.nodes.length) item.append(`At ${one.nodes.join(", ")}. `);
      if (one.says) item.append(element("span", { class: "faint" }, one.says));
      made.append(item);
    }
    const explained = cell.explained === null || !cell.mismatched ? null
      : paragraph(`With all of it the reference gives ${percent(cell.explained)} of the outputs that differ as ${cell.importer} does.`);
    return section("Causes", made, explained);
  }

  function rules(cell) {
    const found = cell.details.rules || [];
    if (!found.length) return null;
    const body = element("tbody");
    for (const one of found) {
      body.append(element("tr", {}, element("th", { scope: "row" }, one.primitive), element("td", {}, words(one.field)),
        ...["source", "target", "nir"].map((side) => element("td", {}, side !== "nir" && one[side] !== one.nir
          ? element("strong", {}, words(one[side])) : words(one[side])))));
    }
    const head = ["neuron", "field", cell.exporter, `${cell.importer}’s importer`, "NIR"].map((text) => element("th", { scope: "col" }, text));
    return section("Where their update rules differ", element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Rule fields" },
      element("table", {}, element("thead", {}, element("tr", {}, ...head)), body)));
  }

  function bits(text, count) {
    const bytes = atob(text), found = new Uint8Array(count);
    for (let bit = 0; bit < count; bit += 1) found[bit] = (bytes.charCodeAt(bit >> 3) >> (7 - (bit & 7))) & 1;
    return found;
  }

  function framed(width, height, label) {
    const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, class: "picture", role: "img", "aria-label": label });
    return [svg, element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, svg)];
  }

  function stepsBelow(svg, begin, count, at, y) {
    const stride = [1, 2, 5, 10, 20, 50, 100].find((one) => count / one <= 12) || 200;
    for (let step = Math.ceil(begin / stride) * stride; step < begin + count; step += stride) {
      svg.append(drawn("text", { x: at(step - begin), y, "text-anchor": "middle" }, String(step)));
    }
    svg.append(drawn("text", { x: at(count / 2), y: y + 15, "text-anchor": "middle" }, "step"));
  }

  function key(cell, ...more) {
    return element("p", {}, element("span", { class: "swatch source" }, `${cell.exporter}, as it was`), " · ",
      element("span", { class: "swatch target" }, `${cell.importer}, as it came`), ...more);
  }

  function raster(picture, cell) {
    const { neurons, steps } = picture, rowHeight = 15, left = 46, width = 760;
    const wide = (width - left - 8) / steps, at = (step) => left + (step + 0.5) * wide, height = neurons.length * rowHeight;
    const [ours, theirs, unequal] = picture.planes.map((plane) => bits(plane, neurons.length * steps));
    const differences = unequal.reduce((sum, bit) => sum + bit, 0);
    const label = `Spikes of ${neurons.length} neurons of ${picture.node} over ${steps} steps, sample ${picture.sample}: ${differences} differ`;
    const [svg, box] = framed(width, height + 34, label);
    let source = "", target = "", marks = "";
    neurons.forEach((neuron, row) => {
      const y = row * rowHeight;
      svg.append(drawn("text", { x: left - 6, y: y + 11, "text-anchor": "end" }, String(neuron)));
      svg.append(drawn("path", { class: "frame", d: `M${left} ${y + rowHeight}H${width - 8}` }));
      for (let step = 0; step < steps; step += 1) {
        const bit = row * steps + step, x = at(step).toFixed(1);
        if (unequal[bit]) marks += `M${(left + step * wide).toFixed(1)} ${y + 1}h${wide.toFixed(2)}v${rowHeight - 2}h-${wide.toFixed(2)}z`;
        if (ours[bit]) source += `M${x} ${y + 2}v5`;
        if (theirs[bit]) target += `M${x} ${y + 8}v5`;
      }
    });
    svg.prepend(drawn("path", { class: "differ", d: marks }));
    svg.append(drawn("path", { class: "source", d: source }), drawn("path", { class: "target", d: target }));
    stepsBelow(svg, picture.begin, steps, at, height + 14);
    const rest = picture.of > neurons.length ? ` ${neurons.length} of ${picture.of} neurons, those that differ first.` : "";
    return element("div", {}, box,
      key(cell, " (upper and lower half of each row) · ", element("span", { class: "swatch differ" }, "different"), `.${rest}`));
  }

  /** Curves over steps: arrays of numbers or null, the second one dashed. */
  function curves(series, begin, cell, label, extra) {
    const width = 760, height = 240, left = 60, bottom = height - 34, steps = Math.max(...series.map((one) => (one ? one.length : 0)));
    const numbers = series.flatMap((one) => one || []).concat(extra.threshold ?? []).filter((one) => one !== null && one !== undefined);
    if (!numbers.length) return null;
    let low = Math.min(...numbers), high = Math.max(...numbers);
    if (high === low) { high += 1; low -= 1; }
    const at = (step) => left + (step + 0.5) * (width - left - 8) / steps, up = (value) => 14 + (high - value) / (high - low) * (bottom - 24);
    const [svg, box] = framed(width, height, label);
    for (const value of [low, (low + high) / 2, high]) {
      svg.append(drawn("path", { class: "frame", d: `M${left} ${up(value).toFixed(1)}H${width - 8}` }));
      svg.append(drawn("text", { x: left - 5, y: up(value) + 4, "text-anchor": "end" }, short(value)));
    }
    if (extra.threshold !== null && extra.threshold !== undefined) {
      svg.append(drawn("path", { class: "threshold", d: `M${left} ${up(extra.threshold).toFixed(1)}H${width - 8}` }));
      svg.append(drawn("text", { x: width - 10, y: up(extra.threshold) + 13, "text-anchor": "end" }, `threshold ${short(extra.threshold)}`));
    }
    if (extra.at !== undefined) svg.append(drawn("path", { class: "at", d: `M${at(extra.at - begin).toFixed(1)} 2V${bottom}` }));
    series.forEach((one, number) => {
      if (!one) return;
      let path = "", pen = "M";
      one.forEach((value, step) => {
        if (value === null) { pen = "M"; return; }
        path += `${pen}${at(step).toFixed(1)} ${up(value).toFixed(1)}`;
        pen = "L";
      });
      svg.append(drawn("path", { class: number ? "target dashed" : "source", d: path }));
    });
    (extra.spikes || []).forEach((fired, number) => {
      const y = number ? 8 : 2;
      svg.append(drawn("path", { class: number ? "target" : "source", d: fired.map((step) => `M${at(step).toFixed(1)} ${y}v5`).join("") }));
    });
    stepsBelow(svg, begin, steps, at, bottom + 14);
    return box;
  }

  function spikes(picture, cell) {
    if (!picture) return null;
    if (picture.planes) return raster(picture, cell);
    const label = `Values of ${picture.node}, element ${picture.neuron}, sample ${picture.sample}`;
    const box = curves(picture.values, picture.begin, cell, label, {});
    return box && element("div", {}, box, key(cell, ` (dashed). Element ${picture.neuron}.`));
  }

  function membrane(cell) {
    const picture = cell.details.membrane;
    if (!picture) return null;
    const label = `Membrane of neuron ${picture.neuron} of ${picture.node} around step ${picture.at}`;
    const box = curves(picture.curves, picture.begin, cell, label, picture);
    if (!box) return null;
    const notes = [" (dashed), after the reset; ticks above are spikes; the upright line is the first divergence."];
    [cell.exporter, cell.importer].forEach((name, number) => {
      const whose = number ? "As it came" : "As it was";
      if (!picture.curves[number]) notes.push(` ${whose} in ${name} is not known.`);
      else if (picture.replayed[number]) notes.push(` ${whose} in ${name} is a replay by the reference, which gives the same spikes.`);
    });
    return section(`Membrane [V] of neuron ${picture.neuron} of ${picture.node}, sample ${picture.sample}`, box, key(cell, ...notes));
  }

  function pictures(cell) {
    const { first, raster: picture, output } = cell.details;
    if (!first) return [];
    return [
      section("Where it begins", paragraph(`Step ${first.step}, node ${first.node}, neuron ${first.neuron}, sample ${first.sample}.`), spikes(picture, cell)),
      membrane(cell),
      output ? section("At the output", spikes(output, cell)) : null,
    ];
  }

  function facts(cell) {
    const made = element("dl");
    const add = (name, text) => { if (text) made.append(element("dt", {}, name), element("dd", {}, text)); };
    if (cell.accuracy_source !== null) {
      const after = cell.after && cell.after.accuracy_target !== null ? `, rewritten ${percent(cell.after.accuracy_target)}` : "";
      add("accuracy", `${cell.exporter} ${percent(cell.accuracy_source)}`
        + (cell.accuracy_target === null ? "" : ` → ${cell.importer} ${percent(cell.accuracy_target)}`) + `${after} (${cell.samples} samples)`);
    }
    if (cell.agreement !== null && cell.accuracy_source !== null) add("same class read", percent(cell.agreement));
    if (cell.spikes_target !== null) add("spikes at the output", `${cell.spikes_source} → ${cell.spikes_target}`);
    if (cell.importer) add("time step", `asked for ${cell.dt_import} s, exported for ${cell.dt_export} s` + (cell.dt_effective === null ? "" : `, used ${cell.dt_effective} s`));
    if (cell.rate_cosine !== null && cell.kind !== "good") add("likeness", `rates ${short(cell.rate_cosine)}, spike trains ${short(cell.raster_cosine)} (cosine)`);
    if (cell.known_issue) made.append(element("dt", {}, "known issue"),
      element("dd", {}, element("a", { href: address({ issue: cell.known_issue, dt: "all" }) }, words(cell.known_issue.replaceAll("-", " ")))));
    return made;
  }

  function library(cell) {
    const error = [cell.error_type, cell.error_message].filter(Boolean).join(": ") + (cell.error_at ? `\n  at ${cell.error_at}` : "");
    const text = [error.trim() ? error : "", cell.details.text || ""].filter(Boolean).join("\n\n");
    const silent = cell.kind === "silent" ? paragraph(text ? "Nothing of this says that the answer is wrong." : "Nothing.") : null;
    return section("What the library said", silent, text ? element("pre", {}, text) : null);
  }

  function rewritten(cell) {
    const after = cell.after;
    if (!after) return section("Rewritten for its reader", paragraph(cell.remedied));
    const changes = after.details.changes || [];
    const made = element("ul");
    for (const line of changes) made.append(element("li", {}, line));
    return section("Rewritten for its reader",
      element("p", {}, element("span", { class: `chip k-${after.kind}` }, after.letter), ` ${cell.remedied}`),
      after.kind === "good" ? null : paragraph(`${after.says} ${after.blamed}`),
      changes.length ? element("details", { open: "" }, element("summary", {}, "What was changed in the graph"), made) : null);
  }

  function commands(cell) {
    return section("See it yourself", element("pre", {}, cell.commands.join("\n")));
  }

  function open(id) {
    const cell = byId.get(id);
    dialog.replaceChildren();
    const close = element("button", { type: "button", class: "close" }, "Close");
    close.addEventListener("click", () => dialog.close());
    const title = cell ? `${cell.network}: ${cell.exporter} → ${cell.importer || "no graph"}` : "No such cell";
    dialog.append(close, element("h2", { id: "cell-title", tabindex: "-1" }, title));
    if (!cell) dialog.append(element("p", {}, `${id} is not in this page.`));
    else {
      dialog.append(...[
        paragraph(cell.cell_id, "id"),
        element("p", {}, element("span", { class: `chip k-${cell.kind}` }, cell.letter), " ", element("strong", {}, words(cell.status)), ` — ${cell.says}`),
        paragraph(cell.blamed), causes(cell), facts(cell), rules(cell), rewritten(cell), ...pictures(cell), library(cell), commands(cell),
      ].filter(Boolean));
    }
    dialog.scrollTop = 0;
    if (!dialog.open) dialog.showModal();
    named("cell-title").focus();
  }

  dialog.addEventListener("close", () => {
    const { cell, ...rest } = state();
    if (!cell) return;
    replace(rest);
    const label = byId.has(cell) ? said(byId.get(cell)) : "";
    const from = [...named("cells").querySelectorAll("button.cell")].find((one) => one.getAttribute("aria-label") === label);
    if (from) from.focus();
  });

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
      legend.append(element("li", {}, element("span", { class: `chip k-${kind}` }, letter), ` ${words(status)}${letter.endsWith("!") ? ", and nothing was said" : kind === "nothing" && status === "mismatch" ? " with another step, or with continuous time" : ""}`));
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
    if (tab === "matrix" && other && KEPT.some((name) => wanted[name])) named("matrix-heading").scrollIntoView();
    else window.scrollTo(0, 0);
  });

  const written = new Date(document.lastModified);
  if (!Number.isNaN(written.getTime())) named("written").textContent = written.toLocaleDateString("en-GB", { year: "numeric", month: "long", day: "numeric" });
  fillFilters();
  last = show().tab;
  if (last === "matrix" && KEPT.some((name) => state()[name])) named("matrix-heading").scrollIntoView();
})();
