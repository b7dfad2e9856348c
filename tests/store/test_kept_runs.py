"""Answers to probes that are kept one by one: an interrupted identification goes on, and chance is no fact."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nir_interop.backends.environments import backend
from nir_interop.errors import RunFailed
from nir_interop.explain.identify import identify
from nir_interop.graphs import Array, Graph, Node
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.store.kept_runs import KeptRuns
from nir_interop.store.store import Store
from nir_interop.vocabulary import Status

GRAPH = Graph(
    {"input": Node("Input", {"shape": np.array([2])}), "output": Node("Output", {"shape": np.array([2])})},
    (("input", "output"),),
)
X = np.ones((3, 1, 2), dtype=np.float32)


class Counted:
    """The reference, which counts how often it is asked and may be made to end otherwise."""

    def __init__(self, *ends: RunFailed | None, stop_at: int | None = None) -> None:
        self.ends, self.stop_at, self.count = list(ends), stop_at, 0

    def __call__(self, graph: Graph, stimulus: Array, dt: float) -> Recording:
        if self.count == self.stop_at:
            raise KeyboardInterrupt
        self.count += 1
        end = self.ends.pop(0) if self.ends else None
        if end is not None:
            raise end
        return simulate(graph, stimulus, dt)


@pytest.fixture
def kept(tmp_path: Path) -> Callable[[Counted], KeptRuns]:
    """One store for all."""
    return lambda run: KeptRuns(run, backend("reference"), Store(tmp_path))


Keep = Callable[[Counted], KeptRuns]


def test_an_interrupted_identification_asks_only_what_it_has_not_asked(kept: Keep) -> None:
    whole = Counted()
    expected = identify(whole, name="reference", kinds=["LI"])
    cut = Counted(stop_at=whole.count // 2)
    with pytest.raises(KeyboardInterrupt):
        identify(kept(cut), name="reference", kinds=["LI"])
    rest = Counted()
    assert identify(kept(rest), name="reference", kinds=["LI"]) == expected
    assert cut.count + rest.count == whole.count
    again = Counted()
    assert identify(kept(again), name="reference", kinds=["LI"]) == expected
    assert again.count == 0


def test_the_same_asked_twice_is_two_questions(kept: Keep) -> None:
    run = Counted()
    once = kept(run)
    for _ in range(2):
        once(GRAPH, X, 1e-3)
    assert run.count == 2
    later = kept(run)
    for _ in range(3):
        assert np.array_equal(later(GRAPH, X, 1e-3).output, X)
    assert run.count == 3


def test_what_a_graph_is_written_as_is_part_of_the_question(kept: Keep) -> None:
    run = Counted()
    renamed = Graph({"a" * (name == "input") + name: node for name, node in GRAPH.nodes.items()}, (("ainput", "output"),))
    for graph, x, dt in ((GRAPH, X, 1e-3), (GRAPH, X, 1e-4), (GRAPH, X + 1, 1e-3), (renamed, X, 1e-3)):
        kept(run)(graph, x, dt)
    assert run.count == 4


def test_a_timeout_is_tried_again_and_never_kept(kept: Keep) -> None:
    late = RunFailed(str(Status.TIMEOUT), message="no answer within 10 s")
    run = Counted(late, late, late)
    first = kept(run)
    with pytest.raises(RunFailed, match="no answer"):
        first(GRAPH, X, 1e-3)
    assert (run.count, first.unsettled) == (2, 1)
    second = kept(run)
    assert second(GRAPH, X, 1e-3).output.any()
    assert (run.count, second.unsettled) == (4, 0)


def test_a_timeout_on_what_is_known_to_loop_is_settled_when_seen_twice(tmp_path: Path) -> None:
    late = RunFailed(str(Status.TIMEOUT), message="no answer within 4 s")
    run = Counted(late, late)
    kept = KeptRuns(run, backend("reference"), Store(tmp_path), loops=lambda graph: True)
    with pytest.raises(RunFailed):
        kept(GRAPH, X, 1e-3)
    assert kept.unsettled == 0


def test_a_crash_is_kept_when_it_is_seen_twice(kept: Keep) -> None:
    crash = RunFailed(str(Status.CRASH), message="killed by signal 11")
    once = Counted(crash)
    assert kept(once)(GRAPH, X, 1e-3).output.any()
    assert once.count == 2
    twice = Counted(crash, crash)
    for _ in range(2):
        with pytest.raises(RunFailed, match="signal 11"):
            kept(twice)(GRAPH, X, 1e-2)
    assert twice.count == 2


def test_what_a_backend_declines_is_kept_in_its_words(kept: Keep) -> None:
    run = Counted(RunFailed(str(Status.REFUSED), "ValueError", "no LI here", ("li",)))
    for _ in range(2):
        with pytest.raises(RunFailed) as refused:
            kept(run)(GRAPH, X, 1e-3)
        assert vars(refused.value) == vars(RunFailed("refused", "ValueError", "no LI here", ("li",)))
    assert run.count == 1


def test_a_machine_that_has_no_memory_says_nothing_of_a_backend(kept: Keep) -> None:
    run = Counted(RunFailed(str(Status.RUN_ERROR), "MemoryError", "cannot allocate"))
    with pytest.raises(RunFailed):
        kept(run)(GRAPH, X, 1e-3)
    assert kept(run)(GRAPH, X, 1e-3).output.any()
