"""Files for a reader whose nir does not know v_reset, w_in, or what is said of a node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import Domain, GivenField, Identified, Refusal, condition_from_json, condition_to_json
from nir_interop.graphs import Graph, digest, inline, read, write
from nir_interop.graphs.unwritten import METADATA, newer_fields, without_fields
from nir_interop.reconcile.writing import FIELDS
from nir_interop.rule import NIR_MEANING, Gain, ResetKind, Start, UpdateRule, Use
from nir_interop.vocabulary import Cause
from nir_interop.workers.worker import describe_adapter
from tests.reconcile.pass_checks import proven, refused
from tests.strategies import DT, chain, neuron, node

(OLDER,) = FIELDS
SIZE = 3


def lacking(known: Mapping[str, tuple[str, ...]], **axes: object) -> Side:
    """A target whose nir takes no such fields."""
    rule = NIR_MEANING.but(**axes)  # type: ignore[arg-type]
    found = {
        kind: Identified(rule, 100, refusals=tuple(Refusal(GivenField(each), "read_error", "TypeError") for each in names))
        for kind, names in known.items()
    }
    return Side("old", DT, dict.fromkeys(known, rule), Domain(found))


OLD = lacking({"IF": ("v_reset",), "LIF": ("v_reset",), "CubaLIF": ("v_reset", "w_in"), "Linear": (METADATA,)})


def graph(kind: str = "LIF", **values: float) -> Graph:
    rng = np.random.default_rng(3)
    cell = neuron(kind, SIZE, rng)
    params = {name: np.full(SIZE, values[name]) if name in values else value for name, value in cell.params.items()}
    return chain(node("Linear", weight=rng.normal(1, 1, (SIZE, SIZE))), replace(cell, params=params), size=SIZE)


def written(graph: Graph, path: Path) -> dict[str, set[str]]:
    """Node → the fields that a file has of it."""
    write(path, graph)
    with h5py.File(path) as file:
        return {name: {*node} for name, node in file["node/nodes"].items()}


@pytest.mark.parametrize(("kind", "gone"), [("LIF", {"v_reset"}), ("IF", {"v_reset"}), ("CubaLIF", {"v_reset", "w_in"})])
def test_fields_that_are_neutral_are_not_in_the_file_and_it_means_the_same(kind: str, gone: set[str], tmp_path: Path) -> None:
    content = graph(kind, v_reset=0.0, w_in=1.0)
    made = proven(OLDER, content, Side("nir", DT), OLD)
    assert made is not None and made.nodes == ("n1",)
    before, after = written(content, tmp_path / "a.nir"), written(made.graph, tmp_path / "b.nir")
    assert before["n1"] - after["n1"] == gone
    again = read(tmp_path / "b.nir").nodes["n1"]
    assert again["v_reset"].tolist() == [0.0] * SIZE  # type: ignore[index]
    assert np.all(again["w_in"] == 1) if "w_in" in gone else True  # type: ignore[index]


def test_what_is_said_of_a_node_goes_and_graphs_within_the_graph_are_written_alike(tmp_path: Path) -> None:
    inner = graph(v_reset=0.0)
    said = replace(inner.nodes["n0"], metadata={"about": "it"})
    inner = Graph({**inner.nodes, "n0": said}, inner.edges)
    ends = {name: inner.nodes[name] for name in ("input", "output")}
    outer = Graph({**ends, "part": inner}, (("input", "part"), ("part", "output")))
    made = OLDER.rewrite(outer, Side("nir", DT), OLD)
    assert made is not None and made.nodes == ("part.n0", "part.n1")
    write(tmp_path / "a.nir", made.graph)
    with h5py.File(tmp_path / "a.nir") as file:
        nodes = file["node/nodes/part/nodes"]
        assert "metadata" not in nodes["n0"] and "v_reset" not in nodes["n1"]
    assert digest(read(tmp_path / "a.nir")) == digest(inline(outer))


def test_nothing_is_left_out_for_a_reader_that_takes_all() -> None:
    content = graph(v_reset=0.0)
    assert OLDER.rewrite(content, Side("nir", DT), Side("new", DT)) is None
    assert OLDER.rewrite(content, Side("nir", DT), lacking({"IF": ("v_reset",)})) is None
    assert proven(OLDER, graph(v_reset=-0.3), Side("nir", DT), lacking({"LIF": ()})) is None


@pytest.mark.parametrize(
    ("kind", "values", "cause"),
    [
        ("LIF", {"v_reset": -0.2}, Cause.RESET_VALUE_IGNORED),
        ("IF", {"v_reset": -0.2}, Cause.RESET_VALUE_IGNORED),
        ("CubaLIF", {"v_reset": 0.0, "w_in": 2.0}, Cause.INPUT_WEIGHT_IGNORED),
    ],
)
def test_a_field_that_is_read_and_not_neutral_stays_and_the_pass_declines(
    kind: str, values: dict[str, float], cause: Cause
) -> None:
    refused(OLDER, graph(kind, **values), Side("nir", DT), OLD, cause, "n1")


@pytest.mark.parametrize(
    ("kind", "values", "axes"),
    [
        ("LIF", {"v_reset": -0.2}, {"reset": ResetKind.SUBTRACT}),
        ("LIF", {"v_reset": -0.2}, {"reset": ResetKind.TO_ZERO}),
        ("CubaLIF", {"v_reset": 0.0, "w_in": 2.0}, {"input_weight": Use.IGNORED}),
        ("CubaLIF", {"v_reset": 0.0, "w_in": 2.0}, {"synapse_gain": Gain.ONE}),
    ],
)
def test_a_field_that_no_rule_reads_goes_whatever_it_is(kind: str, values: dict[str, float], axes: dict[str, object]) -> None:
    rule: UpdateRule = NIR_MEANING.but(**axes)  # type: ignore[arg-type]
    made = proven(OLDER, graph(kind, **values), Side("source", DT, {kind: rule}), OLD)
    assert made is not None and made.nodes == ("n1",)


def test_a_v_reset_where_membranes_start_is_read() -> None:
    rule = NIR_MEANING.but(reset=ResetKind.SUBTRACT, start=Start.RESET)
    refused(OLDER, graph(v_reset=-0.2), Side("source", DT, {"LIF": rule}), OLD, Cause.RESET_VALUE_IGNORED, "n1")


def test_what_a_class_does_not_take_follows_from_its_fields_alone() -> None:
    assert newer_fields("LIF", ("tau", "r", "v_leak", "v_threshold", "metadata")) == ("v_reset",)
    assert newer_fields("CubaLIF", ()) == ("v_reset", "w_in", "metadata")
    assert newer_fields("Linear", ("weight",)) == (METADATA,)
    assert newer_fields("LIF", ("tau", "r", "v_leak", "v_threshold", "v_reset", "metadata", "input_type")) == ()
    kept, changed = without_fields(graph(v_reset=-0.1), {"LIF": ("v_reset",)})
    assert not changed and not kept.nodes["n1"].unwritten  # type: ignore[union-attr]


def test_a_greeting_has_the_fields_of_the_environments_nir() -> None:
    import nir

    from nir_interop.backends.adapter import load_adapter

    found = describe_adapter(load_adapter("reference")).fields
    assert {*found["LIF"]} == {each.name for each in fields(nir.LIF) if each.init}
    assert newer_fields("LIF", found["LIF"]) == newer_fields("CubaLIF", found["CubaLIF"]) == ()


def test_the_condition_is_written_and_read_again() -> None:
    assert condition_from_json(condition_to_json(GivenField("v_reset"))) == GivenField("v_reset")
