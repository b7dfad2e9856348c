"""The primitive table's other direction: networks mean something, and what an exporter makes of them is measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nir_interop.backends.environments import backend
from nir_interop.compare.rasters import is_counts
from nir_interop.conformance.primitives import ExportCase, cases, exported_rows, networks, rows_of
from nir_interop.conformance.primitives.cases import DT, SAMPLES
from nir_interop.conformance.primitives.running import Exporting
from nir_interop.errors import InvalidGraph, RunFailed
from nir_interop.fingerprint import Fingerprint
from nir_interop.graphs import Array, Graph, Node, digest, from_nir, validate
from nir_interop.networks import Network
from nir_interop.networks.serialization import document_of, network_from
from nir_interop.recording import Recording
from nir_interop.vocabulary import Idiom, Status
from tests.known import installed

ALL = networks()
SIMPLE = {(each.meant.primitive, each.meant.aspect): each for each in ALL}
LIF = SIMPLE["LIF", "r = tau/dt"]
FLATTENS = {case.aspect: case for case in cases() if case.primitive == "Flatten"}


def each_network(test: object) -> object:
    names = [f"{each.meant.slug}" for each in ALL]
    return pytest.mark.parametrize("each", ALL, ids=names)(test)


def faultless(network: Network, idiom: Idiom, stimulus: Array) -> Graph:
    """Writes the graph that was meant."""
    return from_nir(network.to_nir())


def row_of(export: Callable[..., Graph], each: ExportCase = LIF) -> dict[str, Any]:
    (row,) = exported_rows(export, [each])
    return row


def changing(name: str, **changes: Callable[[Array], Any]) -> Callable[..., Graph]:
    """An exporter that writes some parameters of a node otherwise."""

    def export(network: Network, idiom: Idiom, stimulus: Array) -> Graph:
        graph = faultless(network, idiom, stimulus)
        node = graph.nodes[name]
        assert isinstance(node, Node)
        params = {**node.params, **{key: np.asarray(change(node[key])) for key, change in changes.items()}}
        return Graph({**graph.nodes, name: Node(node.kind, params)}, graph.edges)

    return export


def failing(status: Status, error_type: str, message: str = "no") -> Callable[..., Graph]:
    def export(network: Network, idiom: Idiom, stimulus: Array) -> Graph:
        raise RunFailed(str(status), error_type, message)

    return export


def test_each_network_is_asked_for_once_and_its_primitives_are_those_of_the_imports() -> None:
    assert len(SIMPLE) == len(ALL)
    assert {each.meant.primitive for each in ALL} < {case.primitive for case in cases()}


@each_network
def test_a_network_is_a_valid_graph_that_spikes_and_is_neither_silent_nor_constant(each: ExportCase) -> None:
    validate(each.meant.graph)
    assert each.meant.stimulus.shape[1] == SAMPLES
    output = each.meant.meant.output
    columns = output.reshape(-1, output.shape[-1])
    assert np.isfinite(columns).all()
    assert (columns.max(axis=0) > columns.min(axis=0)).all(), "an element of the output never changes"
    if is_counts(output):
        assert output.sum() >= 20


@each_network
def test_a_network_reaches_a_worker_as_it_was_asked_for(each: ExportCase) -> None:
    there = network_from(json.loads(json.dumps(document_of(each.network))))
    assert digest(from_nir(there.to_nir())) == digest(each.meant.graph)
    assert (there.dt, there.reset) == (each.network.dt, each.network.reset)


def test_a_faultless_exporter_is_exact_in_every_case() -> None:
    rows = exported_rows(faultless, ALL)
    assert len(rows) == len(ALL)
    assert {(row["direction"], row["status"], row["causes"]) for row in rows} == {("export", "exact", None)}


@pytest.mark.parametrize(
    ("primitive", "aspect", "export", "causes"),
    [
        ("Affine", "5 to 2", changing("fc", bias=np.zeros_like), "bias_lost"),
        ("LIF", "r = tau/dt", changing("cell", tau=lambda tau: 1.5 * tau), "tau_rewritten"),
        ("LIF", "r = tau/dt", changing("cell", tau=lambda tau: 1e3 * tau), "time_unit"),
        ("LIF", "r = tau/dt", changing("cell", r=np.ones_like), "parameter_lost"),
        ("LIF", "v_reset off its neutral value", changing("cell", v_reset=np.zeros_like), "parameter_lost"),
        ("Conv2d", "stride", changing("conv", weight=np.zeros_like, bias=np.zeros_like), "parameter_lost;bias_lost"),
    ],
)
def test_what_an_exporter_changed_is_wrong_and_has_its_cause(
    primitive: str, aspect: str, export: Callable[..., Graph], causes: str
) -> None:
    row = row_of(export, SIMPLE[primitive, aspect])
    assert (row["status"], {*row["causes"].split(";")}) == ("wrong", {*causes.split(";")})


def test_a_reset_that_nir_says_with_a_composition_is_lost_with_it() -> None:
    def hard(network: Network, idiom: Idiom, stimulus: Array) -> Graph:
        return from_nir(replace(network, reset=LIF.network.reset).to_nir())

    row = row_of(hard, SIMPLE["LIF", "reset by subtraction"])
    assert (row["status"], row["causes"]) == ("wrong", "reset_lost")


def test_a_neuron_that_is_not_written_is_dropped() -> None:
    def blind(network: Network, idiom: Idiom, stimulus: Array) -> Graph:
        graph = faultless(network, idiom, stimulus)
        nodes = {name: node for name, node in graph.nodes.items() if name != "cell"}
        return Graph(nodes, (("input", "fc"), ("fc", "output")))

    row = row_of(blind)
    assert (row["status"], row["causes"]) == ("dropped", "node_lost")


def test_parameters_in_single_precision_change_nothing() -> None:
    row = row_of(changing("cell", tau=lambda tau: np.float32(np.float32(DT) / (1 - np.float32(1 - DT / tau)))))
    assert row["status"] == "exact"


def test_there_is_no_row_where_the_library_has_no_module_and_one_where_the_other_idiom_has() -> None:
    assert exported_rows(failing(Status.REFUSED, "CannotBuild"), ALL) == []
    asked: list[Idiom] = []

    def tutorial_only(network: Network, idiom: Idiom, stimulus: Array) -> Graph:
        asked.append(idiom)
        if idiom is not Idiom.TUTORIAL:
            raise RunFailed(str(Status.REFUSED), "CannotBuild", "no such layer")
        return faultless(network, idiom, stimulus)

    assert row_of(tutorial_only)["status"] == "exact"
    assert row_of(tutorial_only, SIMPLE["LIF", "as a tutorial writes it"])["status"] == "exact"
    assert asked == [Idiom.WORKED_AROUND, Idiom.PORTABLE, Idiom.TUTORIAL, Idiom.TUTORIAL]


@pytest.mark.parametrize(
    ("status", "ends", "said"),
    [
        (Status.REFUSED, "refused", "NotImplementedError: no"),
        (Status.EXPORT_ERROR, "error", "export_error: NotImplementedError: no"),
        (Status.WRITE_ERROR, "error", "write_error: NotImplementedError: no"),
        (Status.RUN_ERROR, "error", "run_error: NotImplementedError: no"),
        (Status.TIMEOUT, "hang", "NotImplementedError: no"),
    ],
)
def test_an_exporter_that_gives_no_graph_is_quoted(status: Status, ends: str, said: str) -> None:
    row = row_of(failing(status, "NotImplementedError"))
    assert (row["status"], row["message"], row["causes"], row["outputs"]) == (ends, said, None, 0)


def test_a_graph_that_means_nothing_is_an_error_with_what_was_changed() -> None:
    row = row_of(changing("cell", r=lambda r: np.full_like(r, np.inf)))
    assert (row["status"], row["causes"]) == ("error", "parameter_lost")
    assert row["message"].startswith("read_error: InvalidGraph: LIF 'cell': r is infinite")

    def unreadable(network: Network, idiom: Idiom, stimulus: Array) -> Graph:
        raise InvalidGraph("LIF 'cell': has no tau")

    assert row_of(unreadable)["message"] == "read_error: InvalidGraph: LIF 'cell': has no tau"


def test_a_graph_with_the_batch_in_its_input_takes_no_sample() -> None:
    row = row_of(changing("input", shape=lambda shape: [1, *shape]), SIMPLE["Input", "1 dimension"])
    assert row["status"] == "error"
    assert row["message"].startswith("read_error: ")


@pytest.mark.parametrize(
    ("aspect", "axes"),
    [("dims 1 to 2", (6, 4)), ("dims 1 to -1", (24,)), ("dims -3 to 2", (6, 4)), ("dims -3 to 1", (2, 3, 4))],
)
def test_a_flatten_that_counts_its_dimensions_with_the_batch_is_recognised(aspect: str, axes: tuple[int, ...]) -> None:
    case = FLATTENS[aspect]

    def counting(graph: Graph, stimulus: Array, dt: float) -> Recording:
        return Recording({"output": stimulus.reshape(*stimulus.shape[:2], *axes)})

    (row,) = rows_of(counting, [case], lambda: Fingerprint("fake"))
    assert (row["status"], row["causes"]) == ("dropped" if axes == case.shape else "wrong", "flatten_batch")


def test_a_flatten_of_any_other_shape_is_not_taken_for_one_that_counts_the_batch() -> None:
    case = FLATTENS["dims 1 to 2"]
    turned, joined = case.stimulus.swapaxes(3, 4).reshape(30, 6, 6, 4), case.stimulus.reshape(30, 6, 24)
    for seen, causes in ((turned, "flatten_order"), (joined, "unexplained")):
        (row,) = rows_of(lambda *_, seen=seen: Recording({"output": seen}), [case], lambda: Fingerprint("fake"))
        assert (row["status"], row["causes"]) == ("wrong", causes)


def test_one_of_several_outputs_alone_is_a_node_that_was_left_out() -> None:
    (case,) = [case for case in cases() if case.primitive == "several Outputs"]
    for seen, causes in ((case.meant.outputs["b"], "node_dropped"), (case.meant.outputs["b"] + 1, "unexplained")):
        (row,) = rows_of(lambda *_, seen=seen: Recording({"output": seen}), [case], lambda: Fingerprint("fake"))
        assert (row["status"], row["causes"]) == ("wrong", causes)


def test_the_references_own_exporter_is_run_in_its_process() -> None:
    some = [SIMPLE[key] for key in (("Conv1d", "groups"), ("LIF", "reset by subtraction"), ("SumPool2d", "windows of 2"))]
    some += [each for (primitive, _), each in SIMPLE.items() if primitive in ("two-node cycle", "join at a neuron")]
    tutorial = SIMPLE["Affine", "as a tutorial writes it"]
    with (live := Exporting(backend("reference"))):
        rows = exported_rows(live.export, [*some, tutorial])
    assert len(rows) == len(some), "the reference has no tutorial"
    assert {row["status"] for row in rows} == {"exact"}


def test_a_librarys_own_exporter_is_quoted_where_it_fails_and_blamed_where_it_is_wrong() -> None:
    norse = installed("norse")
    wanted: Mapping[tuple[str, str], str] = {
        ("Affine", "5 to 2"): "exact",
        ("LIF", "r = 1"): "exact",
        ("CubaLIF", "r = tau/dt"): "wrong",
        ("Conv1d", "plain"): "error",
    }
    with (live := Exporting(norse)):
        rows = exported_rows(live.export, [SIMPLE[key] for key in wanted])
    assert [row["status"] for row in rows] == [*wanted.values()]
    assert rows[2]["causes"] == "parameter_lost"
    assert rows[3]["message"].startswith("write_error: AttributeError")


def test_rows_of_both_directions_stand_in_one_cell_of_the_page(tmp_path: Path) -> None:
    from nir_interop.report.primitives import NOTHING, Support, contradicts, page_lines

    support = Support.load()
    assert (support.claims("norse", "Conv1d"), support.claims("norse", "Conv1d", "export")) == (False, True)
    own = {"backend": "norse", "version": "1"}
    (imported,) = rows_of(lambda *_: LIF.meant.meant, [LIF.meant], lambda: Fingerprint("fake"))
    exported = [{**row_of(faultless), **own}, {**row_of(changing("cell", r=np.ones_like)), **own, "aspect": "other"}]
    imported |= own
    page = list(page_lines([imported, *exported], support))
    assert "| LIF | exact / 1 of 2 [1](#1) | yes / yes |" in page
    assert "- wrong (parameter_lost): other".replace("_", r"\_") in page
    assert f"| LIF | exact / {NOTHING} | yes / yes |" in list(page_lines([imported], support))
    assert contradicts(support, "norse", "LIF", exported[1:], "export"), "it says that Norse writes LIF"
    assert not contradicts(support, "norse", "CubaLI", [], "export"), "nothing was measured"
