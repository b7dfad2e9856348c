"""What all measurements of the study share: seeded numbers, libraries that are warm, cases and comparisons."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.agreement.guided import guided
from nir_interop.backends.adapter import load_adapter
from nir_interop.backends.environments import backend
from nir_interop.compare import compare
from nir_interop.errors import RunFailed
from nir_interop.graphs import Graph
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, Comparison, FeedbackBias, Precision, Start
from nir_interop.vocabulary import Readout, Stage, Status
from nir_interop.workers.error_messages import failure, import_failure
from nir_interop.workers.jobs import Compared as Cell
from nir_interop.workers.live import LiveBackend

Array = NDArray[Any]

DT = 1e-4
"""The step [s] of everything that does not say another one: the default of both functions."""
STEPS, BATCH = 50, 4
LIMIT = 60.0
"""Seconds that one graph may take in another library, repeats and all."""
DATASET = "random"
"""Of every table: seeded random input, no data."""
LIBRARY = "spikingjelly"
OTHERS = ("norse", "snntorch")

ORIGINAL, REFERENCE = "original", "reference"
IMPORTED = {"s": "imported_s", "m": "imported_m"}
SIDES = (*IMPORTED.values(), REFERENCE, *OTHERS)
"""What a baseline is compared with: the imported module in both step modes, the reference, the other libraries."""

_AXES = (
    ("comparison", Comparison.AT_OR_ABOVE),
    ("start", Start.RESET),
    ("feedback_bias", FeedbackBias.ABSENT),
    ("precision", Precision.FLOAT32),
)
"""Where SpikingJelly's rule departs from the reference's."""


@dataclass(frozen=True)
class Compared:
    """One recording beside the baseline.

    status : a word of :class:`nir_interop.vocabulary.Status`
    under : where the reference is not exact: what makes it so, as ``axis=value`` of :class:`nir_interop.rule.UpdateRule`
    failed : ``error_type``, ``error_message``, ``error_at`` where there is no recording
    """

    status: Status
    spikes_baseline: int | None = None
    spikes: int | None = None
    outputs: int | None = None
    mismatched: int | None = None
    first_step: int | None = None
    under: str = ""
    failed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """In a table of the page."""
        if self.status in (Status.MISMATCH, Status.ROUNDING):
            return f"{self.mismatched} of {self.outputs} differ" + ", by rounding" * (self.status is Status.ROUNDING)
        return str(self.status)


@dataclass(frozen=True)
class Case:
    """One measurement of a promise.

    kept : None where it could not be measured here, as ``remark`` says
    baseline : what the sides are compared with: the original module, or the reference
    failed : ``error_type``, ``error_message``, ``error_at`` of what SpikingJelly raised
    remark : what was found
    """

    name: str
    kept: bool | None
    baseline: str = ""
    remark: str = ""
    failed: Mapping[str, Any] = field(default_factory=dict)
    sides: Mapping[str, Compared] = field(default_factory=dict)


class Bench:
    """Seeded numbers, a folder, and the other libraries in warm processes.

    folder : absolute; files of the measurements come and go in it
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.adapter = load_adapter(LIBRARY)
        self._stack = ExitStack()
        self._live: dict[str, LiveBackend] = {}
        self._files = 0

    def __enter__(self) -> Bench:
        for name in OTHERS:
            if not backend(name).missing:
                self._live[name] = library = LiveBackend(backend(name), limit=LIMIT, seed=self.seed)
                self._stack.callback(library.close)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def numbers(self, what: str) -> np.random.Generator:
        """A generator of its own for each purpose: no measurement depends on those before it."""
        return np.random.default_rng([self.seed, zlib.crc32(what.encode())])

    def stimulus(self, what: str, shape: tuple[int, ...], scale: float = 1.0, steps: int = STEPS, batch: int = BATCH) -> Array:
        r"""Uniform numbers between 0 and ``scale``, axes (T, B, \*shape), float32."""
        return (scale * self.numbers(f"{what} input").random((steps, batch, *shape))).astype(np.float32)

    def file(self) -> Path:
        """A path that nothing lies at."""
        self._files += 1
        return self.folder / f"graph{self._files}.nir"

    def failed(self, error: BaseException) -> dict[str, Any]:
        """What was raised, as columns; without paths of this run."""
        found = failure(error, Status.RUN_ERROR, Stage.RUN, {str(self.folder): "."})
        return {name: getattr(found, name) for name in ("error_type", "error_message", "error_at")}

    def attempt(self, baseline: Recording, stage: Stage, make: Callable[[], Recording]) -> Compared:
        """Run something of SpikingJelly's and compare it, or say how it failed."""
        try:
            return compared(baseline, make())
        except Exception as error:
            found = import_failure(self.adapter, error, stage, {str(self.folder): "."})
            return Compared(Status(found.status), failed=self.failed(error))

    def reference(self, baseline: Recording, graph: Graph, stimulus: Array, dt: float) -> Compared:
        """The reference beside the original; where it differs, which changes of its rule end that."""
        found = compared(baseline, simulate(graph, stimulus, dt))
        if found.status is not Status.MISMATCH:
            return found
        for size in (1, 2, 3):
            for axes in combinations(_AXES, size):
                if not compared(baseline, simulate(graph, stimulus, dt, NIR_MEANING.but(**dict(axes)))).mismatched:
                    under = "; ".join(f"{name}={value.value}" for name, value in axes)
                    return replace(found, under=under)
        return found

    def others(
        self, baseline: Recording, graph: Graph, stimulus: Array, dt: float, *, agrees: bool = True
    ) -> Iterator[tuple[str, Compared]]:
        """The other libraries beside the baseline, each in its own process.

        agrees : whether the reference is exact beside the baseline; a library may then be shown to differ by rounding alone
        """
        for name in OTHERS:
            if name not in self._live:
                yield name, Compared(Status.ENV_MISSING)
                continue
            try:
                found, target = self._live[name].beside(baseline, graph, stimulus, dt)
            except RunFailed as error:
                said = {"error_type": error.error_type, "error_message": error.message, "error_at": ""}
                yield name, Compared(Status(error.status), failed=said if any(said.values()) else {})
                continue
            answer = _answered(found)
            if agrees and target is not None and guided(graph, dt, NIR_MEANING, stimulus, target).proven:
                answer = replace(answer, status=Status.ROUNDING)
            yield name, answer


def _answered(found: Cell) -> Compared:
    """A cell's outcome in the words of this study."""
    numbers = found.comparison
    said = {"error_type": found.error_type, "error_message": found.error_message, "error_at": found.error_at}
    failed = said if any(said.values()) else {}
    if numbers is None:
        return Compared(Status(found.status), failed=failed)
    return Compared(
        Status(found.status), numbers.spikes_source, numbers.spikes_target, numbers.outputs, numbers.mismatched,
        numbers.first_step, failed=failed,
    )  # fmt: skip


def compared(baseline: Recording, recording: Recording) -> Compared:
    """Output by output, spike for spike."""
    found = compare(baseline, recording, readout=Readout.RATE, labels=None)
    words = {"error_type": "", "error_message": found.error_message or "", "error_at": ""} if found.error_message else {}
    return Compared(
        found.status, found.spikes_source, found.spikes_target, found.outputs, found.mismatched, found.first_step, failed=words
    )


def recorded(output: Array) -> Recording:
    r"""A recording of an output, axes (T, B, \*shape)."""
    return Recording({"output": output})


def verdict(name: str, baseline: str, sides: Mapping[str, Compared], must: tuple[str, ...], remark: str = "") -> Case:
    """Kept where all sides that must agree with the baseline do; else the first that does not, in words.

    Not measured where they agree and are too quiet for that to prove anything.
    """
    for side in must:
        found = sides[side]
        if found.status is not Status.EXACT and not (found.status is Status.VACUOUS and found.mismatched == 0):
            said = f"{side} beside {baseline}: {found.words}"
            if found.mismatched:
                said += f", first at step {found.first_step}"
            return Case(name, False, baseline, "; ".join(filter(None, (said, remark))), found.failed, sides)
    if any(sides[side].status is Status.VACUOUS for side in must):
        quiet = f"{sides[must[0]].spikes_baseline} spikes prove nothing"
        return Case(name, None, baseline, "; ".join(filter(None, (quiet, remark))), {}, sides)
    return Case(name, True, baseline, remark, {}, sides)
