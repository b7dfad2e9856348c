"""What a run knows of its sources and cells, and what it is told about limits, inputs and graphs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from nir_interop.arrays import Array
from nir_interop.matrix.plan import CellJob, SourceJob
from nir_interop.networks import Catalogued, Network
from nir_interop.vocabulary import Idiom, Status
from nir_interop.workers.job import GRAPH, OK, Outcome


class Stimuli(Protocol):
    """Where inputs come from; :mod:`nir_interop.stimuli` unless a test has its own."""

    def stimulus_for(self, entry: Catalogued, network: Network, seed: int) -> Any:
        """An object with ``input``, ``labels``, ``dataset``, ``encoding`` and ``digest()``."""

    def training_samples(self, entry: Catalogued, network: Network, seed: int) -> tuple[Array, Array]:
        """Inputs (T, N, \\*shape) and labels (N,)."""


@dataclass(frozen=True)
class Limits:
    """Seconds after which a worker is killed."""

    cell: float = 20.0
    source: float = 120.0
    training: float = 600.0


@dataclass(frozen=True)
class SourceResult:
    """A source's outcome, its training's where it was trained, and the reference's on the intended graph.

    how : what its idiom is in its library, in a sentence
    repeats : the source of another idiom that came to the same, and whose cells are its own; empty where there is none
    """

    job: SourceJob
    outcome: Outcome
    stimulus: Outcome
    training: Outcome | None = None
    cached: bool = False
    training_cached: bool = False
    intended: Outcome | None = None
    how: str = ""
    repeats: str = ""

    @property
    def exported(self) -> bool:
        """Whether there is a graph."""
        return bool(self.outcome["status"] == OK)


def repeated(sources: Iterable[SourceResult]) -> dict[SourceJob, str]:
    """Source → the source that it repeats, of one network's sources from one library, each in an idiom of its own.

    Two came to the same where the outputs are the same and so are the bytes of the file, or the failure.  The portable one
    stands for others, and a tutorial's for what is worked around.
    """
    first: dict[tuple[Any, ...], str] = {}
    found: dict[SourceJob, str] = {}
    for source in sorted(sources, key=lambda source: _STANDS.index(Idiom(source.job.idiom))):
        outcome = source.outcome
        ended = [
            outcome.get(name) for name in ("status", "warned", "error_type", "error_message", "error_at", "recording_digest")
        ]
        stands = first.setdefault((*ended, (outcome.get("objects") or {}).get(GRAPH)), source.job.source_id)
        if stands != source.job.source_id:
            found[source.job] = stands
    return found


_STANDS = (Idiom.PORTABLE, Idiom.TUTORIAL, Idiom.WORKED_AROUND)


@dataclass(frozen=True)
class Rewriting:
    """What was made of a source's graph for one importer.

    passes : in order, each with its name, the nodes that it changed, why, and what it preserves
    verdict : on what remains, None where nothing does
    forbidden : causes among it that no rewriting of a graph takes away
    seconds : it took
    """

    passes: tuple[Outcome, ...]
    verdict: Outcome | None
    forbidden: tuple[str, ...]
    seconds: float = 0.0


@dataclass(frozen=True)
class CellResult:
    """A cell's outcome; ``cached`` where it was known, or another cell of this run did the same work.

    source : as it was rewritten, in a reconciled cell
    verdict : status, blame, causes and explained, where the cell was explained
    rewriting : of a reconciled cell
    """

    job: CellJob
    source: SourceResult
    outcome: Outcome
    cached: bool = False
    verdict: Outcome | None = None
    rewriting: Rewriting | None = None

    @property
    def status(self) -> str:
        """How the cell ended: a mismatch that is proven to be rounding is one no longer."""
        proven = self.verdict is not None and self.verdict["status"] == Status.ROUNDING
        return str(Status.ROUNDING if proven else self.outcome["status"])
