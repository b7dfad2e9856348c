"""The study's page, written from the numbers of its tables; its text is in ``templates/page.md.j2``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nir_interop.backends.environments import Backend
from nir_interop.schema import write_text
from nir_interop.vocabulary import CONTINUOUS, Mode
from nir_interop_studies.nir_paper.inputs import Held
from nir_interop_studies.nir_paper.lif import SAME
from nir_interop_studies.nir_paper.paper import VARIABLE, PaperOptions
from nir_interop_studies.pages import how_made, page
from nir_interop_studies.tables import share_text

Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]

DATASETS = {
    "nmnist": "N-MNIST",
    "digits-events": "the embedded digits of scikit-learn as events, not N-MNIST",
    "braille": "Braille letters of the pool that the network was trained on",
}
"""Data set → what the page calls it."""

PUBLISHED = {"cnn": "cnn", "own_cnn": "", "braille": "bias, reset to zero", "own_recurrent": ""}
"""Task → its network among the published accuracies, in the order of the page."""

_TITLES = {
    "cnn": "N-MNIST",
    "own_cnn": "A convolutional network of our own, on digits as events",
    "braille": "Braille",
    "own_recurrent": "A recurrent network of our own, on digits as events",
}


def title(tables: Rows, task: str) -> str:
    """What the page calls a task; the published network for N-MNIST may have been fed something else."""
    rows = tables.get(task, ())
    elsewhere = task == "cnn" and rows and rows[0]["dataset"] != "nmnist"
    return "The network for N-MNIST, on digits as events" if elsewhere else _TITLES[task]


def published(tables: Rows, task: str) -> list[Row]:
    """The published accuracies of a task."""
    return [row for row in tables.get("published", ()) if row["network"] == PUBLISHED[task]]


def write_page(options: PaperOptions, tables: Rows, chosen: Sequence[Backend], digits: Held | None, seconds: float) -> Path:
    """Write README.md."""
    where = f"{VARIABLE}=… " if "published" in tables and options.paper_dir is None else ""
    pairs, known = tables["first_layers"], defaultdict(list, tables)
    text = page(
        "nir_paper",
        tables=known,
        quick=options.quick,
        digits=digits,
        variable=VARIABLE,
        continuous=CONTINUOUS,
        datasets=DATASETS,
        within=f"{SAME:g}",
        tasks=[(task, title(tables, task), [row["accuracy"] for row in published(tables, task)]) for task in PUBLISHED],
        neurons=[_neuron(tables["lif_backends"], name) for name in _each("backend", tables["lif_backends"])],
        cells=lambda rows: merged([_cell(row) for row in rows], 2),
        gains=merged([_gain(row) for row in known["cnn_gain"]], 1),
        pairs=[{**row, "pair": _names(row)} for row in pairs if not _equal(row)],
        equal_pairs=list(_equal_pairs(pairs)),
        norse_snntorch=_between(pairs, "published", {"Norse", "snnTorch"}),
        reference_norse=_between(pairs, str(Mode.NATIVE), {"reference", "norse"}),
        fixed=fixed,
        share=_accuracy,
        differ=_differ,
        trace=lambda row: row["trace"] + (f" ({row['hardware']})" if row["hardware"] else ""),
        rule=lambda row: row["rule"] if row["explained"] else f"not explained; nearest: {row['rule']}",
        told=_reproduced,
        shortened=shortened,
        made="\n".join(how_made(f"{where}{options.command}", seconds, used=chosen)),
    )
    return write_text(options.out / "README.md", text)


def merged(rows: Iterable[Sequence[Any]], place: int) -> list[Sequence[Any]]:
    """Rows that differ in one place only as one row, with all that stood there."""
    found: dict[tuple[Any, ...], list[str]] = {}
    for row in rows:
        found.setdefault((*row[:place], *row[place + 1 :]), []).append(str(row[place]))
    return [(*rest[:place], ", ".join(there), *rest[place:]) for rest, there in found.items()]


def fixed(column: str, digits: str) -> Callable[[Row], str | None]:
    """How a number is written in a table."""
    return lambda row: None if row[column] is None else format(row[column], digits)


def shortened(message: str, most: int = 90) -> str:
    """A message that fits a table."""
    return message if len(message) <= most else message[: most - 1] + "…"


def _each(column: str, rows: Sequence[Row]) -> Iterable[Any]:
    return dict.fromkeys(row[column] for row in rows)


def _accuracy(row: Row) -> str:
    return share_text(row, "accuracy", 2)


def _differ(row: Row) -> str:
    return f"{row['mismatched']} of {row['outputs']}"


def _failed(row: Row) -> str:
    return f"{row['status']}: {row['error_type']}: {shortened(row['error_message'])}"


def _who(row: Row) -> str:
    return f"{row['backend']} {row['version']}"


def _neuron(rows: Sequence[Row], backend: str) -> Sequence[Any]:
    """A backend's neuron here, and the traces that are the same."""
    mine = [row for row in rows if row["backend"] == backend]
    same = [row for row in mine if row["steps_differing"] == 0]
    near = [row["trace"] for row in same if row["v_max_abs"] is not None and row["v_max_abs"] < SAME]
    said = mine[0]["spikes_backend"] if mine[0]["status"] == "ran" else mine[0]["status"]
    return _who(mine[0]), said, ", ".join(row["trace"] for row in same), ", ".join(near)


def _reproduced(row: Row) -> str:
    """Whether a library spikes as its published trace does."""
    if row["spikes_run"] is None:
        return shortened(row["status"])
    if row["reproduced"]:
        return f"{row['spikes_run']}, as published"
    late = f", here {row['steps_late']} later" if row["steps_late"] else ""
    return f"{row['spikes_run']}, published {row['spikes_published']}{late}"


def _cell(row: Row) -> Sequence[Any]:
    """A network in a backend, natively or rewritten."""
    who = _who(row), row["mode"], f"{row['dt']:g}"
    causes = row["causes"] or (shortened(row["why"], 200) if row["why"] else None)
    if row["accuracy"] is None:
        found: Sequence[Any] = (f"none: {_failed(row)}", "", "", "")
    else:
        found = _accuracy(row), _differ(row), row["recordings_differing"], row["classes_differing"]
    return *who, *found, causes, row["remedy"]


def _gain(row: Row) -> Sequence[Any]:
    dt, wanted = f"{row['dt']:g}", row["spikes_at_gain_1"]
    if row["first_layer_spikes"] is None:
        return _who(row), dt, "", "none", _failed(row), wanted
    # Without a leak the step has no other effect than the gain.
    used = "of no effect" if row["gain"] == 1 != row["dt"] else f"{row['dt_used']:g}"
    return _who(row), dt, used, f"{row['gain']:g}", row["first_layer_spikes"], wanted


def _names(row: Row) -> str:
    return f"{row['one']} – {row['other']}"


def _equal(row: Row) -> bool:
    return row["mode"] != "published" and not row["mismatched"]


def _equal_pairs(pairs: Sequence[Row]) -> Iterator[tuple[str, str, list[str]]]:
    """Task and mode → the pairs whose first layers are the same."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in filter(_equal, pairs):
        found.setdefault((row["task"], row["mode"]), []).append(_names(row))
    return ((*where, names) for where, names in found.items())


def _between(pairs: Sequence[Row], mode: str, names: set[str]) -> Row | None:
    return next((row for row in pairs if row["mode"] == mode and {row["one"], row["other"]} == names), None)
