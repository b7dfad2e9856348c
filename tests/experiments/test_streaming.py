"""Any number of recordings in the memory of a few: made a batch at a time, given up once they are run, kept chunk by chunk."""

from __future__ import annotations

import itertools
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from nir_interop.compare import assert_same_spikes
from nir_interop.datasets import Recordings, load_digits_events
from nir_interop.graphs import Array, Graph, Node
from nir_interop.rule import NIR_MEANING
from nir_interop.store.store import Store
from nir_interop.transfer import evaluation
from nir_interop.transfer.evaluation import Evaluator
from nir_interop_studies.nir_paper.crossing import BATCH
from nir_interop_studies.nir_paper.inputs import Frames

STEPS, CLASSES = 40, 10


def rows_to_classes() -> Graph:
    """A graph that takes frames; each class counts a part of the pixels."""
    weight = np.repeat(np.eye(CLASSES), 232, axis=1)[:, : 2 * 34 * 34]
    nodes = {
        "input": Node("Input", {"shape": np.array([2, 34, 34])}),
        "flat": Node("Flatten", {"start_dim": np.array(0), "end_dim": np.array(-1), "input_type": np.array([2, 34, 34])}),
        "dense": Node("Linear", {"weight": weight}),
        "if": Node("IF", {"r": np.ones(CLASSES), "v_threshold": np.full(CLASSES, 5.0), "v_reset": np.zeros(CLASSES)}),
        "output": Node("Output", {"shape": np.array([CLASSES])}),
    }
    return Graph(nodes, tuple(itertools.pairwise(nodes)))


def repeated(count: int) -> Frames:
    """A few recordings again and again, read from memory, so that only what is made of them is measured."""
    digits = load_digits_events(False)
    events = [digits[index] for index in range(4)]
    held = Recordings(lambda index: events[index], digits.labels[:4], digits.sensor_size, "few")
    return Frames(held, np.resize(np.arange(4), count), STEPS)


def peak(count: int, work: Path) -> tuple[int, Array]:
    frames, graph = repeated(count), rows_to_classes()
    tracemalloc.start()
    try:
        ran = Evaluator(Store(work), BATCH).rule(graph, frames, 1.0, NIR_MEANING)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert ran.output is not None
    assert ran.output.shape == (STEPS, count, CLASSES)
    return most, ran.output


def test_memory_does_not_grow_with_the_recordings(tmp_path: Path) -> None:
    few, _ = peak(2 * BATCH, tmp_path / "few")
    many, output = peak(20 * BATCH, tmp_path / "many")
    frames = STEPS * BATCH * 2 * 34 * 34 * 4
    # Of the others only the outputs are there, twice at the moment in which they are joined.
    assert many - few < 3 * output.nbytes + frames / 4
    assert few > frames


def test_chunks_are_kept_and_joined_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, whole = peak(3 * BATCH, tmp_path / "whole")
    assert whole.sum() > 20
    monkeypatch.setattr(evaluation, "CHUNK", BATCH)
    _, parts = peak(3 * BATCH, tmp_path / "parts")
    assert_same_spikes(parts, whole)
    kept = sorted((tmp_path / "parts" / "evaluations").rglob("*.json"))
    assert len(kept) == 3
    kept[1].unlink()
    made: list[tuple[int, int]] = []
    batch = Frames.batch

    def counted(self: Frames, start: int, stop: int) -> Array:
        made.append((start, stop))
        return batch(self, start, stop)

    monkeypatch.setattr(Frames, "batch", counted)
    _, again = peak(3 * BATCH, tmp_path / "parts")
    assert_same_spikes(again, whole)
    assert len(made) == 1
