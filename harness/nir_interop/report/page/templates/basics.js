const data = JSON.parse(document.getElementById("data").textContent);
const column = Object.fromEntries(data.columns.map((name, number) => [name, number]));
const SVG = "http://www.w3.org/2000/svg";

const cells = data.cells.map((cell) => side(cell));
const byId = new Map(cells.map((cell) => [cell.cell_id, cell]));
const named = (id) => document.getElementById(id);
const form = named("filters"), question = named("question"), dialog = named("cell");

function side(raw) {
  const found = { ...raw };
  for (const name of data.columns) found[name] = raw.row[column[name]];
  found.family = data.networks[found.network].family;
  found.why = found.causes ? found.causes.split(";") : [];
  if (raw.after) found.after = side(raw.after);
  // A failed export has no step to be imported at: it belongs to every step.
  found.atExport = !found.importer || found.dt_import === found.dt_export;
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
/** Libraries by name, then what is none: the reference and continuous time. */
const unlike = (name) => Number(name === "reference") + 2 * Number(name === "exact");
const backends = (values) => unique(values).sort((a, b) => unlike(a) - unlike(b));
/** An importer's name, and that it is not its library's where that has none. */
const imported = (name) => (data.own_importers.includes(name) ? `${name} (${data.adapters_own})` : name);
const short = (value) => (value === null ? "" : Number(value.toPrecision(3)).toString());

// --- the address bar ---

const FILTERS = ["family", "network", "idiom", "exporter", "importer", "dt", "status", "cause", "blame", "issue", "q"];
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
