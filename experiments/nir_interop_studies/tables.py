"""Tables of studies: how they are written, and the columns that several have."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nir_interop.arrays import Array
from nir_interop.schema import write_text
from nir_interop.vocabulary import Status

if TYPE_CHECKING:
    from nir_interop.training import Settings
    from nir_interop.transfer.evaluation import Evaluated

Row = Mapping[str, Any]

_FORMULA = ("=", "@", "\t", "\r", "\n")


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> Path:
    """Write a CSV table; None is an empty field, a fraction has six digits, a truth is ``true`` or ``false``.

    A text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_field(row[name]) for name in columns])
    return write_text(path, file.getvalue())


def _field(value: Any) -> Any:
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.6g}"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value


def settings_columns(settings: Settings) -> dict[str, Any]:
    """How a network was trained."""
    plain = ("library", "loss", "sharpness", "learning_rate", "falling", "batch", "epochs", "steps", "seed")
    surrogate = {"surrogate": settings.surrogate.name, "slope": settings.surrogate.slope}
    return {**{name: getattr(settings, name) for name in plain}, "idiom": str(settings.idiom), **surrogate}


def accuracy_columns(found: Evaluated, labels: Array, suffix: str = "") -> dict[str, Any]:
    """``accuracy`` with its interval, ``right`` and ``samples``; empty where there is no output."""
    share = found.accuracy(labels)
    if share is None:
        return {}
    return {**share.columns(f"accuracy{suffix}"), f"right{suffix}": share.right, "samples": share.samples}


def comparison_columns(source: Evaluated, target: Evaluated, labels: Array, what: str) -> dict[str, Any]:
    """A target beside its source, as far as both have outputs; recordings are called ``what``."""
    from nir_interop.learning import Share

    ours, theirs = source.classes(), target.classes()
    if source.output is None or target.output is None or ours is None or theirs is None:
        return {}
    different, agreeing = source.output != target.output, Share.of(ours == theirs)
    return {
        **accuracy_columns(target, labels),
        "status": str(Status.MISMATCH if different.any() else Status.EXACT),
        **agreeing.columns("agreement"),
        "outputs": different.size,
        "spikes_target": int(target.output.sum()),
        "mismatched": int(different.sum()),
        f"{what}s_differing": int(different.any(axis=(0, 2)).sum()),
        "classes_differing": agreeing.samples - agreeing.right,
    }


def differing_rows(source: Evaluated, target: Evaluated, labels: Array, what: str) -> Iterator[dict[str, Any]]:
    """Each recording of which the target's output is not the source's; its number is in the column ``what``."""
    ours, theirs = source.classes(), target.classes()
    if source.output is None or target.output is None or ours is None or theirs is None:
        return
    different = source.output != target.output
    for number in np.flatnonzero(different.any(axis=(0, 2))):
        yield {
            what: int(number),
            "label": int(labels[number]),
            "class_source": int(ours[number]),
            "class_target": int(theirs[number]),
            "outputs_differing": int(different[:, number].sum()),
            "flips": bool(ours[number] != theirs[number]),
        }


def share_text(row: Row, name: str, digits: int) -> str:
    """An accuracy with its interval and its samples, as a page shows it."""
    value, low, high = (f"{100 * row[each]:.{digits}f}" for each in (name, f"{name}_low", f"{name}_high"))
    return f"{value} % ({low}–{high}, n = {row['samples']})"


def failure_text(row: Row, *, stage: bool = True, where: bool = True) -> str:
    """How something failed, in the library's words."""
    at = f" at {row['stage']}" if stage else ""
    place = f" ({row['error_at']})" if where and row["error_at"] else ""
    return f"{row['status']}{at}: {row['error_type']}: {row['error_message']}{place}"
