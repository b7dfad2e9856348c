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
  const items = found.length ? found : cell.why.map((cause) => ({ cause, repaired: 0, changed: 0, nodes: [], says: "" }));
  const made = element("ul");
  for (const one of items) {
    const item = element("li", {}, element("strong", {}, words(one.cause)), ` — ${data.causes[one.cause] || ""}. `);
    if (one.repaired && cell.mismatched) {
      const share = one.repaired / cell.mismatched, bar = element("span", { class: "bar", "aria-hidden": "true" });
      bar.style.width = `${(6 * Math.min(1, share)).toFixed(2)}rem`;
      item.append(bar, `undone alone, it repairs ${percent(share)} of the outputs that differ. `);
    } else if (cell.mismatched && !["unexplained", "not_expressible"].includes(one.cause)) item.append("Repairs outputs together with the others. ");
    if (one.nodes.length) item.append(`At ${one.nodes.join(", ")}. `);
    if (one.says) item.append(element("span", { class: "faint" }, one.says));
    made.append(item);
  }
  const explained = cell.explained === null || !cell.mismatched ? null
    : paragraph(`With these causes, the reference gives ${percent(cell.explained)} of the outputs that differ as ${cell.importer} does.`);
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
    element("dd", {}, element("a", { href: address({ issue: cell.known_issue, dt: "all" }) }, words(cell.known_issue.replaceAll("-", " "))),
      `: ${data.issues[cell.known_issue] || ""}`));
  return made;
}

function library(cell) {
  const error = [cell.error_type, cell.error_message].filter(Boolean).join(": ") + (cell.error_at ? `\n  at ${cell.error_at}` : "");
  const text = [error.trim() ? error : "", cell.details.text || ""].filter(Boolean).join("\n\n");
  const silent = cell.kind === "silent" ? paragraph(text ? "None of this says that the outputs are wrong." : "Nothing.") : null;
  return section("What the library said", silent, text ? element("pre", {}, text) : null);
}

function rewritten(cell) {
  const after = cell.after;
  if (!after) return section("Rewritten graph", paragraph(cell.remedied));
  const changes = after.details.changes || [];
  const made = element("ul"), passes = element("ol");
  for (const line of changes) made.append(element("li", {}, line));
  for (const one of after.details.passes || []) {
    passes.append(element("li", {}, element("strong", {}, words(one.name)), one.nodes.length ? ` at ${one.nodes.join(", ")}` : "", `: ${one.why}.`));
  }
  return section("Rewritten graph",
    element("p", {}, element("span", { class: `chip k-${after.kind}` }, after.letter), ` ${cell.remedied}`),
    after.kind === "good" ? null : paragraph(`${after.says} ${after.blamed}`),
    passes.childElementCount ? passes : null,
    changes.length ? element("details", {}, element("summary", {}, "What is different in the graph"), made) : null);
}

function commands(cell) {
  return section("See it yourself", element("pre", {}, cell.commands.join("\n")));
}

function open(id) {
  const cell = byId.get(id);
  dialog.replaceChildren();
  const close = element("button", { type: "button", class: "close" }, "Close");
  close.addEventListener("click", () => dialog.close());
  const title = cell ? `${cell.network}: ${cell.exporter} → ${imported(cell.importer) || "no graph"}` : "No such cell";
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
