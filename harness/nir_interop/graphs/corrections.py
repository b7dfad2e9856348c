"""What a graph was meant to be, where it means nothing as it stands and what was meant is clear.

Exporters of several years wrote a batch into the Input, a bias that is False, or edges to nodes by other names.  Each such
thing has a reading here.  A graph that is valid is never read otherwise; one that is not is read in the way that changes least
and makes every shape fit, and each reading is a sentence that the user is told.  Libraries are given the file as it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

from nir_interop.errors import InvalidGraph
from nir_interop.graphs.fitting import (
    Change,
    ends_as_fed,
    flatten_without_batch,
    input_by_layer,
    pools_by_window,
    stretched,
    without_axes,
)
from nir_interop.graphs.model import Graph, Node
from nir_interop.graphs.old_forms import Reading, bools, former_names, missing_biases, missing_ends, other_names
from nir_interop.graphs.reading import read, read_told
from nir_interop.graphs.validation import validate

_MOST_AXES = 2
"""Axes that an Input may have too many: a batch, and time."""


def read_corrected(path: Path) -> Reading:
    """Read a file as it was meant.

    Raises UnreadableGraph and InvalidGraph, the latter for the graph as it stands where nothing makes sense of it.
    """
    return _read(path)[0]


def read_assumed(path: Path) -> tuple[str, ...]:
    """What a file leaves out and is taken to mean, a sentence each; raises as :func:`read_corrected` does."""
    return _read(path)[1]


def _read(path: Path) -> tuple[Reading, tuple[str, ...]]:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return corrected(read(path)), ()  # which says what is wrong
    return _read_once(path.absolute(), found.st_ino, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=1)
def _read_once(path: Path, inode: int, size: int, changed: int) -> tuple[Reading, tuple[str, ...]]:
    """A verb asks for the same file some times; a large one takes seconds.  The numbers tell another file of its name."""
    told = read_told(path)
    return corrected(told.graph), told.assumed


def corrected(graph: Graph) -> Reading:
    """The graph, and how it was read where it means nothing as it stands.

    Raises InvalidGraph where no reading makes sense of it: what is wrong as it stands, or what is still wrong once a reading
    has come further.
    """
    notes: tuple[str, ...] = ()
    for change in (former_names, bools, missing_biases, other_names):
        graph, more = _each(graph, "", change)
        notes += more
    graph, more = missing_ends(graph)
    notes += more
    try:
        validate(graph)
    except InvalidGraph as error:
        return _fitted(graph, notes, error)
    return graph, notes


def _fitted(graph: Graph, notes: tuple[str, ...], error: InvalidGraph) -> Reading:
    """The reading with the fewest changes under which every shape fits."""
    furthest, left = error.reached, error
    for changed, told in _changed(graph):
        try:
            validate(changed)
        except InvalidGraph as other:
            if other.reached > furthest:
                furthest, left = other.reached, InvalidGraph(_still(other, (*notes, *told)))
        else:
            return changed, (*notes, *told)
    raise left


def _still(error: InvalidGraph, told: tuple[str, ...]) -> str:
    return f"{error} ({'; '.join(told)})"


_CHANGES: tuple[tuple[int, int, Change], ...] = (
    (0, 4, input_by_layer),
    *((0, 1 + count, without_axes(count)) for count in range(1, _MOST_AXES + 1)),
    (1, 1, flatten_without_batch),
    (2, 0, pools_by_window),
    (3, 5, stretched),
    (4, 6, ends_as_fed),
)
"""Changes in the order in which they are made, at most one of a number; and which is tried first where one is enough."""
_BY_SHAPE = (stretched, ends_as_fed)
"""Those that may find something to do only once others have been made."""


def _changed(graph: Graph) -> Iterator[Reading]:
    """The graph after each set of changes that do something, smallest sets first."""
    able = [each for each in _CHANGES if each[2] in _BY_SHAPE or each[2](graph)[1]]
    sets = [some for count in range(1, len(able) + 1) for some in itertools.combinations(able, count)]
    for some in sorted(sets, key=lambda some: (len(some), sorted(rank for _, rank, _ in some))):
        if len({number for number, _, _ in some}) == len(some):
            changed, told = graph, list[str]()
            for _, _, change in some:
                changed, said = change(changed)
                told += said
                if not said:
                    break
            else:
                yield changed, tuple(told)


def _each(graph: Graph, prefix: str, change: Callable[[Graph, str], Reading]) -> Reading:
    """Apply a change to a graph and to those inside it."""
    nodes: dict[str, Node | Graph] = {}
    notes: tuple[str, ...] = ()
    for name, node in graph.nodes.items():
        if isinstance(node, Graph):
            nodes[name], more = _each(node, f"{prefix}{name}.", change)
            notes += more
        else:
            nodes[name] = node
    changed, more = change(Graph(nodes, graph.edges, graph.metadata) if notes else graph, prefix)
    return changed, notes + more
