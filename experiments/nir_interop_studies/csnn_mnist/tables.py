"""The rows of the study's tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nir_interop.datasets import Images
from nir_interop.training import Trained
from nir_interop.vocabulary import Idiom, Mode, Status
from nir_interop_studies.common import Share
from nir_interop_studies.csnn_mnist.crossing import Crossed, Deployed, accuracy, classes
from nir_interop_studies.csnn_mnist.exporter import why
from nir_interop_studies.csnn_mnist.regimes import Regime

GOAL = 0.98
"""What one epoch is to reach on MNIST."""

TRAINING = (
    "dataset", "library", "settings", "idiom", "reset", "surrogate", "slope", "loss", "sharpness", "learning_rate", "falling",
    "batch", "epochs", "steps", "seed", "starting_scale", "training_samples", "updates", "last_loss", "accuracy",
    "accuracy_low", "accuracy_high", "right", "samples", "comparable", "goal", "reached", "rate_lif1", "rate_lif2",
    "rate_lif3",
)  # fmt: skip
EXPORTS = (
    "dataset", "library", "settings", "idiom", "reset", "status", "stage", "error_type", "error_message", "error_at", "why",
    "accuracy", "accuracy_low", "accuracy_high", "samples", "comparable",
)  # fmt: skip
ATTEMPTS = ("dataset", "parameters", "ignore_dims", "state", "status", "error_type", "error_message", "error_at", "why")
DEPLOYMENT = (
    "dataset", "source", "exporter", "importer", "mode", "status", "stage", "error_type", "error_message", "error_at",
    "accuracy_source", "accuracy_source_low", "accuracy_source_high", "accuracy", "accuracy_low", "accuracy_high",
    "right_source", "right", "samples", "comparable", "agreement", "agreement_low", "agreement_high", "outputs",
    "mismatched", "images_differing", "classes_differing", "blame", "causes", "sample_exact", "remedy", "remains", "says",
    "why_elsewhere",
)  # fmt: skip
FLIPS = (
    "dataset", "source", "importer", "mode", "image", "label", "class_source", "class_target", "outputs_differing", "flips",
)  # fmt: skip
CURVES = (
    "dataset", "library", "settings", "update", "loss", "accuracy", "accuracy_low", "accuracy_high", "right", "samples",
    "comparable",
)  # fmt: skip

MNIST_SAMPLES, TEST_SAMPLES = 60_000, 10_000
"""Training and test images of MNIST."""
BINS = 60
"""Points of a training curve."""


def asked(data: tuple[Images, Images]) -> bool:
    """Whether GOAL is asked of these images: of all of MNIST."""
    return data[0].name == "mnist" and len(data[0]) == MNIST_SAMPLES


def comparable(test: Images) -> bool:
    """Whether these are the test images on which the published "about 95 %" is."""
    return test.name == "mnist" and len(test) == TEST_SAMPLES


def training_rows(
    regimes: Sequence[Regime], trained: Mapping[str, Trained], data: tuple[Images, Images], crossed: Crossed
) -> Iterator[dict[str, Any]]:
    """One row a trained network."""
    for regime in regimes:
        settings, outcome = regime.settings, crossed.natives[regime.key]
        share = accuracy(outcome, data[1])
        if share is None:
            raise ValueError(f"{regime.key} does not run in its own library: {outcome.failed}")
        yield {
            "dataset": data[1].name,
            "library": settings.library,
            "settings": regime.name,
            "idiom": str(settings.idiom),
            "reset": regime.reset.value,
            "surrogate": settings.surrogate.name,
            "slope": settings.surrogate.slope,
            "loss": settings.loss,
            "sharpness": settings.sharpness,
            "learning_rate": settings.learning_rate,
            "falling": settings.falling,
            "batch": settings.batch,
            "epochs": settings.epochs,
            "steps": settings.steps,
            "seed": settings.seed,
            "starting_scale": regime.scale,
            "training_samples": len(data[0]),
            "updates": len(trained[regime.key].curve),
            "last_loss": trained[regime.key].curve[-1, 0],
            **share.columns("accuracy"),
            "right": share.right,
            "samples": share.samples,
            "comparable": comparable(data[1]),
            "goal": GOAL if asked(data) else None,
            "reached": share.value >= GOAL if asked(data) else None,
            **{f"rate_{name}": outcome.rates[name] for name in ("lif1", "lif2", "lif3")},
        }


def export_rows(crossed: Crossed) -> Iterator[dict[str, Any]]:
    """What each library's own exporter made of each network, in each idiom."""
    for name, found in crossed.exports.items():
        source = crossed.sources[name]
        share = accuracy(crossed.natives[name], crossed.test) if name in crossed.natives else None
        words = found.failed
        yield {
            "dataset": crossed.test.name,
            "library": source.library,
            "settings": source.regime.name,
            "idiom": str(source.idiom),
            "reset": source.regime.reset.value,
            "status": words.get("status", "ok"),
            **{key: words.get(key, "") for key in ("stage", "error_type", "error_message", "error_at")},
            "why": why(words.get("error_message", "")),
            **({"accuracy": None, "accuracy_low": None, "accuracy_high": None} if share is None else share.columns("accuracy")),
            "samples": None if share is None else share.samples,
            "comparable": comparable(crossed.test),
        }


def deployment_rows(crossed: Crossed) -> Iterator[dict[str, Any]]:
    """Every graph in every importer, as it is and rewritten."""
    for each in crossed.deployed:
        yield _deployment(crossed, each)


def _deployment(crossed: Crossed, each: Deployed) -> dict[str, Any]:
    native, outcome, crossing = crossed.natives[each.source.name], each.outcome, each.crossing
    ours, share = accuracy(native, crossed.test), accuracy(outcome, crossed.test)
    reconciled = each.mode is Mode.RECONCILED
    plan = crossing.plan if reconciled else None
    left = None if crossing.left is None or not reconciled else crossing.left
    verdict = left if reconciled else crossing.verdict
    row: dict[str, Any] = dict.fromkeys(DEPLOYMENT)
    row |= {
        "dataset": crossed.test.name,
        "source": each.source.name,
        "exporter": crossed.crossers[each.source.name].exporter,
        "importer": each.importer,
        "mode": str(each.mode),
        "samples": len(crossed.test),
        "comparable": comparable(crossed.test),
        "blame": None if reconciled else str(crossing.verdict.blame),
        "causes": None if reconciled else "; ".join(crossing.verdict.codes),
        "sample_exact": crossing.exact if reconciled else crossing.verdict.status is Status.EXACT,
        "remedy": "; ".join(one.name for one in plan.passes) if plan is not None else None,
        "remains": None if left is None else "; ".join(left.codes),
        "says": None if verdict is None else "; ".join(f"{each.cause}: {each.says}" for each in verdict.causes if each.says),
        "why_elsewhere": crossed.whys.get((each.source.name, each.importer)) if reconciled else None,
    }
    row |= {key: outcome.failed.get(key, "") for key in ("status", "stage", "error_type", "error_message", "error_at")}
    if ours is not None:
        row |= {**ours.columns("accuracy_source"), "right_source": ours.right}
    if share is not None:
        row |= {**share.columns("accuracy"), "right": share.right}
    if native.output is not None and outcome.output is not None:
        different = native.output != outcome.output
        agreeing = Share.of(classes(native) == classes(outcome))
        row |= {
            "status": str(Status.MISMATCH if different.any() else Status.EXACT),
            "outputs": different.size,
            "mismatched": int(different.sum()),
            "images_differing": int(different.any(axis=(0, 2)).sum()),
            "classes_differing": agreeing.samples - agreeing.right,
            **agreeing.columns("agreement"),
        }
    return row


def flip_rows(crossed: Crossed) -> Iterator[dict[str, Any]]:
    """Images with another output where the sample was exact."""
    for each in crossed.deployed:
        native, outcome = crossed.natives[each.source.name], each.outcome
        if each.mode is not Mode.RECONCILED or not each.crossing.exact or native.output is None or outcome.output is None:
            continue
        different = native.output != outcome.output
        ours, theirs = classes(native), classes(outcome)
        if ours is None or theirs is None:
            continue
        for image in np.flatnonzero(different.any(axis=(0, 2))):
            yield {
                "dataset": crossed.test.name,
                "source": each.source.name,
                "importer": each.importer,
                "mode": str(each.mode),
                "image": int(image),
                "label": int(crossed.test.labels[image]),
                "class_source": int(ours[image]),
                "class_target": int(theirs[image]),
                "outputs_differing": int(different[:, image].sum()),
                "flips": bool(ours[image] != theirs[image]),
            }


def curve_rows(regimes: Sequence[Regime], trained: Mapping[str, Trained], training: Images) -> Iterator[dict[str, Any]]:
    """Loss and accuracy on the batches of training images, each before its update, over stretches of updates."""
    for regime in regimes:
        curve, settings = trained[regime.key].curve, regime.settings
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


def tutorial_settings(regimes: Sequence[Regime]) -> Regime:
    """The published one of the library whose tutorial it is, else the first."""
    wanted = [one for one in regimes if one.settings.idiom is Idiom.TUTORIAL and one.settings.library == "snntorch"]
    return (wanted or list(regimes))[0]
