"""The study's folder: tables, figures, graphs, and a page that is written from the numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from nir_interop.training import Trained
from nir_interop_studies.common import Options, markdown_table, write_table, write_text
from nir_interop_studies.nmnist_transfer import figures, tables
from nir_interop_studies.nmnist_transfer.beyond_sample import elsewhere
from nir_interop_studies.nmnist_transfer.crossing import NATIVE, RECONCILED, TREATMENTS, Crossed
from nir_interop_studies.nmnist_transfer.exporters import EXPORTS, STEPS, export_rows, step_rows
from nir_interop_studies.nmnist_transfer.frames import FILTER_TIME, Frames, Windows
from nir_interop_studies.nmnist_transfer.regimes import Regime
from nir_interop_studies.nmnist_transfer.sentences import CASE_WORDS, cases, in_short, limits, opening, share, step, way
from nir_interop_studies.provenance import how_made

Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]
Data = tuple[Windows, Frames]

COLUMNS = {
    "training": tables.TRAINING, "sources": tables.SOURCES, "exports": EXPORTS, "steps": STEPS, "transfer": tables.TRANSFER,
    "flips": tables.FLIPS,
}  # fmt: skip


def write_report(
    options: Options,
    regimes: Sequence[Regime],
    trained: Mapping[str, Trained],
    data: Data,
    crossed: Crossed,
    seconds: Callable[[], float],
) -> list[Any]:
    """Write everything; the page comes first in what is returned."""
    out, dataset = options.out, data[1].name
    rows: dict[str, list[Row]] = {
        "training": list(tables.training_rows(regimes, trained, data, crossed)),
        "sources": list(tables.source_rows(crossed)),
        "exports": list(export_rows(dataset, options.seed)),
        "steps": list(step_rows(dataset)),
        "transfer": list(tables.transfer_rows(crossed, elsewhere(crossed, options))),
        "flips": list(tables.flip_rows(crossed)),
    }
    written = [write_table(out / f"{name}.csv", COLUMNS[name], found) for name, found in rows.items()]
    written.append(figures.accuracies(rows["transfer"], out / "accuracy.png"))
    drawn = figures.rasters(crossed, out / "rasters.png")
    written += [drawn] if drawn is not None else []
    text = "\n".join(_page(options, regimes, trained, data, rows, drawn is not None, seconds())) + "\n"
    return [write_text(out / "README.md", text), *written]


def _page(
    options: Options,
    regimes: Sequence[Regime],
    trained: Mapping[str, Trained],
    data: Data,
    rows: Rows,
    drawn: bool,
    seconds: float,
) -> Iterator[str]:
    yield "# nmnist_transfer: from Norse to snnTorch and back, on event frames"
    yield ""
    yield from opening(options, data)
    yield "## The blanks, filled"
    yield ""
    yield "A course project trained a network on N-MNIST in Norse and exported it to snnTorch, found that max pooling does not"
    yield "convert, went the other way, found that the two libraries disagree about the time step, and left both accuracies"
    yield "blank. Accuracy at the target, beside that at the source, and how many spikes differ from the source's:"
    yield ""
    yield from markdown_table(("way", "pooling", "case", "at the source", *TREATMENTS), _blanks(rows["transfer"]))
    yield ""
    yield from in_short(rows["transfer"])
    yield "*native*: the exporter's file, the importer given no dt (in the case *frames*, asked for 1 ms). *by hand*: the"
    yield "importer asked for the step of the case, the file's time constants multiplied where the file is of another."
    yield "*reconciled*: the graph that `nir-interop reconcile` makes of it, from the step that the file is of."
    yield ""
    yield from cases(rows)
    if drawn:
        yield "![rasters of both sides and their difference](rasters.png)"
        yield ""
    yield "## Max pooling, and what to do"
    yield ""
    yield from _pooling(rows)
    yield "## Training"
    yield ""
    heads: tuple[str, ...] = ("library", "pooling", "surrogate", "rate, batch, passes", "updates", "accuracy", "85 % reached")
    yield from markdown_table(heads, (_training(row) for row in rows["training"]))
    yield ""
    first = rows["training"][0]
    yield f"Trained on {first['stretches']} stretches of {first['steps']} frames of 1 ms from {first['training_recordings']}"
    yield f"recordings, tested on {data[1].steps} frames from the first event on; cross-entropy of the rates, Adam, reset"
    yield "to 0 in the step of the spike."
    yield ""
    yield "## What the exporters answer"
    yield ""
    heads = ("library", "pooling", "written as", "answer", "given up at", "why")
    yield from markdown_table(heads, (_export(row) for row in rows["exports"]))
    yield ""
    yield "## Every way"
    yield ""
    heads = (
        "source",
        "importer",
        "case",
        "treatment",
        "step",
        "accuracy",
        "agreement",
        "spikes that differ",
        "causes",
        "remedy",
    )
    yield from markdown_table(heads, (_transfer(row) for row in rows["transfer"] if row["pooling"] != "max"))
    yield ""
    yield "![accuracies](accuracy.png)"
    yield ""
    yield "## Reached, and not reached"
    yield ""
    yield from limits(rows, data)
    yield ""
    also = f"; Denoise of {FILTER_TIME // 1000} ms"
    yield from how_made(options.command, seconds, trained, packages=("torch", "nir", "tonic"), also=also)


def _blanks(rows: Sequence[Row]) -> Iterator[Sequence[Any]]:
    """Norse to snnTorch and back: one line a pooling and a case."""
    for library, importer in (("norse", "snntorch"), ("snntorch", "norse")):
        mine = [row for row in rows if row["library"] == library and row["importer"] == importer]
        for pooling in dict.fromkeys(row["pooling"] for row in mine):
            own = [row for row in mine if row["pooling"] == pooling]
            for case in [each for each in CASE_WORDS if each in {row["case"] for row in own}]:
                found = {row["treatment"]: row for row in own if row["case"] == case}
                cells = [_cell(found[each]) for each in TREATMENTS]
                named = "any" if pooling == "max" else case
                yield f"{library} → {importer}", pooling, named, share(found[NATIVE], "accuracy_source"), *cells
                if pooling == "max":
                    break


def _cell(row: Row) -> str:
    if row["accuracy"] is None:
        return f"none: {row['status']} at {row['stage']}"
    differ = "every spike the same" if not row["mismatched"] else f"{row['mismatched']} of {row['outputs']} outputs differ"
    return f"{100 * row['accuracy']:.1f} %; {differ}"


def _pooling(rows: Rows) -> Iterator[str]:
    maximum = [row for row in rows["exports"] if row["pooling"] == "max"]
    for row in maximum:
        gave_up = f"; the exporter gave up at {row['declined_at']}" if row["declined_at"] else ""
        said = f"{row['error_type']}: {row['error_message']} ({row['error_at']})"
        yield f"- {row['library']}, max pooling: {row['status']} at {row['stage']}{gave_up}. {said}."
    yield "- NIR has no max pooling, so no exporter could have written it, and there is no accuracy at the target."
    swapped = [row for row in rows["sources"] if row["source"].startswith("norse_max_as_")]
    for row in swapped:
        yield f"- Trained with max pooling and run with {row['pooling']} pooling instead, not trained again, in Norse:"
        yield f"  {share(row, 'accuracy')}."
    ways = [row for row in rows["transfer"] if row["pooling"] != "max" and row["treatment"] == RECONCILED]
    good = [row for row in ways if row["right"] is not None and row["right"] == row["right_source"]]
    yield f"- Trained with average pooling instead, and written with average or sum pooling, {len(good)} of {len(ways)} ways"
    yield "  keep the source's accuracy once reconciled. Sum pooling is average pooling with a quarter of the weights."
    yield ""


def _training(row: Row) -> Sequence[Any]:
    how = f"{row['learning_rate']:g}{' falling' if row['falling'] else ''}, {row['batch']}, {row['epochs']}"
    reached = {True: "yes", False: "no", None: "–"}[row["reached"]]
    surrogate = f"{row['surrogate']} {row['slope']:g}"
    return row["library"], row["pooling"], surrogate, how, row["updates"], share(row, "accuracy"), reached


def _export(row: Row) -> Sequence[Any]:
    answer = "a graph"
    if row["status"] != "ok":
        where = f" ({row['error_at']})" if row["error_at"] else ""
        answer = f"{row['status']} at {row['stage']}: {row['error_type']}: {row['error_message']}{where}"
    return row["library"], row["pooling"], row["written_as"], answer, row["declined_at"], row["why"]


def _transfer(row: Row) -> Sequence[Any]:
    named = {"default": " (default)", "nobody": " (takes none)"}.get(row["asked_by"], "")
    first = way(row), row["importer"], row["case"], row["treatment"], f"{step(row['dt_taken'])}{named}"
    if row["accuracy"] is None:
        at = f" ({row['error_at']})" if row["error_at"] else ""
        said = f"none: {row['status']} at {row['stage']}: {row['error_type']}: {row['error_message']}{at}"
        return *first, said, "", "", row["causes"], row["remedy"]
    differ = f"{row['mismatched']} of {row['outputs']}"
    return *first, share(row, "accuracy"), f"{100 * row['agreement']:.0f} %", differ, row["causes"], row["remedy"]
