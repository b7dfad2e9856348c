"""Tables: what fits is read back as it was written, what does not is refused in one line."""

from __future__ import annotations

import csv
import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nir_interop.errors import BadData
from nir_interop.schema import REPORT, SOURCES, TABLES, TIMINGS, Kind, read_table, write_table
from nir_interop.vocabulary import ADAPTERS_OWN, Against, Blame, Cause, Mode, Stage, Status

DESIGNED = [
    "cell_id",
    "graph_sha",
    "network",
    "idiom",
    "dataset",
    "exporter",
    "exporter_version",
    "importer",
    "importer_version",
    "mode",
    "against",
    "dt_export",
    "dt_import",
    "dt_effective",
    "steps",
    "batch",
    "seed",
    "stage",
    "status",
    "warned",
    "error_type",
    "error_message",
    "error_at",
    "blame",
    "causes",
    "explained",
    "known_issue",
    "spikes_source",
    "spikes_target",
    "outputs",
    "mismatched",
    "mismatch_rate",
    "first_step",
    "first_node",
    "best_lag",
    "raster_cosine",
    "rate_cosine",
    "van_rossum",
    "victor_purpura",
    "coincidence",
    "v_max_abs",
    "margin_min",
    "accuracy_source",
    "accuracy_target",
    "accuracy_delta",
    "agreement",
    "samples",
    "remedy",
    "forbidden",
    "repro",
]


def row(**changes):
    """The least a row of the report must say, and more."""
    least = {
        "cell_id": "c1",
        "network": "mlp_lif",
        "exporter": "norse",
        "mode": Mode.NATIVE,
        "against": Against.SOURCE,
        "status": Status.EXACT,
    }
    return least | changes


def written(tmp_path, *rows, schema=REPORT):
    path = tmp_path / schema.name
    write_table(path, rows, schema)
    return path


def test_the_report_has_the_columns_of_the_design_in_order():
    assert [column.name for column in REPORT.columns if not column.optional] == DESIGNED


def test_an_optional_column_is_in_a_file_that_has_something_in_it_and_in_every_frame(tmp_path):
    plain = written(tmp_path, row()).read_text()
    assert plain.splitlines()[0] == ",".join(DESIGNED)
    assert read_table(tmp_path / REPORT.name, REPORT)["importer_by"].isna().all()

    path = written(tmp_path, row(importer="brian2", importer_by=ADAPTERS_OWN), row(cell_id="c2", importer="norse"))
    header = path.read_text().splitlines()[0].split(",")
    assert [name for name in header if name not in DESIGNED] == ["importer_by"]
    assert header[header.index("importer_by") - 1] == "importer_version"
    frame = read_table(path, REPORT)
    assert list(frame.columns) == list(REPORT.names)
    assert dict(zip(frame["importer"], frame["importer_by"].fillna(""), strict=True)) == {"brian2": ADAPTERS_OWN, "norse": ""}

    path.write_text(path.read_text().replace("importer_version,importer_by", "importer_by,importer_version", 1))
    with pytest.raises(BadData, match="order"):
        read_table(path, REPORT)
    with pytest.raises(BadData, match="importer_by"):
        written(tmp_path, row(importer_by="mine"))


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_tables_are_sorted_by_columns_they_have_and_every_column_has_a_meaning(table):
    assert set(table.key) <= set(table.names)
    assert len(set(table.names)) == len(table.names)
    assert all(column.meaning for column in table.columns)


def test_a_full_row_is_read_back_with_its_types(tmp_path):
    full = row(
        idiom="portable",
        dt_import=1e-4,
        steps=np.int64(100),
        warned=np.bool_(True),
        stage=Stage.COMPARE,
        blame=Blame.IMPORTER,
        causes=f"{Cause.GAIN};{Cause.DECAY}",
        best_lag=-2,
        mismatch_rate=np.float64(1 / 3),
        v_max_abs=math.inf,
    )
    frame = read_table(written(tmp_path, full), REPORT)
    found = frame.iloc[0]
    assert found["status"] == "exact" and found["blame"] == "importer" and found["causes"] == "gain;decay"
    assert (found["steps"], found["best_lag"], found["dt_import"], found["v_max_abs"]) == (100, -2, 1e-4, math.inf)
    assert frame["warned"].tolist() == [True]
    assert found["mismatch_rate"] == 0.333333333
    assert found[["error_message", "remedy", "explained"]].isna().all()
    kinds = {kind: {str(frame[c.name].dtype) for c in REPORT.columns if c.kind is kind} for kind in Kind}
    assert kinds[Kind.INTEGER] == {"Int64"} and kinds[Kind.FLAG] == {"boolean"} and kinds[Kind.REAL] == {"float64"}


HOSTILE = [
    'say "no"',
    "two\nlines",
    "return\r\nand line",
    "\r",
    "a,b;c",
    "=cmd()",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "'quoted'",
    "''=1",
    "Ünïcödé · 神経",
    "NA",
    "None",
    "nan",
    "NULL",
    " padded ",
    "true",
    "007",
    "../<script>",
    "x" * 10_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_comes_back_as_it_was(tmp_path, text):
    frame = read_table(written(tmp_path, row(error_message=text, network=text)), REPORT)
    assert frame.loc[0, "error_message"] == text
    assert frame.loc[0, "network"] == text


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1))
@example(["\x1c", "\x85", "\u2028"])
def test_any_text_comes_back_as_it_was(tmp_path, texts):
    rows = [{"kind": "cell", "id": text, "seconds": n, "cached": False} for n, text in enumerate(texts)]
    found = read_table(written(tmp_path, *rows, schema=TIMINGS), TIMINGS).sort_values("seconds")
    assert list(found["id"]) == texts


def test_no_cell_begins_as_a_formula(tmp_path):
    path = written(tmp_path, *(row(cell_id=f"{n}{text}", network=text, error_message=text) for n, text in enumerate(HOSTILE)))
    with path.open(newline="", encoding="utf-8") as file:
        cells = [cell for line in csv.reader(file) for cell in line]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


@pytest.mark.parametrize("nothing", [None, "", float("nan"), pd.NA])
def test_nothing_is_an_empty_cell(tmp_path, nothing):
    frame = read_table(written(tmp_path, row(error_message=nothing)), REPORT)
    assert frame["error_message"].isna().all()


def test_what_utf8_cannot_hold_is_escaped(tmp_path):
    frame = read_table(written(tmp_path, row(network="a\udcffb\0c")), REPORT)
    assert frame.loc[0, "network"] == "a\\udcffb\\x00c"


def test_bytes_are_the_same_whatever_the_order_of_the_rows(tmp_path):
    rows = [row(cell_id=f"c{n}", network=f"n{n % 3}", dt_import=[None, 1e-3, 1e-4][n % 3], seed=n) for n in range(12)]
    first = written(tmp_path, *rows).read_bytes()
    assert written(tmp_path, *reversed(rows)).read_bytes() == first
    assert b"\r" not in first and first.endswith(b"\n")


def test_rows_are_sorted_by_number_where_the_column_is_a_number_and_empty_comes_first(tmp_path):
    rows = [row(cell_id=f"c{n}", dt_import=dt) for n, dt in enumerate([1e-3, 2e-5, None])]
    rows += [row(cell_id=f"s{seed}", dt_import=1.0, seed=seed) for seed in (10, 9)]
    assert list(read_table(written(tmp_path, *rows), REPORT)["cell_id"]) == ["c2", "c1", "c0", "s9", "s10"]


def test_what_is_read_can_be_written_again_to_the_same_bytes(tmp_path):
    path = written(tmp_path, row(network="=x", warned=False, steps=3, margin_min=1e-7), row(cell_id="c2"))
    before = path.read_bytes()
    write_table(path, read_table(path, REPORT).to_dict("records"), REPORT)
    assert path.read_bytes() == before


def test_a_table_without_rows_is_a_header(tmp_path):
    path = written(tmp_path)
    assert path.read_text().splitlines() == [",".join(DESIGNED)]
    assert len(read_table(path, REPORT)) == 0


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"status": "fine"}, "status"),
        ({"status": None}, "status"),
        ({"mode": "backwards"}, "mode"),
        ({"against": "me"}, "against"),
        ({"blame": "you"}, "blame"),
        ({"causes": "gain;bad_luck"}, "causes"),
        ({"mismatch_rate": 1.1}, "mismatch_rate"),
        ({"accuracy_target": -0.1}, "accuracy_target"),
        ({"dt_import": -1e-4}, "dt_import"),
        ({"steps": -1}, "steps"),
        ({"steps": 1.5}, "steps"),
        ({"steps": True}, "steps"),
        ({"warned": "true"}, "warned"),
        ({"warned": 1}, "warned"),
        ({"agreement": "all"}, "agreement"),
        ({"agreement": True}, "agreement"),
        ({"network": 3}, "network"),
        ({"network": ["a"]}, "network"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_in_one_line_and_the_old_table_stays(tmp_path, changes, said):
    path = written(tmp_path, row())
    before = path.read_bytes()
    with pytest.raises(BadData, match=said) as caught:
        write_table(path, [row(cell_id="c2"), row(**changes)], REPORT)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_two_rows_of_one_cell_are_refused(tmp_path):
    with pytest.raises(BadData, match="cell_id"):
        written(tmp_path, row(), row(seed=2))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text.replace("cell_id,", "id,", 1),
        lambda text: text.replace("cell_id,graph_sha", "graph_sha,cell_id", 1),
        lambda text: text.replace("network,", "", 1),
        lambda text: text.replace("forbidden,repro", "forbidden,repro,extra", 1),
        lambda text: text.rstrip("\n") + ",more\n",
        lambda text: text + "\n",
        lambda text: text.replace("exact", "excellent"),
        lambda text: text.replace("c1", '"c1'),
        lambda text: text[: len(text) - 10],
        lambda text: "\x89PNG\r\n\x1a\n" + text,
    ],
)
def test_a_wrong_table_is_refused_in_one_line(tmp_path, spoil):
    path = written(tmp_path, row())
    path.write_text(spoil(path.read_text()), newline="")
    with pytest.raises(BadData) as caught:
        read_table(path, REPORT)
    assert REPORT.name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("number", ["9" * 40, str(2**63), str(-(2**63) - 1)])
def test_a_number_of_more_than_64_bits_is_refused_in_one_line(tmp_path, number):
    path = written(tmp_path, row())
    with path.open(newline="") as file:
        header, cells = csv.reader(file)
    cells[header.index("outputs")] = number
    path.write_text(",".join(header) + "\n" + ",".join(f'"{each}"' for each in cells) + "\n")
    with pytest.raises(BadData, match="row 1: outputs takes integer, not"):
        read_table(path, REPORT)


def test_a_missing_or_binary_file_is_refused(tmp_path):
    with pytest.raises(BadData, match="cannot be read"):
        read_table(tmp_path / "none.csv", REPORT)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadData, match="cannot be read"):
        read_table(tmp_path / "binary.csv", REPORT)


def test_sources_and_timings_are_written_and_read(tmp_path):
    source = {
        "source_id": "s1",
        "network": "mlp_lif",
        "exporter": "norse",
        "status": "exact",
        "trained": True,
        "accuracy": 0.96,
    }
    frame = read_table(written(tmp_path, source, schema=SOURCES), SOURCES)
    assert frame.loc[0, "accuracy"] == 0.96 and bool(frame.loc[0, "trained"])
    timing = {"kind": "cell", "id": "c1", "seconds": 0.25, "cached": False}
    frame = read_table(written(tmp_path, timing, schema=TIMINGS), TIMINGS)
    assert frame.loc[0, "seconds"] == 0.25 and not frame.loc[0, "cached"]
    with pytest.raises(BadData, match="kind"):
        written(tmp_path, timing | {"kind": "else"}, schema=TIMINGS)


def test_the_lists_of_columns_come_without_pandas():
    probe = "import sys, nir_interop.schema; sys.exit(bool({'pandas', 'pandera', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
