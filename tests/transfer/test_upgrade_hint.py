"""Where a library fails at an old file and takes it once it is upgraded, the answer names the command; else it does not."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import nir_interop as ni
from nir_interop.graphs import Graph, write
from nir_interop.vocabulary import Status
from tests.conftest import SHARED
from tests.known import CORE, installed
from tests.strategies import node, port

CASES = SHARED / "cases"
here = pytest.mark.skipif(not CASES.is_dir(), reason="the files that people have are not here (NIR_INTEROP_SHARED)")
REFUSED = {"interrupted-s4.nir": "ended half-way", "bias-false.nir": "lower v_reset"}
SCALARS = ("files/scalar-s2.nir", "reports/scalar-params.nir")
LIBRARIES = CORE


def old(path: Path, **changed: Any) -> Path:
    """A file whose neuron has parameters without axes."""
    values = {"tau": 1e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.4, "v_reset": 0.0} | changed
    nodes = {
        "input": port("Input", 5),
        "fc": node("Affine", weight=np.random.default_rng(2).normal(0.2, 0.5, (3, 5)), bias=np.zeros(3)),
        "lif": node("LIF", **{name: np.float32(value) for name, value in values.items()}),
        "output": port("Output", 3),
    }
    write(path, Graph(nodes, tuple(pairwise(nodes))))
    return path


def test_a_library_that_takes_the_upgraded_file_is_told_apart_from_one_that_does_not(tmp_path: Path) -> None:
    """snnTorch takes one number for all neurons once each has it, and a v_leak in no form."""
    installed("snntorch")
    mended = ni.check(old(tmp_path / "old.nir"), backends=["snntorch"])
    assert mended["snntorch"].status is Status.READ_ERROR
    assert "snntorch gives every output of it: nir-interop upgrade" in repr(mended)
    ni.upgrade(tmp_path / "old.nir").write(tmp_path / "new.nir")
    assert ni.check(tmp_path / "new.nir", backends=["snntorch"])["snntorch"].status is Status.EXACT
    not_mended = ni.check(old(tmp_path / "leaking.nir", v_leak=0.1), backends=["snntorch"])
    assert not_mended["snntorch"].status is Status.READ_ERROR
    assert "today's NIR" not in repr(not_mended)


@here
@pytest.mark.parametrize(
    "path", sorted(CASES.glob("files/*.nir")) + sorted(CASES.glob("reports/*.nir")), ids=lambda path: path.name
)
def test_every_file_that_people_had_is_read_or_refused_in_a_line_that_says_what_to_do(path: Path, tmp_path: Path) -> None:
    if path.name in REFUSED:
        with pytest.raises(ni.BadInput, match=REFUSED[path.name]) as raised:
            ni.upgrade(path)
        assert "\n" not in str(raised.value)
        return
    done = ni.upgrade(path, input=None)
    written = done.write(tmp_path / "new.nir")
    if path.name != "rect-kernel.nir":  # nir.read 1.0.8 finds no types for a kernel that is not square
        assert nir.read(written).nodes


@here
@pytest.mark.slow
@pytest.mark.parametrize("name", SCALARS)
def test_a_file_with_one_number_for_all_neurons_is_for_every_library_once_it_is_upgraded(name: str, tmp_path: Path) -> None:
    for library in LIBRARIES:
        installed(library)
    ni.upgrade(CASES / name).write(tmp_path / "new.nir")
    fixed = {library: ni.reconcile(tmp_path / "new.nir", to=library) for library in LIBRARIES}
    assert {library: each.right for library, each in fixed.items()} == dict.fromkeys(LIBRARIES, True)
