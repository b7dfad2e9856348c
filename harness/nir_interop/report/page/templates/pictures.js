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
  return element("p", {}, element("span", { class: "swatch source" }, `${cell.exporter} (source)`), " · ",
    element("span", { class: "swatch target" }, `${cell.importer} (target)`), ...more);
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
  const notes = [" (dashed), after the reset; ticks above are spikes; the upright line is the first divergence, the threshold the graph’s."];
  [cell.exporter, cell.importer].forEach((name, number) => {
    const whose = number ? "Target" : "Source";
    const known = !picture.curves[number] ? "not known" : picture.replayed[number]
      ? (unlike(name) === 2 ? "computed once more" : `replayed by the reference under ${name}’s rule, which gives the same spikes`)
      : "recorded, in its own units";
    notes.push(` ${whose}, ${name}: ${known}.`);
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
