"""A file written as today's NIR, and measured: that it computes what it did, and that nir.read takes it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nir
import numpy as np

from nir_interop.arrays import Array
from nir_interop.errors import OwnFailure
from nir_interop.graphs import Change, Graph, corrected, flatten, placed, read, read_told, upgraded, without_batch, write
from nir_interop.printable import printable
from nir_interop.recording import Recording
from nir_interop.reference import Simulator

_MOST_EDGES = 2**13
"""Of a graph that nir.read is asked about: its type check looks at every edge for each."""


@dataclass(frozen=True)
class Upgraded:
    """A graph in today's form.

    before, after : NIR's version, as the old file says it (empty where it says none), and of the new one
    changes : what is otherwise in the new file, in the order in which it was done
    renamed : what is called otherwise there: name → safe name
    compared : numbers of outputs, spikes and membranes that are the same in both, bit for bit
    refused : what nir.read says of the new file; empty where it takes it, None where it was not asked
    """

    graph: Graph
    before: str
    after: str
    changes: tuple[Change, ...]
    renamed: dict[str, str]
    compared: int
    refused: str | None


def upgrade_graph(path: Path, stimulus: Array, dt: float) -> Upgraded:
    r"""Write a file as today's NIR, and run old and new in the reference.

    stimulus : axes (T, B, \*shape)
    dt : the step [s]

    Raises UnreadableGraph, InvalidGraph where the graph means nothing, and OwnFailure where the two do not compute the same.
    """
    told = read_told(path)
    meant, notes = corrected(told.graph)
    single, more = without_batch(meant)
    made, changes, called = upgraded(single)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "upgraded.nir"
        write(file, made)
        again = read(file)
        refused = _refusal(file) if len(again.edges) <= _MOST_EDGES else None
    before = Simulator(meant, dt).run(stimulus)[0]
    after = Simulator(again, dt).run(stimulus.reshape(*stimulus.shape[:2], *stimulus.shape[3:]) if more else stimulus)[0]
    compared = _compared(before, after, dict(_pairs(meant, again, made)))
    version = str(nir.version)
    said = [Change(note) for note in (*told.assumed, *notes, *more)]
    if told.version != version:
        said.append(Change("the version", "the file", told.version or "missing", version))
    return Upgraded(made, told.version, version, (*said, *changes), called, compared, refused)


def _refusal(file: Path) -> str:
    """Why nir.read does not take a file, in a line; empty where it does."""
    try:
        nir.read(file, type_check=True)
    except Exception as error:
        return printable(f"{type(error).__name__}: {' '.join(str(error).split())}"[:300])
    return ""


def _pairs(before: Graph, after: Graph, made: Graph) -> Iterator[tuple[str, str]]:
    """The name of each node once inlined, before and after; ``made`` has the nodes in the order of the first."""
    names = [{place: name for name, place in flatten(each).places.items()} for each in (before, after)]
    for (old, _), (new, _) in zip(placed(before), placed(made), strict=True):
        yield names[0][old], names[1][new]


def _compared(before: Recording, after: Recording, called: dict[str, str]) -> int:
    """How many numbers of two recordings are the same.  Raises OwnFailure where one is not."""
    count = 0
    for section in ("outputs", "spikes", "membranes"):
        old, new = getattr(before, section), getattr(after, section)
        for name, array in old.items():
            other = new.get(called[name])
            if other is None or not np.array_equal(array.ravel(), other.ravel(), equal_nan=True):
                raise OwnFailure(f"the upgraded graph gives other {section} at {printable(name)}; nothing is written")
            count += array.size
    return count
