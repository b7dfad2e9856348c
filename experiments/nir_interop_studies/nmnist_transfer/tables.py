"""The rows of the study's tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nir_interop.networks import PoolKind
from nir_interop.training import Trained
from nir_interop.transfer.evaluation import Evaluated
from nir_interop.vocabulary import Cause, Status
from nir_interop_studies.common import Share
from nir_interop_studies.nmnist_transfer.crossing import HAND, RECONCILED, Crossed, Crossing, accuracy, classes
from nir_interop_studies.nmnist_transfer.frames import Frames, Windows
from nir_interop_studies.nmnist_transfer.network import FRAME
from nir_interop_studies.nmnist_transfer.regimes import Regime
from nir_interop_studies.nmnist_transfer.sentences import step

GOAL = 0.85
"""What a network trained on a thousand recordings of N-MNIST is to reach."""

TRAINING = (
    "dataset", "library", "pooling", "surrogate", "slope", "loss", "sharpness", "learning_rate", "falling", "batch", "epochs",
    "steps", "stretches", "training_recordings", "updates", "last_loss", "last_accuracy", "seed", "accuracy", "accuracy_low",
    "accuracy_high", "right", "samples", "goal", "reached",
)  # fmt: skip
SOURCES = (
    "dataset", "source", "library", "pooling", "trained_pooling", "runs_with", "dt_written", "exporter", "refusal", "error_at",
    "accuracy", "accuracy_low", "accuracy_high", "right", "samples", "spikes", "rate_lif1", "rate_lif2", "rate_lif3",
)  # fmt: skip
TRANSFER = (
    "dataset", "source", "library", "pooling", "exporter", "importer", "case", "treatment", "dt_written", "dt_file", "dt_asked",
    "dt_taken", "asked_by", "status", "stage", "error_type", "error_message", "error_at", "accuracy_source",
    "accuracy_source_low", "accuracy_source_high", "right_source", "accuracy", "accuracy_low", "accuracy_high", "right",
    "samples", "agreement", "agreement_low", "agreement_high", "outputs", "spikes_source", "spikes_target", "mismatched",
    "recordings_differing", "classes_differing", "blame", "causes", "remedy", "sample_exact",
)  # fmt: skip
FLIPS = ("dataset", "source", "importer", "case", "recording", "label", "class_source", "class_target", "outputs_differing")


def training_rows(
    regimes: Sequence[Regime], trained: Mapping[str, Trained], data: tuple[Windows, Frames], crossed: Crossed
) -> Iterator[dict[str, Any]]:
    """One row a trained network."""
    windows, test = data
    natives = {source.key: crossed.natives[name] for name, source in crossed.sources.items() if source.dt == FRAME}
    for regime in regimes:
        settings, found = regime.settings, trained[regime.key]
        share = accuracy(natives[regime.key], test)
        if share is None:
            raise ValueError(f"{regime.key} does not run in its own library: {natives[regime.key].failed}")
        last = found.curve[-max(1, len(found.curve) // 10) :].mean(axis=0)
        asked = test.name == "nmnist" and len(windows.frames) >= 1000
        yield {
            "dataset": test.name,
            "library": regime.library,
            "pooling": regime.pooling.value,
            "surrogate": settings.surrogate.name,
            "slope": settings.surrogate.slope,
            **{name: getattr(settings, name) for name in ("loss", "sharpness", "learning_rate", "falling", "batch", "epochs")},
            "steps": settings.steps,
            "stretches": len(windows),
            "training_recordings": len(windows.frames),
            "updates": len(found.curve),
            "last_loss": last[0],
            "last_accuracy": last[1],
            "seed": settings.seed,
            **share.columns("accuracy"),
            "right": share.right,
            "samples": share.samples,
            "goal": GOAL if asked else None,
            "reached": share.value >= GOAL if asked else None,
        }


def source_rows(crossed: Crossed) -> Iterator[dict[str, Any]]:
    """Every network in its own library, and the one trained with max pooling with other pooling instead."""
    for name, source in crossed.sources.items():
        trained = PoolKind.MAX if source.pooling is PoolKind.MAX else PoolKind.AVERAGE
        runs = PoolKind.AVERAGE if source.own is not source.network else source.pooling
        about = {"source": name, "library": source.library, "pooling": source.pooling.value, "trained_pooling": trained.value}
        yield _source(crossed, crossed.natives[name], {
            **about, "runs_with": runs.value, "dt_written": source.dt, "exporter": source.exported.exporter or None,
            "refusal": _said(source.refused), "error_at": source.refused.get("error_at", ""),
        })  # fmt: skip
    for kind, outcome in crossed.swapped.items():
        yield _source(crossed, outcome, {
            "source": f"norse_max_as_{kind.value}", "library": "norse", "pooling": kind.value,
            "trained_pooling": PoolKind.MAX.value, "runs_with": kind.value, "dt_written": FRAME,
        })  # fmt: skip


def _source(crossed: Crossed, outcome: Evaluated, about: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(SOURCES)
    row |= {"dataset": crossed.test.name, **about}
    share = accuracy(outcome, crossed.test)
    if share is not None and outcome.output is not None:
        row |= {**share.columns("accuracy"), "right": share.right, "samples": share.samples}
        row |= {"spikes": int(outcome.output.sum()), **{f"rate_{name}": rate for name, rate in outcome.rates.items()}}
    return row


def transfer_rows(crossed: Crossed, whys: Mapping[int, str]) -> Iterator[dict[str, Any]]:
    """Every graph in every importer, in every case, with every treatment.

    whys : number of a crossing → causes on recordings outside the sample
    """
    for number, (each, outcome) in enumerate(zip(crossed.crossings, crossed.outcomes, strict=True)):
        row = _transfer(crossed, each, outcome)
        yield row if number not in whys else row | {"causes": f"{whys[number]} (outside the sample)"}


def _transfer(crossed: Crossed, each: Crossing, outcome: Evaluated | None) -> dict[str, Any]:
    source, native = each.source, crossed.natives[each.source.name]
    row: dict[str, Any] = dict.fromkeys(TRANSFER)
    row |= {
        "dataset": crossed.test.name,
        "source": source.key,
        "library": source.library,
        "pooling": source.pooling.value,
        "importer": each.importer,
        "case": each.case.name,
        "treatment": each.treatment,
        "dt_written": source.dt,
        "samples": len(crossed.test),
    }
    share = accuracy(native, crossed.test)
    if share is not None and native.output is not None:
        row |= {**share.columns("accuracy_source"), "right_source": share.right, "spikes_source": int(native.output.sum())}
    if outcome is None:
        words = source.refused
        row |= {name: words.get(name, "") for name in ("status", "stage", "error_type", "error_message", "error_at")}
        return row | {"causes": str(Cause.NOT_EXPRESSIBLE), "remedy": NO_MAX}
    row |= {
        "exporter": source.exported.exporter,
        "dt_file": source.file_dt,
        "dt_asked": each.asked,
        "dt_taken": each.taken,
        "asked_by": each.asked_by,
        "blame": None if each.verdict is None else str(each.verdict.blame),
        "causes": None if each.verdict is None else "; ".join(each.verdict.codes) or None,
        "remedy": _remedy(each),
        "sample_exact": _exact(each),
        **outcome.failed,
    }
    return row | _compared(crossed, native, outcome)


NO_MAX = "none: NIR has no max pooling; train with average or sum pooling"


def _exact(each: Crossing) -> bool:
    if each.plan is not None:
        return each.plan.exact
    return each.verdict is not None and each.verdict.status is Status.EXACT


def _remedy(each: Crossing) -> str | None:
    if each.treatment == RECONCILED and each.plan is not None:
        return "; ".join(one.name for one in each.plan.passes) or "nothing to do"
    if each.treatment == HAND and each.taken != each.source.file_dt:
        return f"dt = {step(each.taken)}, time constants × {each.taken / each.source.file_dt:g}"
    return f"dt = {step(each.taken)}" if each.treatment == HAND else None


def _compared(crossed: Crossed, native: Evaluated, outcome: Evaluated) -> dict[str, Any]:
    share, ours, theirs = accuracy(outcome, crossed.test), classes(native), classes(outcome)
    if share is None or outcome.output is None or native.output is None or ours is None or theirs is None:
        return {}
    different, agreeing = native.output != outcome.output, Share.of(ours == theirs)
    return {
        "status": str(Status.MISMATCH if different.any() else Status.EXACT),
        **share.columns("accuracy"),
        "right": share.right,
        **agreeing.columns("agreement"),
        "outputs": different.size,
        "spikes_target": int(outcome.output.sum()),
        "mismatched": int(different.sum()),
        "recordings_differing": int(different.any(axis=(0, 2)).sum()),
        "classes_differing": agreeing.samples - agreeing.right,
    }


def flip_rows(crossed: Crossed) -> Iterator[dict[str, Any]]:
    """Recordings with another output where the sample was exact once rewritten."""
    for each, outcome in zip(crossed.crossings, crossed.outcomes, strict=True):
        native = crossed.natives[each.source.name]
        ours, theirs = classes(native), classes(outcome)
        if each.treatment != RECONCILED or not _exact(each) or outcome is None or ours is None or theirs is None:
            continue
        different = np.asarray(native.output != outcome.output)
        for number in np.flatnonzero(different.any(axis=(0, 2))):
            yield {
                "dataset": crossed.test.name,
                "source": each.source.key,
                "importer": each.importer,
                "case": each.case.name,
                "recording": int(number),
                "label": int(crossed.test.labels[number]),
                "class_source": int(ours[number]),
                "class_target": int(theirs[number]),
                "outputs_differing": int(different[:, number].sum()),
            }


def _said(words: Mapping[str, str]) -> str | None:
    if not words:
        return None
    return f"{words['status']} at {words['stage']}: {words['error_type']}: {words['error_message']}"
