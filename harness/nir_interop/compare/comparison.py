"""Everything a table says about two recordings of one stimulus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.compare.divergence import differs, first_divergence, membrane_gap, output_of
from nir_interop.compare.rasters import best_lag, is_constant, is_counts, rate_cosine
from nir_interop.compare.trains import coincidence, van_rossum, victor_purpura
from nir_interop.learning import accuracy, classify
from nir_interop.recording import Recording
from nir_interop.vocabulary import Readout, Status

Array = NDArray[Any]

MINIMUM_SPIKES = 20
"""With fewer spikes at the source's output agreement proves nothing; a difference proves as much as ever."""


@dataclass(frozen=True)
class Comparison:
    """Fields are columns of ``report.csv``; None where a value makes no sense.

    status : exact, mismatch, vacuous or wrong_shape
    error_message : both shapes, where they differ
    spikes_source, spikes_target : spikes at the output; None for values
    outputs, mismatched, mismatch_rate : output elements compared, those that differ, and their share
    first_step, first_node : the earliest difference of any node recorded on both sides, or of the output; there may be one
        although the outputs agree
    best_lag, raster_cosine : the shift [steps] at which the output is most like the source's (positive: late), and how like
    rate_cosine : cosine of the outputs averaged over time
    van_rossum, victor_purpura, coincidence : see :mod:`nir_interop.compare.trains`
    v_max_abs : the largest membrane difference [V]
    accuracy_source, accuracy_target, accuracy_delta : 0–1; delta is target − source
    agreement : share of samples for which both outputs are read as the same class
    samples : samples of the batch
    """

    status: Status
    error_message: str | None = None
    spikes_source: int | None = None
    spikes_target: int | None = None
    outputs: int | None = None
    mismatched: int | None = None
    mismatch_rate: float | None = None
    first_step: int | None = None
    first_node: str | None = None
    best_lag: int | None = None
    raster_cosine: float | None = None
    rate_cosine: float | None = None
    van_rossum: float | None = None
    victor_purpura: float | None = None
    coincidence: float | None = None
    v_max_abs: float | None = None
    accuracy_source: float | None = None
    accuracy_target: float | None = None
    accuracy_delta: float | None = None
    agreement: float | None = None
    samples: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Column → value, in the order of the fields; the status as text."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"status": self.status.value}


@np.errstate(over="ignore", invalid="ignore")
def compare(
    source: Recording,
    target: Recording,
    *,
    readout: Readout,
    labels: NDArray[np.int64] | None,
    order: Sequence[str] = (),
) -> Comparison:
    """Say how far a target's recording is from its source's.

    readout : how a class is read from the output
    labels : the right class of each sample, (B,), or None
    order : the graph's nodes in topological order, for ``first_node``

    A source whose output is constant, or spikes fewer than MINIMUM_SPIKES times, makes agreement vacuous; outputs that differ
    are a mismatch however few spikes there are.  Counts are told from values by being whole and not negative.
    Raises ValueError where there is not one label per sample.
    """
    ours = source.output
    if labels is not None and labels.shape != (ours.shape[1],):
        raise ValueError(f"labels have axes {labels.shape}, the recording {ours.shape[1]} samples")
    theirs = output_of(target)
    spiking = is_counts(ours)
    facts: dict[str, Any] = {"samples": ours.shape[1], "spikes_source": int(ours.sum()) if spiking else None}
    if theirs is not None and is_counts(theirs):
        facts["spikes_target"] = int(theirs.sum())
    first = first_divergence(source, target, order)
    if first is not None:
        facts |= {"first_step": first.step, "first_node": first.node}
    facts["v_max_abs"] = membrane_gap(source, target)
    if theirs is None or theirs.shape != ours.shape:
        message = f"the source's output has axes (T, B, n) = {ours.shape}, the target's {_axes(target, theirs)}"
        facts["accuracy_source"] = _accuracy(ours, labels, readout)
        return Comparison(Status.WRONG_SHAPE, error_message=message, **facts)

    mismatched = int(np.count_nonzero(differs(ours, theirs)))
    lag, likeness = best_lag(ours, theirs)
    if spiking and is_counts(theirs):
        facts |= {
            "van_rossum": van_rossum(ours, theirs),
            "victor_purpura": victor_purpura(ours, theirs),
            "coincidence": coincidence(ours, theirs),
        }
    return Comparison(
        status_of(ours, mismatched),
        outputs=ours.size,
        mismatched=mismatched,
        mismatch_rate=mismatched / ours.size if ours.size else None,
        best_lag=lag,
        raster_cosine=likeness,
        rate_cosine=rate_cosine(ours, theirs),
        **facts,
        **_classes(ours, theirs, labels, readout),
    )


def status_of(source: Array, mismatched: int) -> Status:
    """Of outputs (T, B, n) of one shape, by how many differ: where none does and the source is quiet, that proves nothing."""
    if mismatched:
        return Status.MISMATCH
    return Status.VACUOUS if is_quiet(source) else Status.EXACT


def is_quiet(output: Array) -> bool:
    """Whether an output (T, B, n) is constant, or spikes fewer than MINIMUM_SPIKES times."""
    return is_constant(output) or (is_counts(output) and int(output.sum()) < MINIMUM_SPIKES)


def _axes(recording: Recording, output: Array | None) -> str:
    """The axes of an output as text, or those of its parts where they do not fit together."""
    if output is not None:
        return str(output.shape)
    return ", ".join(f"{array.shape} at {name}" for name, array in sorted(recording.outputs.items())) or "missing"


def _accuracy(output: Array, labels: NDArray[np.int64] | None, readout: Readout) -> float | None:
    if labels is None or not labels.size or not output.shape[0] or output.shape[2] < 2:
        return None
    return accuracy(output, labels, readout)


def _classes(source: Array, target: Array, labels: NDArray[np.int64] | None, readout: Readout) -> dict[str, Any]:
    """Accuracies and agreement; a class can be read from two outputs or more."""
    if not source.size or source.shape[2] < 2:
        return {}
    ours, theirs = _accuracy(source, labels, readout), _accuracy(target, labels, readout)
    return {
        "accuracy_source": ours,
        "accuracy_target": theirs,
        "accuracy_delta": None if ours is None or theirs is None else theirs - ours,
        "agreement": float((classify(source, readout) == classify(target, readout)).mean()),
    }
