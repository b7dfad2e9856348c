"""Two runs held against each other: what counts as worse, on one machine and on two, and how it is said."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nir_interop.errors import BadInput, UnknownName
from nir_interop.report.diff import (
    FEW,
    KINDS,
    SavedRun,
    badness,
    compare,
    ended,
    few_lines,
    in_place,
    paragraphs,
    read_run,
    without,
)
from nir_interop.schema import REPORT, write_table
from nir_interop.vocabulary import Status
from tests.cli.test_cli import run

HERE = {"platform": "Linux-6", "machine": "x86_64", "cpus": 2, "python": "3.11.7"}
ELSEWHERE = HERE | {"platform": "Linux-5"}


def row(cell_id: str = "", **values: Any) -> dict[str, Any]:
    """A row of report.csv; an exact native cell of norse and snntorch unless said otherwise."""
    found: dict[str, Any] = dict.fromkeys(REPORT.names)
    found |= {
        "network": "mlp_if", "idiom": "portable", "exporter": "norse", "exporter_version": "1.1.0", "importer": "snntorch",
        "importer_version": "1.0.0", "mode": "native", "against": "source", "dt_export": 1e-4, "dt_import": 1e-4, "seed": 0,
        "status": "exact", "warned": False, "blame": "none", "outputs": 100, "mismatched": 0, "mismatch_rate": 0.0,
    }  # fmt: skip
    found |= values
    target = f">{found['importer']}@0.0001" if found["importer"] else ""
    named = f"{found['network']}.{found['idiom']}.{found['exporter']}@0.0001{target}.{found['mode']}.0"
    return found | {"cell_id": cell_id or named}


def differs(rate: float = 0.5, *, warned: bool = False, **values: Any) -> dict[str, Any]:
    """A mismatch."""
    return row(status="mismatch", mismatch_rate=rate, mismatched=round(rate * 100), blame="importer", warned=warned, **values)


def without_graph(**values: Any) -> dict[str, Any]:
    """The one cell of a failed export."""
    none = dict.fromkeys(("importer", "importer_version", "dt_import", "outputs", "mismatched", "mismatch_rate"))
    return row(**none | {"status": "export_error", "error_type": "KeyError", "blame": "exporter"} | values)


def a_run(*rows: Mapping[str, Any], environment: Mapping[str, Any] = HERE) -> SavedRun:
    return SavedRun(Path("report.csv"), rows, environment)


def kinds(old: SavedRun, new: SavedRun) -> dict[str, str]:
    return {change.cell_id: change.kind for change in compare(old, new).changes}


def folder_with(path: Path, *rows: Mapping[str, Any], environment: Mapping[str, Any] | None = HERE) -> Path:
    write_table(path / "report.csv", [dict(each) for each in rows], REPORT)
    if environment is not None:
        (path / "environment.json").write_text(json.dumps(environment))
    return path


def test_outcomes_from_best_to_worst_are_those_of_the_docstring() -> None:
    ordered = [
        row(), row(status="rounding"), row(status="vacuous"), row(status="refused", warned=True), row(status="import_error"),
        row(status="crash"), row(status="wrong_shape", warned=True), differs(warned=True), row(status="unstable", warned=True),
        row(status="wrong_shape"), differs(), row(status="unstable"),
    ]  # fmt: skip
    found = [badness(each) for each in ordered]
    assert found == sorted(set(found))
    for better, worse in itertools.combinations(ordered, 2):
        assert compare(a_run(better), a_run(worse)).of("worse"), (better["status"], worse["status"])
        assert compare(a_run(worse), a_run(better)).of("better"), (worse["status"], better["status"])


def test_continuous_time_is_no_library_and_never_silent() -> None:
    yardstick = differs(importer="exact")
    assert badness(yardstick) == badness(differs(importer="exact", warned=True)) < badness(differs())
    assert "silence" not in ended(yardstick)
    assert "silence" in ended(differs())


def test_every_status_has_a_place() -> None:
    assert {str(status): badness(row(status=str(status)))[0] for status in Status} == {
        "exact": 0, "rounding": 1, "vacuous": 2, "refused": 3, "export_error": 4, "write_error": 4, "read_error": 4,
        "import_error": 4, "run_error": 4, "env_missing": 4, "timeout": 5, "crash": 5, "mismatch": 6, "unstable": 6,
        "wrong_shape": 6,
    }  # fmt: skip


def test_one_error_is_as_bad_as_another_and_is_told_as_changed() -> None:
    found = compare(a_run(row(status="import_error", error_type="KeyError")), a_run(row(status="run_error")))
    (change,) = found.changes
    assert change.kind == "changed"
    assert change.columns == ("status", "error_type")


def test_within_mismatch_a_lower_rate_is_better() -> None:
    assert set(kinds(a_run(differs(0.5)), a_run(differs(0.4999999))).values()) == {"better"}
    assert set(kinds(a_run(differs(0.5)), a_run(differs(0.5000001))).values()) == {"worse"}


def test_a_warning_that_is_gone_makes_a_wrong_answer_worse_even_at_a_lower_rate() -> None:
    assert set(kinds(a_run(differs(0.9, warned=True)), a_run(differs(0.1))).values()) == {"worse"}


def test_a_rate_may_move_between_machines_as_far_as_rounding_is_seen_to_and_on_one_machine_not_at_all() -> None:
    proven = row(importer="spikingjelly", status="rounding", mismatched=1, mismatch_rate=0.003)
    old, new = (a_run(differs(0.5), proven), a_run(differs(0.504), proven, environment=ELSEWHERE))
    (cell,) = {each["cell_id"] for each in (differs(0.5),)}
    assert kinds(old, a_run(differs(0.504), proven))[cell] == "worse"
    found = compare(old, new)
    assert {change.cell_id: change.kind for change in found.changes}[cell] == "same"
    assert found.rounding == {"mlp_if": pytest.approx(0.006)}
    assert [change.cell_id for change in found.rounded()] == [cell]
    assert any(
        line == f"rounding: {cell}: mismatch_rate" or line.startswith(f"rounding: {cell}: ") for line in few_lines(found)
    )
    beyond = a_run(differs(0.51), proven, environment=ELSEWHERE)
    assert kinds(old, beyond)[cell] == "worse"
    # Of another network, rounding says nothing.
    elsewhere = proven | {"network": "rlif", "cell_id": "x"}
    assert kinds(a_run(differs(0.5), elsewhere), a_run(differs(0.504), elsewhere, environment=ELSEWHERE))[cell] == "worse"


def test_digits_that_single_precision_does_not_have_are_named_between_machines_and_no_change() -> None:
    old, new = row(v_max_abs=30.8376224), row(v_max_abs=30.8376186)
    assert set(kinds(a_run(old), a_run(new)).values()) == {"changed"}
    found = compare(a_run(old), a_run(new, environment=ELSEWHERE))
    assert {change.kind for change in found.changes} == {"same"}
    assert [change.rounded for change in found.rounded()] == [("v_max_abs",)]
    (line,) = few_lines(found)
    assert line == f"rounding: {old['cell_id']}: v_max_abs"
    assert set(kinds(a_run(old), a_run(row(v_max_abs=30.8377), environment=ELSEWHERE)).values()) == {"changed"}


def test_machines_that_are_not_known_are_not_one() -> None:
    assert not compare(a_run(row(), environment={}), a_run(row(), environment={})).same_machine


def test_a_machine_is_another_where_its_processor_is_and_a_run_that_does_not_know_it_says_nothing() -> None:
    known = HERE | {"cpu": "A 1", "cores": 2, "memory_gib": 8}
    for environment, same in ((known, True), (HERE, True), (known | {"cpu": "B 2"}, False)):
        assert compare(a_run(row(), environment=known), a_run(row(), environment=environment)).same_machine is same


def test_rounding_is_as_good_as_exact_between_machines_only() -> None:
    rounding = row(status="rounding", mismatched=1, mismatch_rate=0.0001)
    assert set(kinds(a_run(row()), a_run(rounding)).values()) == {"worse"}
    assert not compare(a_run(row()), a_run(rounding, environment=ELSEWHERE)).of("worse")


def weights(sha: str, *, shipped: bool = False, network: str = "mlp_lif") -> dict[str, Any]:
    return {"weights": {network: {"norse": {"sha256": sha, "shipped": shipped}}}}


def test_other_weights_are_said_and_make_no_rate_worse_but_a_status() -> None:
    learned = {"network": "mlp_lif"}
    old = a_run(differs(0.2, graph_sha="a" * 64, accuracy_source=0.9, **learned), environment=HERE | weights("a", shipped=True))
    new = differs(0.7, graph_sha="b" * 64, accuracy_source=0.8, **learned)
    for environment in (HERE, ELSEWHERE):
        found = compare(old, a_run(new, environment=environment | weights("b")))
        assert found.other_weights == {("mlp_lif", "norse")}
        assert {change.kind for change in found.changes} == {"same"}
        assert "other weights: mlp_lif in norse; what is made of them is worse by its status alone" in list(few_lines(found))
        assert any(line.startswith("other weights: mlp_lif in norse") for line in paragraphs(found))
        crashed = row(status="crash", graph_sha="b" * 64, **learned)
        assert set(kinds(a_run(row(**learned), environment=HERE | weights("a")), a_run(crashed, environment=environment | weights("b"))).values()) == {"worse"}  # fmt: skip # noqa: E501
    same = compare(old, a_run(new, environment=HERE | weights("a", shipped=True)))
    assert {change.kind for change in same.changes} == {"worse"}
    assert not same.other_weights


def test_where_nobody_wrote_down_the_weights_graphs_tell_of_what_is_trained_and_of_nothing_else() -> None:
    trained = (row(network="mlp_lif", graph_sha="a" * 64), row(network="mlp_lif", graph_sha="b" * 64))
    fixed = (row(graph_sha="a" * 64), row(graph_sha="b" * 64))
    for (old, new), other in ((trained, {("mlp_lif", "norse")}), (fixed, set())):
        found = compare(a_run(old), a_run(new, environment=ELSEWHERE))
        assert found.other_weights == other
        assert {change.kind for change in found.changes} == {"same" if other else "changed"}
        assert set(kinds(a_run(old), a_run(new)).values()) == {"changed"}


def test_another_version_alone_is_no_change_and_is_named() -> None:
    found = compare(a_run(row()), a_run(row(exporter_version="1.2.0")))
    assert {change.kind for change in found.changes} == {"same"}
    assert found.versions == {"norse": ("1.1.0", "1.2.0")}


def test_cells_of_one_side_are_new_or_gone_by_mode() -> None:
    old = a_run(row(), row(importer="spikingjelly"))
    new = a_run(row(), differs(importer="exact", mode="reconciled"))
    counts = compare(old, new).counts()
    assert {kind: count for kind, count in counts["native"].items() if count} == {"gone": 1, "same": 1}
    assert {kind: count for kind, count in counts["reconciled"].items() if count} == {"new": 1}


def test_an_exporter_that_broke_makes_each_of_its_cells_worse_and_one_that_was_mended_better() -> None:
    cells = [row(importer="snntorch"), row(importer="spikingjelly")]
    broke = kinds(a_run(*cells), a_run(without_graph()))
    assert broke == {each["cell_id"]: "worse" for each in cells}
    mended = kinds(a_run(without_graph()), a_run(*cells))
    assert mended == {each["cell_id"]: "better" for each in cells}
    assert kinds(a_run(without_graph()), a_run(without_graph())) == {without_graph()["cell_id"]: "same"}
    assert kinds(a_run(), a_run(without_graph())) == {without_graph()["cell_id"]: "new"}


def test_a_library_that_is_not_installed_is_absent_not_worse(tmp_path: Path) -> None:
    old, new = folder_with(tmp_path / "old", row()), folder_with(tmp_path / "new", row(status="env_missing"))
    assert [change.kind for change in compare(read_run(old), read_run(new)).changes] == ["gone"]


ROWS = st.builds(
    lambda status, warned, rate, importer, mode: row(
        status=status, warned=warned, importer=importer, mode=mode, mismatch_rate=rate if status == "mismatch" else None
    ),
    st.sampled_from([str(status) for status in Status if status is not Status.ENV_MISSING]),
    st.booleans(),
    st.floats(0.01, 1),
    st.sampled_from(["snntorch", "norse", "exact"]),
    st.sampled_from(["native", "reconciled"]),
)
RUNS = st.lists(ROWS, max_size=6, unique_by=lambda each: each["cell_id"])


@given(RUNS, RUNS, st.sampled_from([HERE, ELSEWHERE]))
def test_the_other_way_round_worse_is_better_and_new_is_gone(
    old: list[dict[str, Any]], new: list[dict[str, Any]], where: dict[str, Any]
) -> None:
    there, back = kinds(a_run(*old), a_run(*new, environment=where)), kinds(a_run(*new, environment=where), a_run(*old))
    turned = {"worse": "better", "better": "worse", "new": "gone", "gone": "new"}
    assert back == {cell: turned.get(kind, kind) for cell, kind in there.items()}
    assert set(kinds(a_run(*old), a_run(*old)).values()) <= {"same"}
    assert set(there) == {each["cell_id"] for each in (*old, *new)}


def test_a_written_report_reads_back_and_nothing_has_changed(tmp_path: Path) -> None:
    found = read_run(folder_with(tmp_path, differs(1 / 3), without_graph(), row(mode="reconciled")))
    assert len(found.rows) == 3
    assert found.versions == {"norse": "1.1.0", "snntorch": "1.0.0"}
    assert {change.kind for change in compare(found, found).changes} == {"same"}
    assert list(few_lines(compare(found, found))) == []
    json.dumps(compare(found, found).as_dict(), allow_nan=False)


def test_the_worst_comes_first_and_a_run_of_the_matrix_names_a_few() -> None:
    importers = [f"library{number}" for number in range(FEW + 2)]
    new = [differs(0.1 * number + 0.1, importer=name, warned=number < 3) for number, name in enumerate(importers)]
    found = compare(a_run(*(row(importer=name) for name in importers)), a_run(*new))
    rates = [(change.new or {})["mismatch_rate"] for change in found.of("worse")]
    assert rates == pytest.approx([0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
    lines = list(few_lines(found))
    assert lines[0] == f"since the last report: {FEW + 2} worse"
    assert lines[1].endswith("exact → mismatch 70.00%, in silence")
    assert lines[-1] == "worse: and 2 more"
    assert sum(line.startswith("worse: mlp_if") for line in paragraphs(found)) == FEW + 2


def test_diff_exits_1_where_something_got_worse_and_0_where_nothing_did(tmp_path: Path) -> None:
    before, after = ({"importer": "norse", "importer_version": version} for version in ("1.1.0", "1.2.0"))
    old = folder_with(tmp_path / "old", row(), differs(0.25, **before))
    new = folder_with(tmp_path / "new", *(each | {"exporter_version": "1.2.0"} for each in (differs(0.5), row(**after))))
    worse = run("diff", str(old), str(new / "report.csv"))
    assert worse.returncode == 1, worse.stderr
    assert worse.stdout.splitlines() == [
        f"old: {old / 'report.csv'}, 2 cells",
        f"new: {new / 'report.csv'}, 2 cells",
        "versions: norse 1.1.0 → 1.2.0",
        "native: 1 worse, 1 better, 0 changed, 0 new, 0 gone, 0 same",
        "worse: mlp_if.portable.norse@0.0001>snntorch@0.0001.native.0: exact → mismatch 50.00%, in silence",
        "better: mlp_if.portable.norse@0.0001>norse@0.0001.native.0: mismatch 25.00%, in silence → exact",
    ]
    quiet = run("diff", str(old), str(new), "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (1, "", "")
    same = run("diff", str(old), str(old), "--json")
    assert same.returncode == 0, same.stderr
    document = json.loads(same.stdout)
    assert document["same_machine"] is True
    assert document["counts"]["native"] == dict.fromkeys(KINDS, 0) | {"same": 2}
    assert all(document["cells"][kind] == [] for kind in KINDS if kind != "same")


def test_a_candidate_beside_the_installed_version_is_held_against_it() -> None:
    rc = "norse==1.2rc1"
    both = a_run(
        row(), row(importer="norse"), row(exporter="exact", importer="snntorch"), row(importer=rc),
        differs(exporter=rc, exporter_version="1.2rc1"), row(exporter=rc, importer=rc), row(exporter=rc, importer="norse"),
    )  # fmt: skip
    found = compare(without(both, rc), in_place(both, rc))
    assert {change.cell_id: change.kind for change in found.changes} == {
        "mlp_if.portable.norse@0.0001>snntorch@0.0001.native.0": "worse",
        "mlp_if.portable.norse@0.0001>norse@0.0001.native.0": "same",
        "mlp_if.portable.exact@0.0001>snntorch@0.0001.native.0": "same",
    }
    learned = {"weights": {"mlp_lif": {"norse": {"sha256": "a", "shipped": True}, rc: {"sha256": "b", "shipped": False}}}}
    trained = a_run(row(network="mlp_lif"), row(network="mlp_lif", exporter=rc), environment=HERE | learned)
    assert compare(without(trained, rc), in_place(trained, rc)).other_weights == {("mlp_lif", "norse")}
    for name in ("norse", "norse==9"):
        with pytest.raises(UnknownName, match=r"it has norse==1\.2rc1"):
            in_place(both, name)


def test_what_is_no_report_is_one_line_that_names_it(tmp_path: Path) -> None:
    good = folder_with(tmp_path / "good", row())
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "old.csv").write_text((good / "report.csv").read_text().replace(",forbidden,", ",", 1))
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00cell_id")
    broken = folder_with(tmp_path / "broken", row())
    (broken / "environment.json").write_text("{")
    for name, said in {
        "missing": "there is no such file or folder", "empty": "holds no report.csv", "other.csv": "is no report.csv",
        "old.csv": "lacks forbidden", "binary.csv": "cannot be read", "broken": "environment.json",
    }.items():  # fmt: skip
        with pytest.raises(BadInput, match=said) as caught:
            read_run(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)
    done = run("diff", str(good), str(tmp_path / "missing"))
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
