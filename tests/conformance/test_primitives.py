"""The primitive table: its cases mean something, and outcomes are measured."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from nir_interop.compare.rasters import is_counts
from nir_interop.conformance.primitives import PrimitiveCase, cases, judge, rows_of, write_vectors
from nir_interop.conformance.primitives.cases import SAMPLES, bypassed
from nir_interop.errors import BadInput, RunFailed
from nir_interop.fingerprint import Fingerprint
from nir_interop.graphs import NEURONS, Array, Graph, digest, read, validate, write
from nir_interop.graphs.primitives import PARAMETERS
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.report.primitives import Support, contradicts, page_lines, summary, write_primitives
from nir_interop.schema import PRIMITIVES, read_table
from nir_interop.vocabulary import PrimitiveStatus, Status

ALL = cases()
WIRING = {"NIRGraph", "self-loop", "two-node cycle", "longer cycle", "join at a neuron", "join at Output", "several Outputs"}
SIMPLE = {(case.primitive, case.aspect): case for case in ALL}
SCALED = SIMPLE["Scale", "alone"]
LIF = SIMPLE["LIF", "r = tau/dt"]


def each_case(test: object) -> object:
    return pytest.mark.parametrize("case", ALL, ids=[case.slug for case in ALL])(test)  # type: ignore[arg-type]


def nothing_known() -> Fingerprint:
    return Fingerprint("fake")


def row_of(case: PrimitiveCase, status: str = "exact", **changes: object) -> dict[str, object]:
    (row,) = rows_of(simulate, [case], nothing_known)
    return {**row, "backend": "norse", "version": "1", "status": status, **changes}


def test_every_primitive_and_every_wiring_has_cases_of_its_own_name() -> None:
    assert {case.primitive for case in ALL} == {*PARAMETERS, *WIRING}
    assert len({case.slug for case in ALL}) == len(ALL) == len(SIMPLE)
    assert all(re.fullmatch(r"[a-z0-9.-]+", case.slug) for case in ALL)


def test_cases_that_may_hang_a_library_come_last() -> None:
    late = [case.late for case in ALL]
    assert any(late)
    assert late == sorted(late)


@each_case
def test_a_case_is_a_valid_graph_that_is_read_back_as_it_was_written(case: PrimitiveCase, tmp_path: Path) -> None:
    validate(case.graph)
    path = tmp_path / "graph.nir"
    write(path, case.graph)
    assert digest(read(path)) == digest(case.graph)


@each_case
def test_the_meaning_of_a_case_is_neither_silent_nor_constant(case: PrimitiveCase) -> None:
    assert case.stimulus.shape[1] == SAMPLES
    output = case.meant.output
    columns = output.reshape(-1, output.shape[-1])
    assert np.isfinite(columns).all()
    assert (columns.max(axis=0) > columns.min(axis=0)).all(), "an element of the output never changes"
    if is_counts(output):
        assert output.sum() >= 20
        assert output.mean() <= 0.75


@each_case
def test_the_reference_computes_every_case_exactly(case: PrimitiveCase) -> None:
    found = judge(simulate, case, repeats=1)
    assert (found.outcome, found.mismatched, found.message) == (PrimitiveStatus.EXACT, 0, "")
    assert found.outputs == case.meant.output.size


@each_case
def test_a_primitive_that_is_left_out_is_noticed(case: PrimitiveCase) -> None:
    graph = bypassed(case.graph, case.primitive)
    left = case.without()
    if left is None:
        return
    found = judge(lambda *_: left, case)
    assert graph is not None
    assert found.outcome is PrimitiveStatus.DROPPED, "leaving it out looks like running it"


def test_scales_and_neurons_can_be_told_from_being_left_out() -> None:
    judged = [case for case in ALL if case.primitive in ("Scale", "Threshold", "Delay", "Flatten", *NEURONS)]
    assert len(judged) > 100
    assert all(case.without() is not None for case in judged if "layer" not in case.aspect)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (Status.REFUSED, PrimitiveStatus.REFUSED),
        (Status.TIMEOUT, PrimitiveStatus.HANG),
        (Status.CRASH, PrimitiveStatus.ERROR),
        (Status.IMPORT_ERROR, PrimitiveStatus.ERROR),
        (Status.READ_ERROR, PrimitiveStatus.UNREADABLE),
        (Status.RUN_ERROR, PrimitiveStatus.ERROR),
    ],
)
def test_an_end_without_a_recording_is_named_with_the_librarys_words(status: Status, outcome: PrimitiveStatus) -> None:
    def ends(graph: Graph, stimulus: Array, dt: float) -> Recording:
        raise RunFailed(str(status), "ValueError", "no such node")

    (row,) = rows_of(ends, [SCALED], nothing_known)
    said = f"{status}: ValueError: no such node" if outcome is PrimitiveStatus.ERROR else "ValueError: no such node"
    causes = "unreadable" if outcome is PrimitiveStatus.UNREADABLE else None
    assert (row["status"], row["message"], row["causes"]) == (str(outcome), said, causes)
    assert (row["outputs"], row["mismatched"]) == (0, 0)


def test_values_in_single_precision_are_rounding_and_ten_times_as_far_off_is_wrong() -> None:
    case = SIMPLE["Affine", "two in a row"]
    meant = case.meant.outputs["output"]
    largest = np.abs(meant).max()

    def off(by: float) -> PrimitiveStatus:
        return judge(lambda *_: Recording({"output": meant + by * largest}), case).outcome

    assert off(0.0) is PrimitiveStatus.EXACT
    assert off(1e-6) is PrimitiveStatus.ROUNDING
    assert off(1e-5) is PrimitiveStatus.WRONG
    assert off(np.nan) is PrimitiveStatus.WRONG


def test_a_single_spike_that_is_missing_is_wrong_and_has_a_cause() -> None:
    spikes = LIF.meant.outputs["output"].copy()
    spikes[tuple(np.argwhere(spikes)[0])] = 0
    (row,) = rows_of(lambda *_: Recording({"output": spikes}), [LIF], nothing_known)
    assert (row["status"], row["mismatched"], row["causes"]) == ("wrong", 1, "unexplained")


def test_wrong_outputs_get_the_cause_that_the_importers_rule_gives() -> None:
    def ignores_r(graph: Graph, stimulus: Array, dt: float) -> Recording:
        return simulate(graph, stimulus, dt, known.by_primitive())

    from nir_interop.fingerprint import Domain, Identified
    from nir_interop.rule import NIR_MEANING, Use

    known = Fingerprint("fake", rules=Domain({"LIF": Identified(NIR_MEANING.but(resistance=Use.IGNORED))}))
    (row,) = rows_of(ignores_r, [LIF], lambda: known)
    assert (row["status"], row["causes"]) == ("wrong", "resistance_ignored")


def test_a_case_whose_outcome_depends_on_chance_is_unstable_and_one_of_a_single_node_is_run_once() -> None:
    seen: list[Graph] = []

    def now_and_then(graph: Graph, stimulus: Array, dt: float) -> Recording:
        seen.append(graph)
        if len(seen) == 4:
            raise RunFailed(str(Status.RUN_ERROR), "RuntimeError", "shapes")
        return simulate(graph, stimulus, dt)

    assert judge(now_and_then, SCALED).outcome is PrimitiveStatus.EXACT
    assert len(seen) == 1
    found = judge(now_and_then, SIMPLE["Scale", "between two layers"])
    assert (found.outcome, found.mismatched) == (PrimitiveStatus.UNSTABLE, 0)
    assert len(seen) == 4, "the question is settled"


def test_an_output_of_another_shape_is_wrong_and_says_both_shapes() -> None:
    (row,) = rows_of(lambda *_: Recording({"output": np.ones((30, 6, 5))}), [SCALED], nothing_known)
    assert (row["status"], row["outputs"], row["message"]) == ("wrong", 0, "outputs of axes 30×6×5 for 30×6×3")


def test_outputs_under_other_names_are_not_taken_for_those_that_were_meant() -> None:
    case = SIMPLE["several Outputs", "of two layers"]
    a, b = case.meant.outputs["a"], case.meant.outputs["b"]
    assert judge(lambda *_: Recording({"a": a, "b": b}), case).outcome is PrimitiveStatus.EXACT
    assert judge(lambda *_: Recording({"x": a, "y": b}), case).outcome is PrimitiveStatus.WRONG
    assert judge(lambda *_: Recording({"a": b, "b": a}), case).outcome is PrimitiveStatus.WRONG
    assert judge(lambda *_: Recording({"a": a}), case).outcome is PrimitiveStatus.WRONG


def test_the_vectors_are_the_same_bytes_twice_and_hold_what_the_index_says(tmp_path: Path) -> None:
    some = (LIF, SCALED, SIMPLE["several Outputs", "of two layers"], SIMPLE["Conv2d", "stride"])
    first, second = write_vectors(tmp_path / "one", some), write_vectors(tmp_path / "two", some)
    assert [path.name for path in first] == [path.name for path in second]
    assert all(one.read_bytes() == other.read_bytes() for one, other in zip(first, second, strict=True))
    index = json.loads(first[-1].read_text())
    assert index["suite"] == "1"
    for entry in index["cases"]:
        case = SIMPLE[entry["primitive"], entry["aspect"]]
        assert digest(read(tmp_path / "one" / entry["graph"])) == entry["graph_sha"] == digest(case.graph)
        with np.load(tmp_path / "one" / entry["data"], allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        assert {name: list(array.shape) for name, array in arrays.items()} == {
            name: said["shape"] for name, said in entry["arrays"].items()
        }
        assert np.array_equal(arrays["input"], case.stimulus)
    arrays = dict(np.load(tmp_path / "one" / f"{LIF.slug}.npz"))
    assert np.array_equal(arrays["expected"], simulate(LIF.graph, LIF.stimulus, LIF.dt).output)
    assert arrays["exact"].shape == arrays["expected"].shape
    assert {*np.load(tmp_path / "one" / "several-outputs-of-two-layers.npz").files} == {"input", "expected.a", "expected.b"}


def test_vectors_are_not_written_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInput, match="takes a folder"):
        write_vectors(tmp_path / "file", (LIF,))
    assert (tmp_path / "file").read_text() == "mine"


def test_a_summary_is_one_word_where_all_aspects_end_alike_and_a_count_where_not() -> None:
    ends = {name: row_of(LIF, name) for name in ("exact", "rounding", "refused", "wrong")}
    assert summary([ends["exact"]] * 2) == "exact"
    assert summary([ends["exact"], ends["rounding"]]) == "right"
    assert summary([ends["refused"]] * 3) == "refused"
    assert summary([ends["exact"], ends["rounding"], ends["wrong"]]) == "2 of 3"
    assert summary([]) == "—"


def test_the_page_marks_where_the_documentation_is_contradicted() -> None:
    support = Support.load()
    lif, li = row_of(LIF), row_of(SIMPLE["LI", "r = 1"], "error", message="no *such* node")
    assert not contradicts(support, "norse", "LIF", [lif])
    assert contradicts(support, "norse", "LI", [li]), "it says that Norse reads LI"
    assert not contradicts(support, "norse", "self-loop", [lif]), "it says nothing of wiring"
    page = list(page_lines([lif, li], support))
    assert "| LIF | exact / — | yes / yes |" in page
    assert "| LI | error [1](#1) / — | yes **≠** / yes |" in page
    assert r"- error (no \*such\* node): r = 1" in page


def test_the_table_and_the_page_do_not_depend_on_the_order_of_the_rows(tmp_path: Path) -> None:
    rows = [row_of(LIF), row_of(SIMPLE["LI", "r = 1"], "wrong", causes="gain"), row_of(SCALED, backend="reference")]
    one, other = write_primitives(rows, tmp_path / "one"), write_primitives(rows[::-1], tmp_path / "two")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    table = read_table(one[0], PRIMITIVES)
    assert list(table["primitive"]) == ["LI", "LIF", "Scale"]
    assert list(table["direction"]) == ["import"] * 3
