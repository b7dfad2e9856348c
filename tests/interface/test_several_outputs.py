"""Several Outputs: which of them differ, by how much, and why a library gives none; the library is called by hand beside it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nir
import numpy as np
import pytest

import nir_interop as ni
from nir_interop.compare.divergence import apart_by_output, by_output_in_words
from nir_interop.recording import Recording
from nir_interop.vocabulary import Status
from tests.known import installed
from tests.several_ends import DT, inputs, two_ends


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One Input and two Outputs, neurons as all libraries take them."""
    folder = tmp_path_factory.mktemp("outputs")
    read = nir.read(two_ends(folder / "both.nir"))
    read.nodes["lif"].r = read.nodes["lif"].tau / DT
    nodes = {name: node for name, node in read.nodes.items() if name not in ("b", "wb")}
    edges = [edge for edge in read.edges if edge[0] in nodes and edge[1] in nodes]
    nir.write(folder / "two.nir", nir.NIRGraph(nodes, edges))
    return folder / "two.nir"


def test_each_output_has_its_share_of_what_differs() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, (5, 2, 3)).astype(float), rng.normal(size=(5, 2, 2, 2))
    wrong = np.concatenate([a, b.reshape(5, 2, 4)], axis=2)
    wrong[0, 0, 1] += 1
    wrong[1:3, :, 5] += 1
    made = Recording({"output": wrong})
    found = apart_by_output(Recording({"b": b, "a": a}), made)
    assert found == {"a": (1, 30), "b": (4, 40)}
    assert by_output_in_words(found) == "1 of 30 at a, 4 of 40 at b"
    assert by_output_in_words({"a": (0, 30), "b": (4, 40)}) == "4 of 40 at b, 0 of 30 at a"
    assert apart_by_output(Recording({"a": a}), Recording({"a": a + 1})) == {}
    assert apart_by_output(Recording({"b": b, "a": a}), Recording({"output": wrong[..., :5]})) == {}


def test_check_and_explain_say_which_output_differs_by_how_much(graph: Path) -> None:
    x = 0.2 * inputs()["z"]
    checked = ni.check(graph, input=x, dt=DT, backends=["reference", "exact"])
    made, meant = checked["exact"].recording, checked.meant
    assert made is not None
    by_hand = {}
    for name in ("early", "late"):
        wrong = np.float32(made.outputs[name]) != np.float32(meant.outputs[name])
        by_hand[name] = {"mismatched": int(wrong.sum()), "outputs": wrong.size}
    assert by_hand["late"]["mismatched"] > 0 and checked["exact"].mismatched == sum(
        each["mismatched"] for each in by_hand.values()
    )
    assert checked["exact"].as_dict()["by_output"] == by_hand
    said = f"{by_hand['late']['mismatched']} of {by_hand['late']['outputs']} at late"
    assert said in repr(checked)
    assert said in ni.explain(graph, input=x, dt=DT, backend="exact").text
    assert checked["reference"].as_dict()["by_output"] == {}


BY_HAND = """
import sys, nir
from snntorch.import_nir import import_from_nir
import_from_nir(nir.read(sys.argv[1]))
"""


def test_the_library_that_looks_for_an_output_for_ever_is_named_with_the_reason_and_does_not_take_the_whole_limit(
    graph: Path, tmp_path: Path
) -> None:
    installed("snntorch")
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([sys.executable, "-c", BY_HAND, str(graph)], timeout=15, capture_output=True)
    found = ni.check(graph, input=0.2 * inputs()["z"], dt=DT, backends=["snntorch"], time_limit=120)["snntorch"]
    assert found.status is Status.TIMEOUT
    assert found.error == "no answer within 6 s in import; with one in the place of the 2 Outputs it is run"
    one = nir.read(graph)
    nodes = {name: node for name, node in one.nodes.items() if name not in ("read", "early")}
    nir.write(tmp_path / "one.nir", nir.NIRGraph(nodes, [edge for edge in one.edges if edge[1] in nodes]))
    subprocess.run([sys.executable, "-c", BY_HAND, str(tmp_path / "one.nir")], timeout=60, check=True, capture_output=True)
