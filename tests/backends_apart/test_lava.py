"""Lava's processes against their equations written out here, floating point and integers, with Lava in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from nir_interop.backends.environments import Backend, backends_in
from nir_interop.errors import RunFailed
from nir_interop.graphs import Graph, Node
from nir_interop.workers.live import LiveBackend
from tests.backends_apart.by_hand import (
    BIAS,
    CURRENT_WEIGHT,
    DT,
    INTO,
    SIZE,
    STIMULUS,
    WEIGHT,
    affine,
    chain,
    cuba,
    lif,
    neuron,
)

Running = Callable[[str], LiveBackend]
LATE = np.concatenate([np.zeros((1, *INTO.shape[1:])), INTO[:-1]])
"""What weights and their bias gave a step before."""


@pytest.fixture(scope="module")
def fixed(apart: Callable[[str], Backend], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveBackend]:
    """The same environment with the label ``fixed``."""
    home = tmp_path_factory.mktemp("environments")
    (home / "lava-nc==fixed").symlink_to(apart("lava-nc").python.parents[1])
    backend = next(each for each in backends_in([home]) if each.name == "lava-nc==fixed")
    with LiveBackend(backend, limit=240) as live:
        yield live


def test_a_layer_is_a_step_late_and_a_lif_is_stepped_by_forward_euler(running: Running) -> None:
    made = running("lava-nc")(chain(fc=affine(), neuron=lif(r=1.5, v_leak=0.05)), STIMULUS, DT).output
    v, expected = np.zeros((3, SIZE)), []
    for step, x in enumerate(LATE):
        v = v + DT / 5e-3 * (0.05 * (step > 0) - v + 1.5 * x)
        expected.append(v > 0.4)
        v = np.where(v > 0.4, 0.0, v)
    assert (made != np.array(expected)).sum() == 0
    assert np.sum(expected) > 50


def test_a_cuba_lif_advances_its_current_first(running: Running) -> None:
    made = running("lava-nc")(chain(fc=affine(np.zeros(SIZE)), neuron=cuba(w_in=2.0, r=1.5)), STIMULUS, DT).output
    v, i, expected = np.zeros((3, SIZE)), np.zeros((3, SIZE)), []
    for x in LATE - BIAS * (np.arange(len(LATE)) > 0)[:, None, None]:
        i = i + DT / 3e-3 * (2.0 * x - i)
        v = v + DT / 5e-3 * (1.5 * i - v)
        expected.append(v > 0.4)
        v = np.where(v > 0.4, 0.0, v)
    assert (made != np.array(expected)).sum() == 0
    assert np.sum(expected) > 50


def test_a_feedback_is_a_step_late_as_every_connection_is(running: Running) -> None:
    back = Node("Linear", {"weight": CURRENT_WEIGHT})
    plain = chain(fc=affine(), neuron=lif())
    graph = Graph({**plain.nodes, "back": back}, (*plain.edges, ("neuron", "back"), ("back", "neuron")))
    made = running("lava-nc")(graph, STIMULUS, DT).output
    v, last, expected = np.zeros((3, SIZE)), np.zeros((3, SIZE)), []
    for x in LATE:
        v = v + DT / 5e-3 * (x + last @ CURRENT_WEIGHT.T - v)
        last = (v > 0.4).astype(np.float64)
        v = np.where(last > 0, 0.0, v)
        expected.append(last)
    assert (made != np.array(expected)).sum() == 0


def test_integers_of_loihi(fixed: LiveBackend) -> None:
    """Weights in eight bits (even where they have both signs), decays in twelve, membranes shifted by six."""
    made = fixed(chain(fc=Node("Linear", {"weight": WEIGHT}), neuron=lif()), STIMULUS, DT).output
    weight = np.trunc(DT / 5e-3 * WEIGHT * 256).astype(int)
    weight = weight >> 1 << 1
    decay, theta = 4096 - int(DT / 5e-3 * 4096), int(0.4 * 256) << 6
    v, expected, given = np.zeros((3, SIZE), dtype=int), [], np.zeros((3, SIZE), dtype=int)
    for x in STIMULUS.astype(int):
        v = np.sign(v) * (np.abs(v) * decay >> 12) + (given << 6)
        expected.append(v > theta)
        v = np.where(v > theta, 0, v)
        given = x @ weight.T
    assert (made != np.array(expected)).sum() == 0
    assert np.sum(expected) > 50


def test_its_processes_do_not_pile_up_run_by_run(running: Running) -> None:
    live = running("lava-nc")
    counts = []
    for _ in range(3):
        live(chain(fc=affine(), neuron=lif()), STIMULUS, DT)
        counts.append(_descendants())
    assert counts[2] <= counts[0] + 1


def _descendants() -> int:
    """Processes that this one started, and those that they did."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {os.getpid()}
    while more := {each for each, parent in parents.items() if parent in found} - found:
        found |= more
    return len(found) - 1


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (lif(v_reset=-0.1), "Lava's LIF resets to 0; v_reset is -0.1"),
        (lif(v_threshold=np.linspace(0.2, 0.5, SIZE)), "Lava's LIF has one v_threshold a process; here it differs per neuron"),
        (neuron("LI", tau=5e-3, r=1.0, v_leak=0.0), "Lava has no LI here"),
    ],
)
def test_what_lava_has_no_word_for_is_refused(running: Running, node: Node, says: str) -> None:
    with pytest.raises(RunFailed, match=says) as error:
        running("lava-nc")(chain(fc=affine(), neuron=node), STIMULUS, DT)
    assert error.value.status == "refused"
