"""The study's folder: tables, figures, graphs, and a page that is written from the numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nir_interop.arrays import Array
from nir_interop.networks import PoolKind
from nir_interop.schema import write_text
from nir_interop.stimuli.sparse_frames import FILTER_TIME, Windows
from nir_interop.training import Trained
from nir_interop.transfer.evaluation import Evaluated
from nir_interop.vocabulary import Cause
from nir_interop_studies.common import Options
from nir_interop_studies.figures import bars, figure, raster, save
from nir_interop_studies.nmnist_transfer.crossing import CASES, HAND, NATIVE, RECONCILED, TREATMENTS, Crossed, Crossing
from nir_interop_studies.nmnist_transfer.exporters import EXPORTS, STEPS, export_rows, step_rows
from nir_interop_studies.nmnist_transfer.network import FRAME, Regime
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

GOAL = 0.85
"""What a network trained on a thousand recordings of N-MNIST is to reach."""
WHOLE = {"nmnist": (60_000, 10_000)}
"""Training and test recordings of the whole data set."""
NO_MAX = "none: NIR has no max pooling; train with average or sum pooling"
SHOWN = (("norse_sum_1e-3", "snntorch"), ("snntorch_sum_1e-4", "norse"))
"""Source and importer whose rasters are drawn: sum pooling is what both importers take."""

ERROR = ("status", "stage", "error_type", "error_message", "error_at")
SHARE = ("accuracy", "accuracy_low", "accuracy_high")
COLUMNS = {
    "training": (
        "dataset", "library", "pooling", "surrogate", "slope", "loss", "sharpness", "learning_rate", "falling", "batch",
        "epochs", "steps", "stretches", "training_recordings", "updates", "last_loss", "last_accuracy", "seed", *SHARE, "right",
        "samples", "goal", "reached",
    ),
    "sources": (
        "dataset", "source", "library", "pooling", "trained_pooling", "runs_with", "dt_written", "exporter", "refusal",
        "error_at", *SHARE, "right", "samples", "spikes", "rate_lif1", "rate_lif2", "rate_lif3",
    ),
    "exports": EXPORTS,
    "steps": STEPS,
    "transfer": (
        "dataset", "source", "library", "pooling", "exporter", "importer", "case", "treatment", "dt_written", "dt_file",
        "dt_asked", "dt_taken", "asked_by", *ERROR, "accuracy_source", "accuracy_source_low", "accuracy_source_high",
        "right_source", *SHARE, "right", "samples", "agreement", "agreement_low", "agreement_high", "outputs", "spikes_source",
        "spikes_target", "mismatched", "recordings_differing", "classes_differing", "blame", "causes", "remedy", "sample_exact",
    ),
    "flips": (
        "dataset", "source", "importer", "case", "recording", "label", "class_source", "class_target", "outputs_differing",
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Done:
    """What is reported."""

    regimes: Sequence[Regime]
    trained: Mapping[str, Trained]
    windows: Windows
    crossed: Crossed


def write_report(options: Options, done: Done, seconds: Callable[[], float]) -> list[Path]:
    """Write everything; the page comes first in what is returned."""
    out, crossed = options.out, done.crossed
    rows: dict[str, list[Row]] = {
        "training": list(_training_rows(done)),
        "sources": list(_source_rows(crossed)),
        "exports": list(export_rows(crossed.test.name, options.seed)),
        "steps": list(step_rows(crossed.test.name)),
        "transfer": [_transfer_row(crossed, number) for number in range(len(crossed.crossings))],
        "flips": list(_flip_rows(crossed)),
    }
    written = [write_table(out / f"{name}.csv", COLUMNS[name], found) for name, found in rows.items()]
    written.append(_accuracies(rows["transfer"], out / "accuracy.png"))
    drawn = _rasters(crossed, out / "rasters.png")
    written += [drawn] if drawn is not None else []
    return [write_text(out / "README.md", _page(options, done, rows, drawn is not None, seconds())), *written]


def _training_rows(done: Done) -> Iterator[Row]:
    """One row a trained network."""
    test = done.crossed.test
    natives = {source.key: done.crossed.natives[name] for name, source in done.crossed.sources.items() if source.dt == FRAME}
    asked = test.name == "nmnist" and len(done.windows.frames) >= 1000
    for regime in done.regimes:
        curve, found = done.trained[regime.key].curve, accuracy_columns(natives[regime.key], test.labels)
        if not found:
            raise ValueError(f"{regime.key} does not run in its own library: {natives[regime.key].failed}")
        last = curve[-max(1, len(curve) // 10) :].mean(axis=0)
        yield {
            "dataset": test.name,
            "pooling": regime.pooling.value,
            **settings_columns(regime.settings),
            "stretches": len(done.windows),
            "training_recordings": len(done.windows.frames),
            "updates": len(curve),
            "last_loss": last[0],
            "last_accuracy": last[1],
            **found,
            "goal": GOAL if asked else None,
            "reached": found["accuracy"] >= GOAL if asked else None,
        }


def _source_rows(crossed: Crossed) -> Iterator[Row]:
    """Every network in its own library, and the one trained with max pooling with other pooling instead."""
    for name, source in crossed.sources.items():
        trained = PoolKind.MAX if source.pooling is PoolKind.MAX else PoolKind.AVERAGE
        runs = PoolKind.AVERAGE if source.own is not source.network else source.pooling
        yield _source_row(crossed, crossed.natives[name], {
            "source": name, "library": source.library, "pooling": source.pooling.value, "trained_pooling": trained.value,
            "runs_with": runs.value, "dt_written": source.dt, "exporter": source.exported.exporter or None,
            "refusal": failure_text(source.refused, where=False) if source.refused else None,
            "error_at": source.refused.get("error_at", ""),
        })  # fmt: skip
    for kind, outcome in crossed.swapped.items():
        yield _source_row(crossed, outcome, {
            "source": f"norse_max_as_{kind.value}", "library": "norse", "pooling": kind.value,
            "trained_pooling": PoolKind.MAX.value, "runs_with": kind.value, "dt_written": FRAME,
        })  # fmt: skip


def _source_row(crossed: Crossed, outcome: Evaluated, about: Row) -> Row:
    row = {**dict.fromkeys(COLUMNS["sources"]), "dataset": crossed.test.name, **about}
    if outcome.output is not None:
        row |= {**accuracy_columns(outcome, crossed.test.labels), "spikes": int(outcome.output.sum())}
        row |= {f"rate_{name}": rate for name, rate in outcome.rates.items()}
    return row


def _transfer_row(crossed: Crossed, number: int) -> Row:
    """A graph in an importer, in a case, with a treatment."""
    each, outcome = crossed.crossings[number], crossed.outcomes[number]
    source, native, labels = each.source, crossed.natives[each.source.name], crossed.test.labels
    row: dict[str, Any] = {
        **dict.fromkeys(COLUMNS["transfer"]),
        "dataset": crossed.test.name,
        "source": source.key,
        "library": source.library,
        "pooling": source.pooling.value,
        "importer": each.importer,
        "case": each.case.name,
        "treatment": each.treatment,
        "dt_written": source.dt,
        **accuracy_columns(native, labels, "_source"),
        "spikes_source": None if native.output is None else int(native.output.sum()),
        "samples": len(crossed.test),
    }
    if outcome is None:
        row |= {name: source.refused.get(name, "") for name in ERROR}
        return row | {"causes": str(Cause.NOT_EXPRESSIBLE), "remedy": NO_MAX}
    causes = None if each.verdict is None else "; ".join(each.verdict.codes) or None
    return row | {
        "exporter": source.exported.exporter,
        "dt_file": source.file_dt,
        "dt_asked": each.asked,
        "dt_taken": each.taken,
        "asked_by": each.asked_by,
        "blame": None if each.verdict is None else str(each.verdict.blame),
        "causes": f"{crossed.outside[number]} (outside the sample)" if number in crossed.outside else causes,
        "remedy": _remedy(each),
        "sample_exact": each.exact,
        **outcome.failed,
        **comparison_columns(native, outcome, labels, "recording"),
    }


def _remedy(each: Crossing) -> str | None:
    if each.rewritten is not None:
        return "; ".join(one.name for one in each.rewritten.plan.passes) or "nothing to do"
    if each.treatment == HAND and each.taken != each.source.file_dt:
        return f"dt = {_step(each.taken)}, time constants × {each.taken / each.source.file_dt:g}"
    return f"dt = {_step(each.taken)}" if each.treatment == HAND else None


def _flip_rows(crossed: Crossed) -> Iterator[Row]:
    """Recordings with another output where the sample was exact once rewritten."""
    for each, outcome in zip(crossed.crossings, crossed.outcomes, strict=True):
        if each.treatment == RECONCILED and each.exact and outcome is not None:
            about = {"dataset": crossed.test.name, "source": each.source.key, "importer": each.importer, "case": each.case.name}
            for row in differing_rows(crossed.natives[each.source.name], outcome, crossed.test.labels, "recording"):
                yield {**about, **row}


def _accuracies(rows: Sequence[Row], path: Path) -> Path:
    """Per case: every source in its own library and in each importer, with each treatment."""
    cases = [case for case in CASES if case.name in {row["case"] for row in rows}]
    made, grid = figure(1, len(cases), width=8.0, height=2.7 * len(cases))
    for axes, case in zip(grid, cases, strict=True):
        mine = [row for row in rows if row["case"] == case.name]
        rows_of = {each: [row for row in mine if row["treatment"] == each and row["pooling"] != "max"] for each in TREATMENTS}
        ways = [f"{row['source']} → {row['importer']}" for row in rows_of[NATIVE]]
        series: dict[str, list[float | None]] = {"own library": [row["accuracy_source"] for row in rows_of[NATIVE]]}
        series |= {each: [row["accuracy"] for row in rows_of[each]] for each in TREATMENTS}
        bars(axes, ways, series)
        axes.set_ylim(0, 1)
        axes.set_ylabel("accuracy", fontsize=8)
        axes.tick_params(labelsize=6)
        steps = f"written for {_step(case.written)}, deployed at {_step(case.deployed)}"
        axes.set_title(f"case {case.name}: {steps}; a cross: no output", fontsize=8)
    made.legend(*grid[0].get_legend_handles_labels(), fontsize=7, loc="outside upper center", ncols=4)
    return save(made, path)


def _rasters(crossed: Crossed, path: Path) -> Path | None:
    """One recording: the source, the target as the graph is, the difference, and the difference once rewritten."""
    ways = [way for way in SHOWN if way[0] in crossed.sources]
    outcomes: dict[tuple[str, str, str], Array] = {}
    for each, outcome in zip(crossed.crossings, crossed.outcomes, strict=True):
        if outcome is not None and outcome.output is not None:
            outcomes.setdefault((each.source.name, each.importer, each.treatment), outcome.output)
    drawn = [way for way in ways if (*way, NATIVE) in outcomes and (*way, RECONCILED) in outcomes]
    if not drawn:
        return None
    made, grid = figure(4, len(drawn), width=11.0, height=2.6 * len(drawn))
    for row, (source, importer) in enumerate(drawn):
        ours = crossed.natives[source].output
        if ours is None:
            continue
        native, rewritten = (outcomes[source, importer, each] for each in (NATIVE, RECONCILED))
        # The recording with the most ordinary number of differences, not the worst.
        counts = (native != ours).sum(axis=(0, 2))
        number = int(np.argsort(counts, kind="stable")[len(counts) // 2])
        axes = grid[4 * row : 4 * row + 4]
        one, other, last = ours[:, number], native[:, number], rewritten[:, number]
        raster(axes[0], one, f"{source}, own library\nrecording {number}, a {crossed.test.labels[number]}")
        raster(axes[1], other, f"{importer}, native")
        none = np.zeros_like(one)
        raster(axes[2], none, f"difference: {int((one != other).sum())} outputs", one != other)
        raster(axes[3], none, f"difference once reconciled: {int((one != last).sum())}", one != last)
        axes[0].set_ylabel("class", fontsize=8)
    for axes_ in grid[-4:]:
        axes_.set_xlabel("frame", fontsize=8)
    return save(made, path)


def _page(options: Options, done: Done, rows: Mapping[str, Sequence[Row]], drawn: bool, seconds: float) -> str:
    transfer = [row for row in rows["transfer"] if row["pooling"] != "max"]
    rewritten = [row for row in transfer if row["treatment"] == RECONCILED]
    claimed = [row for row in rewritten if row["sample_exact"]]
    test = done.crossed.test
    all_training, all_test = WHOLE.get(test.name, (0, 0))
    also = f"; Denoise of {FILTER_TIME // 1000} ms"
    made = how_made(options.command, seconds, done.trained, packages=("torch", "nir", "tonic"), also=also)
    return page(
        "nmnist_transfer",
        training=done.windows.frames,
        test=test,
        all_training=all_training,
        all_test=all_test,
        quick=options.quick,
        share=partial(share_text, digits=1),
        cases={row["case"] for row in rows["transfer"]},
        blanks=_blanks(rows["transfer"]),
        ways=list(_ways(transfer)),
        steps=map(_step_line, rows["steps"]),
        drawn=drawn,
        exports=rows["exports"],
        swapped=[row for row in rows["sources"] if row["source"].startswith("norse_max_as_")],
        kept=[row for row in rewritten if row["right"] is not None and row["right"] == row["right_source"]],
        rewritten=rewritten,
        claimed=claimed,
        same=[row for row in claimed if not row["classes_differing"] and row["right"] == row["right_source"]],
        trainings=map(_training_line, rows["training"]),
        trained=rows["training"],
        answers=map(_export_line, rows["exports"]),
        transfers=map(_transfer_line, transfer),
        by_norse=any(row["exporter"] == "norse" for row in transfer),
        how_made="\n".join(made),
    )


def _blanks(rows: Sequence[Row]) -> Iterator[Sequence[Any]]:
    """Norse to snnTorch and back: one line a pooling and a case."""
    for library, importer in (("norse", "snntorch"), ("snntorch", "norse")):
        mine = [row for row in rows if row["library"] == library and row["importer"] == importer]
        for pooling in dict.fromkeys(row["pooling"] for row in mine):
            own = [row for row in mine if row["pooling"] == pooling]
            for case in [each.name for each in CASES if each.name in {row["case"] for row in own}]:
                found = {row["treatment"]: row for row in own if row["case"] == case}
                cells = [_blank(found[each]) for each in TREATMENTS]
                named = "any" if pooling == "max" else case
                yield f"{library} → {importer}", pooling, named, share_text(found[NATIVE], "accuracy_source", 1), *cells
                if pooling == "max":
                    break


def _blank(row: Row) -> str:
    if row["accuracy"] is None:
        return f"none: {row['status']} at {row['stage']}"
    differ = "every spike the same" if not row["mismatched"] else f"{row['mismatched']} of {row['outputs']} outputs differ"
    return f"{100 * row['accuracy']:.1f} %; {differ}"


def _ways(transfer: Sequence[Row]) -> Iterator[Row]:
    """Norse to snnTorch and back, in a sentence each."""
    for library, importer in (("norse", "snntorch"), ("snntorch", "norse")):
        mine = [row for row in transfer if (row["library"], row["importer"]) == (library, importer)]
        native = [row for row in mine if row["treatment"] == NATIVE]
        ran = [row for row in native if row["accuracy"] is not None]
        rewritten = [row for row in mine if row["treatment"] == RECONCILED and row["accuracy"] is not None]
        if native and rewritten:
            yield {
                "library": library,
                "importer": importer,
                "own": f"{100 * native[0]['accuracy_source']:.1f} %",
                "native": _accuracy_texts(ran),
                "none": len(native) - len(ran),
                "cases": len(native),
                "reconciled": _accuracy_texts(rewritten),
            }


def _accuracy_texts(rows: Sequence[Row]) -> list[str]:
    return [f"{100 * value:.1f} %" for value in sorted({row["accuracy"] for row in rows})]


def _step(value: float) -> str:
    """A step [s] in a word: ``1e-4 s``."""
    mantissa, _, exponent = f"{value:.0e}".partition("e")
    return f"{mantissa}e{int(exponent)} s"


def _step_line(row: Row) -> Sequence[str]:
    own = f"{_step(row['importer_default'])}{', unless a dt is given' if row['importer_takes_dt'] else ', always'}"
    return row["library"], row["exporter_call"], _step(row["dt_written"]), _step(row["dt_of_file"]), own


def _training_line(row: Row) -> Sequence[Any]:
    how = f"{row['learning_rate']:g}{' falling' if row['falling'] else ''}, {row['batch']}, {row['epochs']}"
    reached = {True: "yes", False: "no", None: "–"}[row["reached"]]
    surrogate = f"{row['surrogate']} {row['slope']:g}"
    return row["library"], row["pooling"], surrogate, how, row["updates"], share_text(row, "accuracy", 1), reached


def _export_line(row: Row) -> Sequence[Any]:
    answer = "a graph" if row["status"] == "ok" else failure_text(row)
    return row["library"], row["pooling"], row["written_as"], answer, row["declined_at"], row["why"]


def _transfer_line(row: Row) -> Sequence[Any]:
    named = {"default": " (default)", "nobody": " (takes none)"}.get(row["asked_by"], "")
    source = f"{row['source']} (by {row['exporter']})"
    first = source, row["importer"], row["case"], row["treatment"], f"{_step(row['dt_taken'])}{named}"
    if row["accuracy"] is None:
        return *first, f"none: {failure_text(row)}", "", "", row["causes"], row["remedy"]
    agreement, differ = f"{100 * row['agreement']:.0f} %", f"{row['mismatched']} of {row['outputs']}"
    return *first, share_text(row, "accuracy", 1), agreement, differ, row["causes"], row["remedy"]
