"""What all measurements of the study share: seeded numbers, libraries that are warm, trials and comparisons."""

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

from nir_interop.agreement.side import Side
from nir_interop.backends.adapter import load_adapter
from nir_interop.backends.environments import backend
from nir_interop.compare import Comparison as OfRecordings
from nir_interop.compare import compare
from nir_interop.errors import RunFailed
from nir_interop.graphs import Graph
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, Comparison, FeedbackBias, Precision, Start
from nir_interop.transfer.case import Case, judge
from nir_interop.vocabulary import Readout, Stage, Status
from nir_interop.workers.error_messages import failure, import_failure
from nir_interop.workers.jobs import Compared as Cell
from nir_interop.workers.live import LiveBackend

Array = NDArray[Any]
Numbers = np.random.Generator

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
ERROR = ("error_type", "error_message", "error_at")

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

    under : where the reference is not exact: what makes it so, as ``axis=value`` of :class:`nir_interop.rule.UpdateRule`
    failed : the columns ERROR where there is no recording
    """

    status: Status
    spikes_baseline: int | None = None
    spikes: int | None = None
    outputs: int | None = None
    mismatched: int | None = None
    first_step: int | None = None
    under: str = ""
    failed: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, outcome: Cell) -> Compared:
        """From the outcome of a cell."""
        numbers = outcome.comparison or OfRecordings(Status(outcome.status))
        failed = {name: getattr(outcome, name) for name in ERROR}
        return cls(
            Status(outcome.status), numbers.spikes_source, numbers.spikes_target, numbers.outputs, numbers.mismatched,
            numbers.first_step, failed=failed if any(failed.values()) else {},
        )  # fmt: skip

    @property
    def words(self) -> str:
        """In a table of the page."""
        if self.status in (Status.MISMATCH, Status.ROUNDING):
            return f"{self.mismatched} of {self.outputs} differ" + ", by rounding" * (self.status is Status.ROUNDING)
        return str(self.status)


@dataclass(frozen=True)
class Trial:
    """One measurement of a promise; in tables and on the page, a case.

    kept : None where it could not be measured here, as ``remark`` says
    baseline : what the sides are compared with: the original module, or the reference
    failed : the columns ERROR of what SpikingJelly raised
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
        for known in map(backend, OTHERS):
            if not known.missing:
                self._live[known.name] = self._stack.enter_context(LiveBackend(known, limit=LIMIT, seed=self.seed))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def numbers(self, what: str) -> Numbers:
        """A generator of its own for each purpose: no measurement depends on those before it."""
        return np.random.default_rng([self.seed, zlib.crc32(what.encode())])

    def stimulus(self, what: str, shape: tuple[int, ...], scale: float = 1.0) -> Array:
        r"""Uniform numbers between 0 and ``scale``, axes (T, B, \*shape), float32."""
        return (scale * self.numbers(f"{what} input").random((STEPS, BATCH, *shape))).astype(np.float32)

    def file(self) -> Path:
        """A path that nothing lies at."""
        self._files += 1
        return self.folder / f"graph{self._files}.nir"

    def failed(self, error: BaseException) -> dict[str, Any]:
        """What was raised, as columns; without paths of this run."""
        found = failure(error, Status.RUN_ERROR, Stage.RUN, {str(self.folder): "."})
        return {name: getattr(found, name) for name in ERROR}

    def attempt(self, baseline: Recording, make: Callable[[], Recording]) -> Compared:
        """Run something of SpikingJelly's and compare it, or say how it failed."""
        try:
            return compared(baseline, make())
        except Exception as error:
            return self.ended(error, Stage.RUN)

    def ended(self, error: Exception, stage: Stage) -> Compared:
        """How an import or a run failed."""
        found = import_failure(self.adapter, error, stage, {str(self.folder): "."})
        return Compared(Status(found.status), failed=self.failed(error))

    def beside(self, baseline: Recording, graph: Graph, stimulus: Array, dt: float) -> dict[str, Compared]:
        """The reference and the other libraries beside the original; where the reference differs, which changes end that."""
        ours = reference(baseline, graph, stimulus, dt)
        others = self.others(baseline, graph, stimulus, dt, agrees=ours.status is Status.EXACT)
        return {REFERENCE: ours, **dict(others)}

    def others(
        self, baseline: Recording, graph: Graph, stimulus: Array, dt: float, *, agrees: bool = True
    ) -> Iterator[tuple[str, Compared]]:
        """The other libraries beside the baseline, each in its own process.

        agrees : whether the baseline is what the graph means; a library may then be shown to differ by rounding alone
        """
        case = Case(graph, stimulus, Side(REFERENCE, dt), Side(LIBRARY, dt), recorded=baseline)
        for name in OTHERS:
            if name not in self._live:
                yield name, Compared(Status.ENV_MISSING)
                continue
            try:
                outcome, made = self._live[name].beside(baseline, graph, stimulus, dt)
            except RunFailed as error:
                outcome = Cell(status=error.status, error_type=error.error_type, error_message=error.message)
                made = None
            answer = Compared.of(outcome)
            yield name, replace(answer, status=judge(case, made).status) if agrees and made is not None else answer


def reference(baseline: Recording, graph: Graph, stimulus: Array, dt: float) -> Compared:
    """The reference beside the original; where it differs, which changes of its rule end that."""
    found = compared(baseline, simulate(graph, stimulus, dt))
    if found.status is not Status.MISMATCH:
        return found
    for axes in (axes for size in (1, 2, 3) for axes in combinations(_AXES, size)):
        if not compared(baseline, simulate(graph, stimulus, dt, NIR_MEANING.but(**dict(axes)))).mismatched:
            return replace(found, under="; ".join(f"{name}={value.value}" for name, value in axes))
    return found


def compared(baseline: Recording, recording: Recording) -> Compared:
    """Output by output, spike for spike."""
    found = compare(baseline, recording, readout=Readout.RATE, labels=None)
    return Compared.of(Cell(status=str(found.status), error_message=found.error_message or "", comparison=found))


def recorded(output: Array) -> Recording:
    r"""A recording of an output, axes (T, B, \*shape)."""
    return Recording({"output": output})


def verdict(name: str, baseline: str, sides: Mapping[str, Compared], must: tuple[str, ...] = ()) -> Trial:
    """Kept where all sides that must agree with the baseline do, all that there are where none is named.

    Else the first that does not, in words.  Not measured where they agree and are too quiet for that to prove anything.
    """
    names = must or tuple(sides)
    wrong = next((side for side in names if sides[side].status is not Status.EXACT and not _quiet(sides[side])), None)
    if wrong is not None:
        found = sides[wrong]
        first = f", first at step {found.first_step}" if found.mismatched else ""
        return Trial(name, False, baseline, f"{wrong} beside {baseline}: {found.words}{first}", found.failed, sides)
    if any(sides[side].status is Status.VACUOUS for side in names):
        return Trial(name, None, baseline, f"{sides[names[0]].spikes_baseline} spikes prove nothing", {}, sides)
    return Trial(name, True, baseline, sides=sides)


def _quiet(found: Compared) -> bool:
    return found.status is Status.VACUOUS and found.mismatched == 0


def weights(numbers: Numbers, *shape: int) -> Array:
    """Gaussian weights, as float32; the first axis is that of what they lead to."""
    return numbers.normal(0.0, 2.5 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)


def biases(numbers: Numbers, size: int) -> Array:
    """Gaussian biases, as float32."""
    return numbers.normal(0.2, 0.2, size).astype(np.float32)
