"""Several Inputs: given by name or side by side, the same numbers come out, and what is missing is said in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nir_interop as ni
from nir_interop.graphs import Graph, Node, write
from tests.several_ends import DT, by_hand, inputs, two_ends
from tests.strategies import node, port

Parts = dict[str, Any]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_ends(tmp_path_factory.mktemp("ends") / "two.nir")


def _saved(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "x.npz", **arrays)
    return folder / "x.npz"


WAYS: dict[str, Callable[[Parts, Path], Any]] = {
    "arrays by name": lambda parts, folder: parts,
    "tensors by name": lambda parts, folder: {name: torch.tensor(part) for name, part in parts.items()},
    "a file by name": lambda parts, folder: _saved(folder, **parts),
    "a file by name, and more": lambda parts, folder: _saved(folder, input=parts["b"], other=parts["z"], **parts),
    "one array": lambda parts, folder: np.concatenate([parts["b"], parts["z"]], axis=2),
    "a file with one array": lambda parts, folder: _saved(folder, input=np.concatenate([parts["b"], parts["z"]], axis=2)),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_give_them_means_what_numpy_says(way: str, graph: Path, tmp_path: Path) -> None:
    parts = inputs()
    found, meant = ni.simulate(graph, WAYS[way](parts, tmp_path), dt=DT), by_hand(graph, parts)
    assert meant["late"].sum() > 50
    np.testing.assert_array_equal(found.outputs["late"], meant["late"])
    np.testing.assert_allclose(found.outputs["early"], meant["early"], rtol=1e-12, atol=1e-12)


Case = tuple[Callable[[Parts, Path], Any], str]
BAD: dict[str, Case] = {
    "one is missing": (lambda parts, folder: {"b": parts["b"]}, r"nothing for Input 'z' \(T, B, 3\); give an array for each"),
    "one is missing in a file": (lambda parts, folder: _saved(folder, b=parts["b"]), r"nothing for Input 'z' \(T, B, 3\)"),
    "all are missing in a file": (
        lambda parts, folder: _saved(folder, x=parts["b"]),
        r"nothing for Inputs 'b' \(T, B, 2\), 'z'",
    ),
    "one too many": (lambda parts, folder: {**parts, "c": parts["b"]}, r"'c', which is no Input of the graph; it has Inputs"),
    "another size": (lambda parts, folder: {**parts, "z": parts["b"]}, r"for 'z' has samples of shape \(2,\), .* takes \(3,\)"),
    "another size in a file": (
        lambda parts, folder: _saved(folder, b=parts["z"], z=parts["z"]),
        r"'b' in .* has samples of shape \(3,\), .* takes \(2,\)",
    ),
    "other steps": (
        lambda parts, folder: {**parts, "z": parts["z"][:9]},
        "for 'z' has 9 steps and 3 samples, and that for 'b' 60",
    ),
    "one array for one of them": (lambda parts, folder: parts["z"], r"\(3,\), .* takes \(5,\); the graph has Inputs 'b'"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_said_in_one_line_with_the_name(case: str, graph: Path, tmp_path: Path) -> None:
    made, said = BAD[case]
    with pytest.raises(ni.BadStimulus, match=said) as raised:
        ni.simulate(graph, made(inputs(), tmp_path))
    assert len(str(raised.value).splitlines()) == 1


def test_a_mapping_may_be_given_where_there_is_one_input(tmp_path: Path) -> None:
    write(tmp_path / "one.nir", Graph({"a": port("Input", 3), "o": port("Output", 3)}, (("a", "o"),)))
    x = inputs()["z"]
    np.testing.assert_array_equal(ni.simulate(tmp_path / "one.nir", {"a": x}).output, x)
    with pytest.raises(ni.BadStimulus, match=r"nothing for Input 'a' \(T, B, 3\)"):
        ni.simulate(tmp_path / "one.nir", {"z": x})


def test_feature_maps_and_single_numbers_are_inputs_too(tmp_path: Path) -> None:
    plane = node("Input", shape=np.array([2, 3, 4]))
    pool = {"kernel_size": [3, 4], "stride": [3, 4], "padding": [0, 0]}
    nodes = {
        "n": Node("Input", {"shape": np.array([], dtype=np.int64)}),
        "map": plane,
        "sum": node("SumPool2d", **pool),
        "flat": node("Flatten", start_dim=0, end_dim=-1),
        "o": port("Output", 2),
        "p": node("Output", shape=np.array([], dtype=np.int64)),
    }
    write(tmp_path / "g.nir", Graph(nodes, (("n", "p"), ("map", "sum"), ("sum", "flat"), ("flat", "o"))))
    rng = np.random.default_rng(3)
    given = {"n": rng.random((7, 2)), "map": rng.integers(0, 3, (7, 2, 2, 3, 4))}
    found = ni.simulate(tmp_path / "g.nir", given)
    np.testing.assert_array_equal(found.outputs["p"], np.float32(given["n"]))
    np.testing.assert_array_equal(found.outputs["o"], given["map"].sum(axis=(3, 4)))


def test_what_is_saved_is_read_again_whatever_the_inputs_are_called(tmp_path: Path) -> None:
    """A recording has arrays a0, a1, … of its own."""
    ends = {"a0": port("Input", 2), "a1": port("Input", 3), "o": port("Output", 2), "p": port("Output", 3)}
    write(tmp_path / "g.nir", Graph(ends, (("a0", "o"), ("a1", "p"))))
    parts = inputs()
    given = {"a0": parts["b"], "a1": parts["z"]}
    first = ni.check(tmp_path / "g.nir", input=given, backends=["reference"], save=tmp_path / "kept")
    again = ni.simulate(tmp_path / "g.nir", tmp_path / "kept" / "reference.npz")
    np.testing.assert_array_equal(again.output, first.meant.output)
    np.testing.assert_array_equal(again.outputs["p"], parts["z"])


def test_the_made_inputs_reach_every_input(graph: Path) -> None:
    found = ni.check(graph, backends=["reference"])
    assert found.inputs.input.shape[2] == 5 and found.inputs.names == ("b", "z")
    assert (found.inputs.input != 0).any(axis=(0, 1)).all()
    assert "for each of b, z" in found.inputs.text
    made = found.inputs.input[:, :6]
    meant = by_hand(graph, {"b": made[..., :2], "z": made[..., 2:]})
    np.testing.assert_array_equal(found.meant.outputs["late"][:, :6], meant["late"])
