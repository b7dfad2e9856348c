"""What a user's graph is fed, checked in one way by every verb that runs one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.recording import Array

STEPS, BATCH, RATE = 100, 4, 0.3
"""The random input where none is given: steps, samples, spike probability."""


def check_step(dt: float, option: str = "--dt") -> None:
    """Raises BadInput for what is no time step."""
    from harness.errors import BadInput

    if not 0 < dt < float("inf"):
        raise BadInput(f"{option} {dt:g}: a time step is a positive number of seconds, 1e-4 for instance")


def stimulus_of(path: Path, given: Path | None, seed: int, steps: int = STEPS) -> Array:
    r"""What a graph file is fed, axes (T, B, \*shape): the input in another file, or a seeded one.

    The batch of 1 of a graph that was exported with one may be left out of the input, or be in it.  How a graph was read that
    means nothing as it stands goes to stderr, a line each.

    Raises UnreadableGraph, InvalidGraph and BadStimulus.
    """
    from harness.cli.options import complain
    from harness.graphs import read_meant, validate
    from harness.stimuli import bernoulli

    graph, notes = read_meant(path)
    for note in notes:
        complain(f"{path.name}: {note}")
    shapes = validate(graph)
    (entry,) = graph.of_kind("Input")
    shape = tuple(int(size) for size in shapes[entry][1])
    return _loaded(given, shape) if given else bernoulli(shape, steps, BATCH, RATE, seed)


def _loaded(path: Path, shape: tuple[int, ...]) -> Array:
    from harness.errors import BadStimulus
    from harness.stimuli import load_stimulus

    try:
        return load_stimulus(path, shape).input
    except BadStimulus as error:
        # A batch of 1: in the graph and not in the input, or, where the graph was read without it, the other way round.
        for other in ([shape[1:]] if len(shape) > 1 and shape[0] == 1 else []) + [(1, *shape)]:
            try:
                given = load_stimulus(path, other).input
            except BadStimulus:
                continue
            return given.reshape(*given.shape[:2], *shape)
        raise error
