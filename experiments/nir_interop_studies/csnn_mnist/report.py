"""The study's folder: tables, figures, graphs, and a page that is written from the numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nir_interop.datasets import Images
from nir_interop.training import Trained
from nir_interop.vocabulary import Mode
from nir_interop_studies.common import LIBRARIES, Options, markdown_table, write_table, write_text
from nir_interop_studies.csnn_mnist import tables
from nir_interop_studies.csnn_mnist.crossing import Crossed
from nir_interop_studies.csnn_mnist.exporter import attempts
from nir_interop_studies.csnn_mnist.regimes import CHOSEN, Regime, tested_steps
from nir_interop_studies.figures import COLOURS, bars, figure, raster, save
from nir_interop_studies.provenance import how_made

Row = Mapping[str, Any]

SHOWN = 20
"""Images that flip and are on the page; the table has all."""


@dataclass(frozen=True, eq=False)
class Done:
    """What is reported.

    data : training and test images
    """

    regimes: Sequence[Regime]
    trained: Mapping[str, Trained]
    data: tuple[Images, Images]
    crossed: Crossed


def write_report(options: Options, done: Done, seconds: Callable[[], float]) -> list[Path]:
    """Write everything; the page comes first in what is returned."""
    out, regimes, crossed, dataset = options.out, done.regimes, done.crossed, done.data[1].name
    rows: dict[str, list[Row]] = {
        "training": list(tables.training_rows(regimes, done.trained, done.data, crossed)),
        "exports": list(tables.export_rows(crossed)),
        "deployment": list(tables.deployment_rows(crossed)),
        "flips": list(tables.flip_rows(crossed)),
        "curves": list(tables.curve_rows(regimes, done.trained, done.data[0])),
    }
    if "snntorch" in {regime.settings.library for regime in regimes}:
        network = crossed.sources[tables.tutorial_settings(regimes).key].network
        rows["snntorch_exporter"] = [{"dataset": dataset, **row} for row in attempts(network)]
    columns = {
        "training": tables.TRAINING, "exports": tables.EXPORTS, "deployment": tables.DEPLOYMENT, "flips": tables.FLIPS,
        "curves": tables.CURVES, "snntorch_exporter": tables.ATTEMPTS,
    }  # fmt: skip
    written = [write_table(out / f"{name}.csv", columns[name], found) for name, found in rows.items()]
    written += [
        _accuracies(rows["training"], rows["deployment"], out / "accuracy.png"),
        _curves(rows["curves"], out / "training.png"),
    ]
    drawn = _rasters(crossed, out / "rasters.png")
    written += [drawn] if drawn is not None else []
    text = "\n".join(_page(options, done, rows, seconds())) + "\n"
    return [write_text(out / "README.md", text), *written]


def _accuracies(training: Sequence[Row], deployment: Sequence[Row], path: Path) -> Path:
    """Per source: in its own library, and in each importer natively and rewritten."""
    sources = list(dict.fromkeys(str(row["source"]) for row in deployment))
    made, (axes,) = figure(width=8.0, height=3.6)
    series: dict[str, list[float | None]] = {"own library": []}
    for source in sources:
        series["own library"].append(next(row["accuracy_source"] for row in deployment if row["source"] == source))
        for importer in LIBRARIES:
            for mode in (Mode.NATIVE, Mode.RECONCILED):
                (row,) = (r for r in deployment if (r["source"], r["importer"], r["mode"]) == (source, importer, str(mode)))
                series.setdefault(f"{importer}, {mode}", []).append(row["accuracy"])
    bars(axes, sources, series)
    axes.set_ylabel("accuracy on the test images")
    axes.set_ylim(0, 1)
    made.legend(*axes.get_legend_handles_labels(), fontsize=7, loc="outside right upper")
    axes.set_title("a cross: no output", fontsize=8)
    return save(made, path)


def _curves(rows: Sequence[Row], path: Path) -> Path:
    made, (left, right) = figure(2, width=8.0)
    names = list(dict.fromkeys((row["library"], row["settings"]) for row in rows))
    libraries = list(dict.fromkeys(library for library, _ in names))
    for library, settings in names:
        mine = [row for row in rows if (row["library"], row["settings"]) == (library, settings)]
        style = "-" if settings == CHOSEN else ":"
        colour, updates = COLOURS[libraries.index(library)], [row["update"] for row in mine]
        left.plot(updates, [row["loss"] for row in mine], style, color=colour, label=f"{library}, {settings}")
        right.plot(updates, [row["accuracy"] for row in mine], style, color=colour)
    left.set_ylabel("loss")
    right.set_ylabel("accuracy on the batch")
    for axes in (left, right):
        axes.set_xlabel("update")
    left.legend(fontsize=6)
    return save(made, path)


def _rasters(crossed: Crossed, path: Path) -> Path | None:
    """The outputs for one image at the source and in each importer: of the source whose importers differ most."""
    shown = [each for each in crossed.deployed if each.outcome.output is not None and each.source.regime.name != CHOSEN]
    if not shown:
        return None
    name = shown[0].source.name
    native = crossed.natives[name].output
    mine = [each for each in shown if each.source.name == name and each.mode is Mode.RECONCILED]
    if native is None or not mine:
        return None
    first = mine[0].outcome.output
    image = 0 if first is None else int(np.argmax((first != native).sum(axis=(0, 2))))
    made, grid = figure(len(mine) + 1, width=2.6 * (len(mine) + 1), height=2.4)
    raster(grid[0], native[:, image], f"{name}, own library\nimage {image}")
    for axes, each in zip(grid[1:], mine, strict=True):
        output = each.outcome.output
        if output is not None:
            differs = output[:, image] != native[:, image]
            raster(axes, output[:, image], f"{each.importer}, {each.mode}\n{int(differs.sum())} outputs differ", differs)
    grid[0].set_ylabel("class", fontsize=8)
    for axes in grid:
        axes.set_xlabel("step", fontsize=8)
    return save(made, path)


def _page(options: Options, done: Done, rows: Mapping[str, Sequence[Row]], seconds: float) -> Iterator[str]:
    (train, test), crossed = done.data, done.crossed
    yield "# csnn_mnist: trained in one library, deployed in all"
    yield ""
    what = "the embedded digits of scikit-learn, resampled to 28 × 28, not MNIST" if test.name == "digits" else "MNIST"
    size = " A quick run: few images and steps, so its accuracies are no result." if options.quick else ""
    steps = tested_steps(options)
    yield f"Data: {what}; {len(train)} training and {len(test)} test images, each held for {steps} steps.{size}"
    yield "The network is 12C5-P2-64C5-P2-1024FC10 with average pooling and leaky neurons (beta 0.5, threshold 1), as in"
    yield "snnTorch's tutorial 6. Accuracies are on the test images, with Wilson's 95 % interval."
    yield ""
    yield "## Training"
    yield ""
    heads: tuple[str, ...] = ("library", "settings", "rate, batch, loss", "steps", "reset", "accuracy", "98 % reached")
    yield from markdown_table(heads, (_training(row) for row in rows["training"]))
    yield ""
    yield "*published* are the tutorial's settings (Adam 1e-2, batches of 128, cross-entropy of each step's spikes, one"
    yield "number beta, snnTorch's own reset by subtraction one step late); the other libraries have none. *chosen* are those"
    yield "with which this study crosses (a tensor per parameter, reset to 0 in the same step). An image is held for *steps* in"
    yield f"training, and for {steps} in every test. The chosen settings were found without a validation split, with a look at"
    yield "what SpikingJelly's network makes of MNIST's test images: of the accuracies, that one is the best of several tries."
    yield from _goal(rows["training"], tables.asked(done.data))
    if not tables.comparable(test):
        yield '**No accuracy here is comparable** with the published "about 95 %", which is of the 10,000 test images of MNIST.'
        yield ""
    yield "![training](training.png)"
    yield ""
    yield "## What the exporters answer"
    yield ""
    heads = ("library", "settings", "idiom", "answer", "why")
    yield from markdown_table(heads, ((r["library"], r["settings"], r["idiom"], _answer(r), r["why"]) for r in rows["exports"]))
    yield ""
    if "snntorch_exporter" in rows:
        yield "snnTorch's exporter, step by step (the state of hidden layers made no difference to it):"
        yield ""
        heads = ("beta", "ignore_dims", "state", "answer", "why")
        yield from markdown_table(
            heads, ((r["parameters"], r["ignore_dims"], r["state"], _answer(r), r["why"]) for r in rows["snntorch_exporter"])
        )
        yield ""
    by_reference = [name for name, found in crossed.crossers.items() if found.exporter != found.library]
    if by_reference:
        yield f"Where a library writes no graph ({', '.join(by_reference)}) the reference wrote the one that was meant."
        yield ""
    yield "## Deployment"
    yield ""
    heads = ("graph", "importer", "mode", "accuracy", "agreement", "spikes that differ", "causes, or what remains", "remedy")
    yield from markdown_table(heads, (_deployment(row) for row in rows["deployment"]))
    yield ""
    yield from _claims(rows)
    yield "![accuracies](accuracy.png)"
    yield ""
    if (options.out / "rasters.png").exists():
        yield "![rasters](rasters.png)"
        yield ""
    yield from how_made(options.command, seconds, done.trained)


def _training(row: Row) -> Sequence[Any]:
    how = f"{row['learning_rate']:g}{' falling' if row['falling'] else ''}, {row['batch']}, {row['loss']}"
    reached = {True: "yes", False: "no", None: "–"}[row["reached"]]
    return row["library"], row["settings"], how, row["steps"], row["reset"], _share(row, "accuracy"), reached


def _goal(rows: Sequence[Row], asked: bool) -> Iterator[str]:
    if not asked:
        yield "98 % after one epoch is asked of the 60,000 images of MNIST; these cannot tell."
        yield ""
        return
    mine = [row for row in rows if row["settings"] == CHOSEN]
    short = [f"{row['library']} ({100 * row['accuracy']:.2f} %)" for row in mine if not row["reached"]]
    epochs = {row["epochs"] for row in mine}
    after = "one epoch" if epochs == {1} else f"{'/'.join(map(str, sorted(epochs)))} epochs"
    yield f"**98 % after {after}: {'not reached in ' + ', '.join(short) if short else 'reached in every library'}.**"
    yield ""


def _answer(row: Row) -> str:
    if row["status"] == "ok":
        return "a graph"
    where = f" ({row['error_at']})" if row["error_at"] else ""
    return f"{row['status']}: {row['error_type']}: {row['error_message']}{where}"


def _deployment(row: Row) -> Sequence[Any]:
    who = f"{row['source']} (by {row['exporter']})"
    if row["accuracy"] is None:
        said = f"none: {row['status']} at {row['stage']}: {row['error_type']}: {row['error_message']}"
        return who, row["importer"], row["mode"], said, "", "", row["causes"] or row["remains"], row["remedy"]
    differ = f"{row['mismatched']} of {row['outputs']}"
    cause = row["causes"] or row["remains"] or row["why_elsewhere"] or ""
    return (
        who,
        row["importer"],
        row["mode"],
        _share(row, "accuracy"),
        f"{100 * row['agreement']:.2f} %",
        differ,
        cause,
        row["remedy"],
    )


def _share(row: Row, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{100 * row[name]:.2f} % ({100 * low:.2f}–{100 * high:.2f}, n = {row['samples']})"


def _claims(rows: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    """Where reconciling claims exactness on the sample: whether it holds for all test images."""
    claimed = [row for row in rows["deployment"] if row["mode"] == str(Mode.RECONCILED) and row["sample_exact"]]
    same = [row for row in claimed if row["right"] == row["right_source"] and not row["classes_differing"]]
    flips = [row for row in rows["flips"] if row["flips"]]
    all_rewritten = [row for row in rows["deployment"] if row["mode"] == str(Mode.RECONCILED)]
    whole = [row for row in claimed if row["mismatched"] == 0]
    yield f"Reconciling claims exactness for {len(claimed)} of {len(all_rewritten)} graphs and importers, from a sample of"
    yield f"the test images; in {len(same)} of these every test image has the source's class, and in {len(whole)} every output"
    yield "of every step is the source's."
    if flips:
        yield f"Images that flip ({len(flips)}; the first are below, all that differ are in flips.csv):"
        yield ""
        for row in flips[:SHOWN]:
            yield f"- {row['source']} in {row['importer']}: image {row['image']}, {row['class_source']} → {row['class_target']}"
    else:
        yield "No image flips."
    yield ""
    unclaimed = [row for row in all_rewritten if not row["sample_exact"]]
    if unclaimed:
        yield "Not reconciled:"
        yield ""
        for row in unclaimed:
            yield f"- {row['source']} in {row['importer']}: {row['says'] or row['remains'] or row['error_message']}"
        yield ""
