r"""The inputs on which it is asked whether two sides agree: made for a graph, to show differences.

Each sample is of another kind, since each kind shows what others are silent about: nothing at all (biases, starts, leaks), few
spikes, many, one at every step (thresholds that are just reached or just missed), little drive and much, signs, a first step
with input and one without, a burst and the silence after it, silence and what comes then.  All are as long as the graph's
slowest neuron makes worthwhile.  How large a spike of the input is follows from the graph: as large as makes most of its layers
fire, and not all the time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.errors import InvalidGraph
from nir_interop.graphs import Array, Graph, Node, Shapes, inline, input_shapes, listed, sample_shape, validate
from nir_interop.graphs.primitives import TIME_CONSTANTS
from nir_interop.reference.room import check_room, check_time, demand

if TYPE_CHECKING:
    from nir_interop.reference import Simulator

STREAM = 104
"""Of a seed, for these inputs alone (see :mod:`nir_interop.stimuli.encoding`)."""
SHORTEST, LONGEST, FEWEST = 200, 500, 40
"""Steps, by the graph's time constants; and how few they may be where its layers are large."""
PER_TIME_CONSTANT = 5
"""Steps for each step that the longest time constant has."""
ROOM = 2**25
"""Elements that the input and all layers may have over all steps and samples: 128 MiB in single precision."""
SCALES = tuple(2.0**power for power in range(-12, 25))
"""Sizes of a spike that are tried, powers of two: products with them round as those with 1 do."""
RARE, OFTEN = 0.005, 0.5
"""Rates between which a layer's neurons say most."""
TRIED_STEPS = 60
"""Steps on which sizes are tried."""
FEWEST_SCALES, SECONDS = 5, 10.0
"""Sizes that are always tried, and what trying them may be expected to take together."""

Draw = Callable[[np.random.Generator, tuple[int, ...]], NDArray[Any]]


def _bernoulli(rate: float) -> Draw:
    return lambda generator, shape: (generator.random(shape, dtype=np.float32) < rate).astype(np.float32)


def _signed(generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    return generator.integers(-1, 2, shape).astype(np.float32)


@dataclass(frozen=True)
class _Kind:
    """A kind of sample: what is drawn, over which share of the steps, how large it is, and whether the first step has input."""

    name: str
    draw: Draw
    scale: float = 1.0
    begin: float = 0.0
    end: float = 1.0
    first: bool | None = None


_KINDS = (
    _Kind("silent", _bernoulli(0)),
    _Kind("sparse", _bernoulli(0.03), first=False),
    _Kind("sparse from the first step", _bernoulli(0.03), first=True),
    _Kind("medium", _bernoulli(0.3), first=True),
    _Kind("medium after an empty step", _bernoulli(0.3), first=False),
    _Kind("dense", _bernoulli(0.9), first=True),
    _Kind("constant", _bernoulli(1)),
    _Kind("weak", _bernoulli(0.3), scale=0.25),
    _Kind("strong", _bernoulli(0.3), scale=4),
    _Kind("signed", _signed),
    _Kind("a burst and silence", _bernoulli(0.7), end=0.1),
    _Kind("silence and medium", _bernoulli(0.3), begin=0.3),
)
KINDS = tuple(kind.name for kind in _KINDS)


@dataclass(frozen=True, eq=False)
class InputSet:
    r"""Inputs of a graph.

    input : (T, B, \*shape), float32; of several Inputs (T, B, n), all of them side by side in the order of their names
    kinds : of each sample
    scale : how large a spike is; None where the input was given
    quiet : nodes that spike in none of the samples, by NIR's meaning
    names : of the Inputs where there are several, in the order in which they stand side by side
    """

    input: Array
    kinds: tuple[str, ...]
    seed: int = 0
    scale: float | None = None
    quiet: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        return len(self.input)

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` says of them."""
        return {
            "made": self.scale is not None,
            "seed": self.seed if self.scale is not None else None,
            "steps": self.steps,
            "scale": self.scale,
            "samples": list(self.kinds),
            "quiet": list(self.quiet),
        }

    @property
    def text(self) -> str:
        """Them in one sentence."""
        each = f" for each of {listed(self.names)}" if self.names else ""
        if self.scale is None:
            return f"the input given{each}: {self.input.shape[1]} samples of {self.steps} steps"
        size = "" if self.scale == 1 else f", a spike being {self.scale:g}"
        return f"{len(self.kinds)} inputs of {self.steps} steps{each} (seed {self.seed}{size}): {', '.join(self.kinds)}"


def given(stimulus: Array, names: tuple[str, ...] = ()) -> InputSet:
    r"""An input that somebody gave, (T, B, \*shape); names : of several Inputs, which it has side by side."""
    return InputSet(stimulus, ("given",) * stimulus.shape[1], names=names)


def inputs_for(graph: Graph, dt: float, seed: int = 0, steps: int | None = None, *, time_limit: float = math.inf) -> InputSet:
    """The inputs of a graph at a step [s].

    steps : of each; by default as the graph's time constants, and the size of its layers, suggest
    time_limit : seconds that a run of them should not be expected to take most of

    Raises InvalidGraph where the graph means nothing, BadStimulus where a run of it would hold too much memory, and TooSlow
    where it would take too long; both before anything is made.
    """
    from nir_interop.agreement.replay import simulator_for

    flat, shapes, length = _planned(graph, dt, steps, time_limit)
    entries = input_shapes(flat, shapes)
    shape = sample_shape(entries)
    simulator = simulator_for(flat, dt, {})
    scale = _scale(simulator, shape, seed, demand(flat, shapes, dt, TRIED_STEPS, 1).seconds)
    samples = [_sample(kind, shape, length, scale, seed, number) for number, kind in enumerate(_KINDS)]
    made = np.stack(samples, axis=1).astype(np.float32)
    recording, _ = simulator.run(made, membranes=False)
    quiet = tuple(sorted(name for name, spikes in recording.spikes.items() if not spikes.any()))
    return InputSet(made, KINDS, seed, scale, quiet, several(entries))


def several(names: Iterable[str]) -> tuple[str, ...]:
    """The names of Inputs, sorted, where there are more than one."""
    found = tuple(sorted(names))
    return found if len(found) > 1 else ()


def check_inputs(graph: Graph, dt: float, steps: int | None = None, *, time_limit: float = math.inf) -> None:
    """Raise what :func:`inputs_for` raises before it makes anything."""
    _planned(graph, dt, steps, time_limit)


def _planned(graph: Graph, dt: float, steps: int | None, time_limit: float) -> tuple[Graph, Shapes, int]:
    """The graph, inlined, its shapes, and how many steps its inputs have; raises what :func:`inputs_for` raises."""
    flat = inline(graph)
    shapes = validate(flat)
    length = steps or _steps(flat, shapes, dt)
    check_time(check_room(flat, shapes, dt, length, len(_KINDS)), time_limit)
    return flat, shapes, length


def _sample(kind: _Kind, shape: tuple[int, ...], steps: int, scale: float, seed: int, number: int) -> NDArray[Any]:
    """One sample, (T, \\*shape)."""
    generator = np.random.default_rng([seed, STREAM, number])
    sample = kind.draw(generator, (steps, *shape)) * np.float32(scale * kind.scale)
    sample[: round(kind.begin * steps)] = 0
    sample[max(1, round(kind.end * steps)) :] = 0
    if kind.first is False:
        sample[0] = 0
    elif kind.first and not sample[0].any():
        sample[0].reshape(-1)[generator.integers(sample[0].size)] = scale * kind.scale
    return sample


def _steps(graph: Graph, shapes: Shapes, dt: float) -> int:
    taus = [
        float(np.max(np.where(np.isfinite(node[name]), node[name], 0), initial=0.0))
        for _, node in graph.primitives()
        for name in TIME_CONSTANTS
        if name in node.params
    ]
    wanted = int(np.clip(PER_TIME_CONSTANT * max(taus, default=0.0) / dt, SHORTEST, LONGEST))
    widths = sum(int(np.prod(outgoing)) for name, (_, outgoing) in shapes.items() if graph.nodes[name].kind != "Output")
    return max(min(wanted, FEWEST), min(wanted, ROOM // max(1, widths * len(_KINDS))))


def _scale(simulator: Simulator, shape: tuple[int, ...], seed: int, seconds: float) -> float:
    """The size of a spike at which most layers fire, and not all the time; among equals the closest to 1.

    seconds : that a run of TRIED_STEPS is expected to take; where it is long, fewer sizes are tried
    """
    if not any(isinstance(node, Node) and "threshold" in "".join(node.params) for node in simulator.graph.nodes.values()):
        return 1.0
    generator = np.random.default_rng([seed, STREAM, len(_KINDS)])
    spikes = (generator.random((TRIED_STEPS, *shape), dtype=np.float32) < 0.3).astype(np.float32)
    best, rank = 1.0, (-1.0, 0.0)
    for scale in sorted(SCALES, key=lambda each: abs(np.log2(each)))[: max(FEWEST_SCALES, int(SECONDS / seconds))]:
        try:
            recording, _ = simulator.run(spikes[:, None] * np.float32(scale), membranes=False)
        except InvalidGraph:
            return best
        rates = [float(np.minimum(each, 1).mean()) for each in recording.spikes.values()]
        found = (float(sum(_says_much(rate) for rate in rates)), float(sum(rate > 0 for rate in rates)))
        if found > rank:
            best, rank = scale, found
        if found[0] == len(rates):
            break
    return best


def _says_much(rate: float) -> bool:
    return RARE <= rate <= OFTEN
