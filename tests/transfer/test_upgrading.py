"""``nir_interop.upgrade``: one network in all forms that people have it in becomes today's NIR, which computes the same.

What is meant is written out in NumPy; who reads the new file is nir.read and the libraries, called by hand.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch

import nir_interop as ni
from tests.graphs.old_files import DT, FORMS, INPUTS, NEURONS, Layout, affine, graph, lif, meant, port, write
from tests.known import CORE, installed
from tests.transfer.imported_by_hand import imported, run

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of the libraries

X = (np.random.default_rng(3).random((80, 5, INPUTS)) < 0.4).astype(np.float32)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_todays_nir_which_nir_reads_and_computes_what_is_meant(form: str, tmp_path: Path) -> None:
    make, says = FORMS[form]
    old, new = write(tmp_path / "old.nir", make()), tmp_path / "new.nir"
    found = ni.upgrade(old, input=X)
    told = [change.text for change in found.changes]
    for each in says:
        assert any(each in line for line in told), (each, told)
    assert found.readable
    assert found.write(new) == new
    assert nir.serialization.read_version(new) == nir.version
    graph = nir.read(new, type_check=True)
    assert graph.input_type and [tuple(shape) for shape in graph.output_type.values()] == [(NEURONS,)]
    spikes = ni.simulate(new, X).output
    assert np.array_equal(spikes, meant(X)) and 20 < spikes.sum() < 0.8 * spikes.size
    again = ni.upgrade(new, input=X)
    assert not again.changes


@pytest.mark.parametrize("library", CORE)
def test_every_form_runs_in_the_libraries_once_it_is_upgraded(library: str, tmp_path: Path) -> None:
    installed(library)
    for form, (make, _) in FORMS.items():
        new = ni.upgrade(write(tmp_path / "old.nir", make()), input=X).write(tmp_path / "new.nir")
        made = run(imported(library, new, DT), torch.from_numpy(X))
        assert np.array_equal(made.reshape(meant(X).shape), meant(X)), form


def images(**changed: Any) -> Layout:
    """Two channels of 8×8, a convolution, neurons that are alike in each channel, a pool, and a Flatten that counts a batch."""
    weight = np.random.default_rng(0).normal(size=(4, 2, 3, 3)).astype(np.float32)
    convolution = {"type": "Conv2d", "weight": weight, "stride": 1, "padding": 1, "dilation": 1, "groups": 1} | changed
    nodes = {
        "input": port("Input", 1, 2, 8, 8),
        "conv": convolution,
        "lif1": lif((4, 1, 1)),
        "pool": {"type": "SumPool2d", "kernel_size": 2, "stride": 2, "padding": 0},
        "flat": {"type": "Flatten", "start_dim": 1, "end_dim": -1},
        "out": {"type": "Affine", "weight": np.ones((3, 64), np.float32), "bias": False},
        "output": port("Output", 1, 3),
    }
    return graph(version="0.2.0", edges=[*pairwise(nodes)], **{"fc": None, "lif": None, **nodes})


def test_an_old_convolutional_network_becomes_todays_nir(tmp_path: Path) -> None:
    old = write(tmp_path / "old.nir", images())
    x = (np.random.default_rng(1).random((30, 2, 2, 8, 8)) < 0.3).astype(np.float32)
    found = ni.upgrade(old, input=x)
    told = [change.text for change in found.changes]
    for each in (
        "there is no bias at 'conv': read as none",
        "Flatten 'flat' counts a batch: read with start_dim 0",
        "of shape (4, 1, 1): read as (4, 8, 8)",
        "dilation, padding, stride of Conv2d 'conv': 1 → (1, 1)",
        "input_shape of Conv2d 'conv': missing → (8, 8)",
        "kernel_size, stride of SumPool2d 'pool': 2 → (2, 2)",
    ):
        assert any(each in line for line in told), (each, told)
    read = nir.read(found.write(tmp_path / "new.nir"), type_check=True)
    assert tuple(read.nodes["flat"].input_type["input"]) == (4, 4, 4)
    assert tuple(read.nodes["flat"].output_type["output"]) == (64,)
    weight, v, sums = torch.from_numpy(images()["node"]["nodes"]["conv"]["weight"]).double(), torch.zeros(2, 4, 8, 8), []
    for frame in torch.from_numpy(x).double():
        v = v + DT / 2e-3 * (torch.nn.functional.conv2d(frame, weight, padding=1) - v)
        z = (v > float(np.float32(0.37))).double()
        v = v * (1 - z)
        sums.append(torch.nn.functional.avg_pool2d(z, 2).flatten(1).sum(1) * 4)
    answered = ni.simulate(tmp_path / "new.nir", x).output
    assert np.array_equal(answered, np.repeat(np.array([each.numpy() for each in sums])[..., None], 3, axis=2))
    assert answered.any()


def test_what_nir_read_itself_cannot_take_is_said(tmp_path: Path) -> None:
    grouped = np.ones((4, 1, 3, 3), np.float32)
    found = ni.upgrade(write(tmp_path / "old.nir", images(weight=grouped, groups=2)))
    assert not found.readable and "nir.read 1.0.8 does not take it (ValueError" in str(found)
    with pytest.raises(ValueError, match="type mismatch"):
        nir.read(found.write(tmp_path / "new.nir"), type_check=True)


def test_two_inputs_are_upgraded(tmp_path: Path) -> None:
    edges = [("input", "fc"), ("more", "fc2"), ("fc", "lif"), ("fc2", "lif"), ("lif", "output")]
    old = write(tmp_path / "old.nir", graph(edges=edges, lif=lif(()), more=port("Input", INPUTS), fc2=affine()))
    found = ni.upgrade(old)
    assert [change.where for change in found.changes] == ["LIF 'lif'"] and found.readable


def test_the_graphs_own_file_is_not_written_over(tmp_path: Path) -> None:
    old = write(tmp_path / "old.nir", graph())
    with pytest.raises(ni.BadInput, match="that is the graph itself"):
        ni.upgrade(old, input=X).write(old)
