"""What a run's trainings came to: their accuracies beside those of the weights that come with the project, and as files."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nir_interop.arrays import load_arrays
from nir_interop.errors import BadData, NirInteropError
from nir_interop.learning import wilson_interval
from nir_interop.matrix.results import Results, SourceResult
from nir_interop.networks import catalogue
from nir_interop.networks.trained_weights import Shipped, settings_of, shipped, write
from nir_interop.store.store import Store
from nir_interop.transfer.stimuli import Stimuli


@dataclass(frozen=True)
class Compared:
    """A network as a library learned it here, beside the weights that come with the project.

    accuracy, before : on the test samples, 0–1; None where it has none, or there are no such weights
    samples : these are shares of
    version, version_before : of the library
    same : whether the weights are the same numbers
    """

    network: str
    library: str
    accuracy: float | None
    before: float | None
    samples: int
    version: str
    version_before: str
    same: bool

    @property
    def within(self) -> bool | None:
        """Whether the 95 % intervals of both accuracies overlap; None where one is missing."""
        if self.accuracy is None or self.before is None or not self.samples:
            return None
        (low, high), (low_before, high_before) = (
            wilson_interval(round(share * self.samples), self.samples) for share in (self.accuracy, self.before)
        )
        return low <= high_before and low_before <= high

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for ``--json``."""
        return {**vars(self), "within_interval": self.within}

    def says(self) -> str:
        """In a line."""
        what = f"trained: {self.network} in {self.library} {self.version}: "
        if self.accuracy is None:
            return f"{what}no accuracy"
        what += f"accuracy {self.accuracy:.3f} of {self.samples}"
        if self.before is None:
            return f"{what}; no weights come with the project"
        by = "" if self.version == self.version_before else f" by {self.library} {self.version_before}"
        if self.same:
            return f"{what}, with the very weights that come with the project{by}"
        apart = "within" if self.within else "beyond"
        return f"{what}, {self.before:.3f} with the weights that come with the project{by}: {apart} chance (95 % intervals)"


def compared(found: Results, store: Store) -> list[Compared]:
    """Each training of this run beside the weights that come with the project."""
    rows = []
    for source in _here(found):
        job, outcome = source.job, source.outcome
        version = found.plan.backends[job.exporter].version
        known, parameters = _known(job.network, job.exporter)
        same = parameters is not None and _equal(parameters, _parameters(source, store))
        before = None if known is None else known.accuracy
        version_before = "" if known is None else str(known.provenance["version"])
        samples = int(outcome.samples or 0)
        rows.append(Compared(job.network, job.exporter, outcome.accuracy, before, samples, version, version_before, same))
    return rows


def save(found: Results, store: Store, stimuli: Stimuli, folder: Path, machine: Mapping[str, Any]) -> list[Path]:
    """Write the weights of a run, each with where it comes from, as :mod:`nir_interop.networks.trained_weights` reads them.

    machine : what they were trained on, where that was here
    Raises NirInteropError where the folder cannot be written.
    """
    written: list[Path] = []
    try:
        for source in found.trainings():
            own = source.training is not None and source.training.shipped
            known = shipped(source.job.network, source.job.exporter) if own else None
            provenance = _provenance(source, found, stimuli, machine) if known is None else known.provenance
            written += write(_parameters(source, store), provenance, folder)
    except OSError as error:
        raise NirInteropError(f"--save-weights {folder}: cannot be written ({error}); name a folder that can") from error
    return written


def _known(network: str, library: str) -> tuple[Shipped | None, dict[str, Any] | None]:
    """The weights that come with the project; none where their files are spoiled, which is why somebody may train."""
    try:
        found = shipped(network, library)
        return found, None if found is None else found.load()
    except BadData:
        return None, None


def _here(found: Results) -> Iterable[SourceResult]:
    """Those that were trained here."""
    return (source for source in found.trainings() if source.training is not None and not source.training.shipped)


def _parameters(source: SourceResult, store: Store) -> dict[str, Any]:
    return load_arrays(store.object(source.parameters or ""))


def _equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(array, other[name]) for name, array in one.items())


def _provenance(source: SourceResult, found: Results, stimuli: Stimuli, machine: Mapping[str, Any]) -> dict[str, Any]:
    job, entry = source.job, catalogue(source.job.network)
    backend = found.plan.backends[job.exporter]
    inputs, labels = stimuli.training_samples(entry, entry.build(job.seed), job.seed)
    return {
        "network": job.network,
        "library": job.exporter,
        "version": backend.version,
        "versions": dict(sorted(backend.versions.items())),
        "seed": job.seed,
        "dt": job.dt_export,
        "idiom": job.idiom,
        "settings": settings_of(entry),
        "samples": {"count": len(labels), "sha256": samples_digest(inputs, labels)},
        "accuracy": {"value": source.outcome.accuracy, "samples": source.outcome.samples},
        "machine": {"platform": found.environment()["platform"], "cpu": machine.get("cpu")},
        "date": datetime.date.today().isoformat(),
    }


def samples_digest(inputs: Any, labels: Any) -> str:
    """SHA-256 of training samples: shape and bytes of inputs (float32) and of labels (int64)."""
    sha = hashlib.sha256()
    for array, dtype in ((inputs, np.float32), (labels, np.int64)):
        sha.update(f"{np.dtype(dtype).str}\0{np.shape(array)}\0".encode())
        sha.update(np.ascontiguousarray(array, dtype=dtype).tobytes())
    return sha.hexdigest()
