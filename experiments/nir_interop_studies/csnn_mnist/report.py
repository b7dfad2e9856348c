"""The study's folder: tables, figures, graphs, and a page that is written from the numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nir_interop.datasets import Images
from nir_interop.learning import Share
from nir_interop.schema import write_text
from nir_interop.training import Trained
from nir_interop.vocabulary import Idiom, Mode, Status
from nir_interop_studies.common import LIBRARIES, Options
from nir_interop_studies.csnn_mnist.crossing import Crossed, Deployed
from nir_interop_studies.csnn_mnist.exporter import attempts, why
from nir_interop_studies.csnn_mnist.network import CHOSEN, Regime, tested_steps
from nir_interop_studies.figures import COLOURS, bars, figure, raster, save
from nir_interop_studies.pages import how_made, page
from nir_interop_studies.tables import (
    Row,
    accuracy_columns,
    comparison_columns,
    differing_rows,
    failure_text,
    settings_columns,
    share_text,
    write_table,
)

GOAL = 0.98
"""What one epoch is to reach on MNIST."""
MNIST_SAMPLES, TEST_SAMPLES = 60_000, 10_000
"""Training and test images of MNIST."""
BINS = 60
"""Points of a training curve."""

ERROR = ("status", "stage", "error_type", "error_message", "error_at")
SHARE = ("accuracy", "accuracy_low", "accuracy_high")
COLUMNS = {
    "training": (
        "dataset", "library", "settings", "idiom", "reset", "surrogate", "slope", "loss", "sharpness", "learning_rate",
        "falling", "batch", "epochs", "steps", "seed", "starting_scale", "training_samples", "updates", "last_loss", *SHARE,
        "right", "samples", "comparable", "goal", "reached", "rate_lif1", "rate_lif2", "rate_lif3",
    ),
    "exports": ("dataset", "library", "settings", "idiom", "reset", *ERROR, "why", *SHARE, "samples", "comparable"),
    "deployment": (
        "dataset", "source", "exporter", "importer", "mode", *ERROR, "accuracy_source", "accuracy_source_low",
        "accuracy_source_high", *SHARE, "right_source", "right", "samples", "comparable", "agreement", "agreement_low",
        "agreement_high", "outputs", "mismatched", "images_differing", "classes_differing", "blame", "causes", "sample_exact",
        "remedy", "remains", "says", "why_elsewhere",
    ),
    "flips": (
        "dataset", "source", "importer", "mode", "image", "label", "class_source", "class_target", "outputs_differing", "flips",
    ),
    "curves": ("dataset", "library", "settings", "update", "loss", *SHARE, "right", "samples", "comparable"),
    "snntorch_exporter": (
        "dataset", "parameters", "ignore_dims", "state", "status", "error_type", "error_message", "error_at", "why",
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Done:
    """What is reported.

    data : training and test images
    """

    regimes: Sequence[Regime]
    trained: dict[str, Trained]
    data: tuple[Images, Images]
    crossed: Crossed

    @property
    def asked(self) -> bool:
        """Whether GOAL is asked of these images: of all of MNIST."""
        return self.data[0].name == "mnist" and len(self.data[0]) == MNIST_SAMPLES

    @property
    def comparable(self) -> bool:
        """Whether these are the test images on which the published "about 95 %" is."""
        return self.data[1].name == "mnist" and len(self.data[1]) == TEST_SAMPLES


def write_report(options: Options, done: Done, seconds: Callable[[], float]) -> list[Path]:
    """Write everything; the page comes first in what is returned."""
    out, crossed = options.out, done.crossed
    rows: dict[str, list[Row]] = {
        "training": list(_training_rows(done)),
        "exports": list(_export_rows(done)),
        "deployment": [_deployment_row(done, each) for each in crossed.deployed],
        "flips": list(_flip_rows(crossed)),
        "curves": list(_curve_rows(done)),
    }
    if "snntorch" in {regime.settings.library for regime in done.regimes}:
        network = crossed.sources[_tutorial(done.regimes).key].network
        rows["snntorch_exporter"] = [{"dataset": crossed.test.name, **row} for row in attempts(network)]
    written = [write_table(out / f"{name}.csv", COLUMNS[name], found) for name, found in rows.items()]
    written += [
        _accuracies(rows["training"], rows["deployment"], out / "accuracy.png"),
        _curves(rows["curves"], out / "training.png"),
    ]
    drawn = _rasters(crossed, out / "rasters.png")
    written += [drawn] if drawn is not None else []
    return [write_text(out / "README.md", _page(options, done, rows, seconds())), *written]


def _training_rows(done: Done) -> Iterator[Row]:
    """One row a trained network."""
    test = done.crossed.test
    for regime in done.regimes:
        outcome, curve = done.crossed.natives[regime.key], done.trained[regime.key].curve
        found = accuracy_columns(outcome, test.labels)
        if not found:
            raise ValueError(f"{regime.key} does not run in its own library: {outcome.failed}")
        yield {
            "dataset": test.name,
            "settings": regime.name,
            "reset": regime.reset.value,
            **settings_columns(regime.settings),
            "starting_scale": regime.scale,
            "training_samples": len(done.data[0]),
            "updates": len(curve),
            "last_loss": curve[-1, 0],
            **found,
            "comparable": done.comparable,
            "goal": GOAL if done.asked else None,
            "reached": found["accuracy"] >= GOAL if done.asked else None,
            **{f"rate_{name}": outcome.rates[name] for name in ("lif1", "lif2", "lif3")},
        }


def _export_rows(done: Done) -> Iterator[Row]:
    """What each library's own exporter made of each network, in each idiom."""
    crossed = done.crossed
    for name, found in crossed.exports.items():
        source, native = crossed.sources[name], crossed.natives.get(name)
        yield {
            **dict.fromkeys(COLUMNS["exports"]),
            "dataset": crossed.test.name,
            "library": source.library,
            "settings": source.regime.name,
            "idiom": str(source.idiom),
            "reset": source.regime.reset.value,
            **{key: found.failed.get(key, "ok" if key == "status" else "") for key in ERROR},
            "why": why(found.failed.get("error_message", "")),
            **({} if native is None else accuracy_columns(native, crossed.test.labels)),
            "comparable": done.comparable,
        }


def _deployment_row(done: Done, each: Deployed) -> Row:
    """A graph in an importer, as it is or rewritten."""
    crossed, crossing, labels = done.crossed, each.crossing, done.crossed.test.labels
    native, outcome = crossed.natives[each.source.name], each.outcome
    row: dict[str, Any] = {
        **dict.fromkeys(COLUMNS["deployment"]),
        "dataset": crossed.test.name,
        "source": each.source.name,
        "exporter": crossed.deployable[each.source.name].exporter,
        "importer": each.importer,
        "mode": str(each.mode),
        "comparable": done.comparable,
        **{key: outcome.failed.get(key, "") for key in ERROR},
        **accuracy_columns(native, labels, "_source"),
        **accuracy_columns(outcome, labels),
        **comparison_columns(native, outcome, labels, "image"),
        "samples": len(crossed.test),
    }
    verdict = crossing.verdict
    if each.mode is Mode.RECONCILED:
        plan, left = None if crossing.rewritten is None else crossing.rewritten.plan, crossing.left
        row |= {
            "sample_exact": crossing.exact,
            "remedy": None if plan is None else "; ".join(one.name for one in plan.passes),
            "remains": None if left is None else "; ".join(left.codes),
            "why_elsewhere": crossed.outside.get((each.source.name, each.importer)),
        }
        if left is None:
            return row
        verdict = left
    else:
        row |= {"blame": str(verdict.blame), "causes": "; ".join(verdict.codes), "sample_exact": verdict.status is Status.EXACT}
    return row | {"says": "; ".join(f"{each.cause}: {each.text}" for each in verdict.causes if each.text)}


def _flip_rows(crossed: Crossed) -> Iterator[Row]:
    """Images with another output where the sample was exact."""
    for each in crossed.deployed:
        if each.mode is Mode.RECONCILED and each.crossing.exact:
            about = {
                "dataset": crossed.test.name,
                "source": each.source.name,
                "importer": each.importer,
                "mode": str(each.mode),
            }
            for row in differing_rows(crossed.natives[each.source.name], each.outcome, crossed.test.labels, "image"):
                yield {**about, **row}


def _curve_rows(done: Done) -> Iterator[Row]:
    """Loss and accuracy on the batches of training images, each before its update, over stretches of updates."""
    training = done.data[0]
    for regime in done.regimes:
        curve, settings = done.trained[regime.key].curve, regime.settings
        firsts = np.arange(0, len(training), settings.batch)
        sizes = np.tile(np.minimum(settings.batch, len(training) - firsts), settings.epochs)
        for stretch in np.array_split(np.arange(len(curve)), min(BINS, len(curve))):
            share = Share(int(np.rint(curve[stretch, 1] * sizes[stretch]).sum()), int(sizes[stretch].sum()))
            yield {
                "dataset": f"{training.name}, training",
                "library": settings.library,
                "settings": regime.name,
                "update": int(stretch[-1]) + 1,
                "loss": curve[stretch, 0].mean(),
                **share.columns("accuracy"),
                "right": share.right,
                "samples": share.samples,
                "comparable": False,
            }


def _tutorial(regimes: Sequence[Regime]) -> Regime:
    """The published one of the library whose tutorial it is, else the first."""
    wanted = [one for one in regimes if one.settings.idiom is Idiom.TUTORIAL and one.settings.library == "snntorch"]
    return (wanted or list(regimes))[0]


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


def _page(options: Options, done: Done, rows: dict[str, list[Row]], seconds: float) -> str:
    chosen = [row for row in rows["training"] if row["settings"] == CHOSEN]
    rewritten = [row for row in rows["deployment"] if row["mode"] == str(Mode.RECONCILED)]
    claimed = [row for row in rewritten if row["sample_exact"]]
    tried = ("parameters", "ignore_dims", "state")
    return page(
        "csnn_mnist",
        training=done.data[0],
        test=done.data[1],
        quick=options.quick,
        steps=tested_steps(options),
        asked=done.asked,
        comparable=done.comparable,
        epochs=sorted({row["epochs"] for row in chosen}),
        short=[f"{row['library']} ({100 * row['accuracy']:.2f} %)" for row in chosen if not row["reached"]],
        trainings=map(_training_line, rows["training"]),
        exports=[[row[each] for each in ("library", "settings", "idiom")] + _answer(row) for row in rows["exports"]],
        attempts=[[row[each] for each in tried] + _answer(row) for row in rows.get("snntorch_exporter", ())],
        by_reference=[name for name, found in done.crossed.deployable.items() if found.exporter != found.library],
        deployment=map(_deployment_line, rows["deployment"]),
        rewritten=rewritten,
        claimed=claimed,
        same=[row for row in claimed if row["right"] == row["right_source"] and not row["classes_differing"]],
        flips=[row for row in rows["flips"] if row["flips"]],
        rasters=(options.out / "rasters.png").exists(),
        how_made="\n".join(how_made(options.command, seconds, done.trained)),
    )


def _training_line(row: Row) -> Sequence[Any]:
    how = f"{row['learning_rate']:g}{' falling' if row['falling'] else ''}, {row['batch']}, {row['loss']}"
    reached = {True: "yes", False: "no", None: "–"}[row["reached"]]
    return row["library"], row["settings"], how, row["steps"], row["reset"], share_text(row, "accuracy", 2), reached


def _answer(row: Row) -> list[str]:
    return ["a graph" if row["status"] == "ok" else failure_text(row, stage=False), row["why"]]


def _deployment_line(row: Row) -> Sequence[Any]:
    first = f"{row['source']} (by {row['exporter']})", row["importer"], row["mode"]
    cause = row["causes"] or row["remains"]
    if row["accuracy"] is None:
        return *first, f"none: {failure_text(row, where=False)}", "", "", cause, row["remedy"]
    agreement, differ = f"{100 * row['agreement']:.2f} %", f"{row['mismatched']} of {row['outputs']}"
    return *first, share_text(row, "accuracy", 2), agreement, differ, cause or row["why_elsewhere"] or "", row["remedy"]
