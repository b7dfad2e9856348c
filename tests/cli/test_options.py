"""Options that no run can be made of: one line, exit 2, at once, and nothing is written or started."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from nir_interop.cli import main
from nir_interop.errors import BadInput
from nir_interop.graphs import Graph, Node, write
from nir_interop.interface.places import check_file, check_folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a graph, an input and places of all kinds; a worker that is started fails the test."""

    def fail(*arguments: object, **more: object) -> None:
        pytest.fail("a process was started")

    monkeypatch.setattr("nir_interop.workers.scheduler.Worker.__init__", fail)
    monkeypatch.chdir(tmp_path)
    port = {"shape": np.array([2])}
    nodes = {"input": Node("Input", port), "scale": Node("Scale", {"scale": np.array(2.0)}), "output": Node("Output", port)}
    write(Path("g.nir"), Graph(nodes, (("input", "scale"), ("scale", "output"))))
    np.savez("in.npz", input=np.ones((4, 1, 2), np.float32), output=np.ones((4, 1, 2), np.float32))
    Path("file").write_text("x")
    Path("folder").mkdir()
    os.mkfifo("fifo")
    Path("dangling").symlink_to("nowhere")
    return tmp_path


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is said on stderr, one line of what a terminal shows."""
    there = sorted(os.listdir())
    monkeypatch.setattr(sys, "argv", ["nir-interop", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, ""), (arguments, said.err)
    assert said.err.startswith("nir-interop: ")
    assert said.err.endswith("\n")
    assert said.err[:-1].isprintable(), said.err
    assert sorted(os.listdir()) == there
    return said.err


CHECK = ("check", "g.nir", "--backend", "reference")
EXPLAIN = ("explain", "g.nir", "--backend", "reference")
RECONCILE = ("reconcile", "g.nir", "--to", "reference", "-o", "o.nir")
MATRIX = ("matrix", "--network", "lif_single")
REPRO = ("repro", "lif_single.tutorial.reference@0.0001>reference@0.0001.native.0")
ESCAPES = "a\x1b[2Jb\nc"
LONG = "x" * 300
NO_FILES = ["file", "folder", "fifo", "/dev/null", "/dev/zero", "dangling", LONG, "", ESCAPES]


@pytest.mark.parametrize("verb", [CHECK, EXPLAIN, RECONCILE, MATRIX, REPRO], ids=lambda verb: verb[0])
@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e300", "-1", "0", "", "soon", ESCAPES])
def test_a_time_limit_that_is_none_is_refused(
    verb: tuple[str, ...], value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--time-limit" in refused(monkeypatch, capsys, *verb, f"--time-limit={value}")


@pytest.mark.parametrize(
    "verb", [CHECK, EXPLAIN, RECONCILE, MATRIX, ("sweep",), ("experiment", "csnn_mnist")], ids=lambda verb: verb[0]
)
@pytest.mark.parametrize("value", ["-1", "4294967296", "99999999999999999999", "1.5", "nan", ""])
def test_a_seed_that_no_library_takes_is_refused(
    verb: tuple[str, ...], value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--seed" in refused(monkeypatch, capsys, *verb, f"--seed={value}")


@pytest.mark.parametrize("verb", [CHECK, EXPLAIN, RECONCILE], ids=lambda verb: verb[0])
@pytest.mark.parametrize("value", ["inf", "nan", "-1", "0", "1e300", ""])
def test_a_memory_limit_or_a_step_that_is_none_is_refused(
    verb: tuple[str, ...], value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--memory-limit" in refused(monkeypatch, capsys, *verb, f"--memory-limit={value}")
    if value != "1e300":  # which is a step, and one of which no neuron leaks
        assert "--dt" in refused(monkeypatch, capsys, *verb, f"--dt={value}")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((*RECONCILE, "--steps", "99999999999"), "holds"),
        ((*RECONCILE, "--steps", "99999999999999999999"), "holds"),
        ((*RECONCILE, "--steps", "0"), "--steps"),
        ((*RECONCILE, "--steps", "-1"), "--steps"),
        ((*CHECK, "--jobs", "99999999999"), "--jobs"),
        ((*CHECK, "--jobs", "-1"), "--jobs"),
        ((*MATRIX, "--jobs", "99999999999"), "--jobs"),
        ((*MATRIX, "--dt", "nan"), "--dt"),
        ((*MATRIX, "--dt", "1e-4", "--dt", "inf"), "--dt"),
        (("sweep", "--dt", "1e-30"), "no shorter than 1e-06 s"),
        (("sweep", "--dt", "1e-7"), "no shorter than 1e-06 s"),
        (("sweep", "--dt", "nan"), "--dt"),
        (("sweep", "--dt", "-1e-4"), "--dt"),
        (("experiment", "csnn_mnist", "--epochs", "99999999999"), "--epochs"),
        (("experiment", "csnn_mnist", "--device", "quantum"), "--device quantum: no device of that name"),
        (("experiment", "nir_paper", "--device", "quantum"), "--device quantum: no device of that name"),
        (("experiment", "nmnist_transfer", "--device", "quantum"), "--device quantum: no device of that name"),
        (("experiment", "spikingjelly_exchange", "--device", "quantum"), "--device quantum: no device of that name"),
        (("experiment", "csnn_mnist", "--device", ""), "--device"),
        (("experiment", ESCAPES), "no experiment"),
        (("repro", ESCAPES), "\\x1b[2J"),
        (("repro", ""), "cell"),
        (("check", "g.nir", "--backend", ESCAPES), "no backend"),
        (("rules", ESCAPES), "no backend"),
        (("primitives", ESCAPES), "no backend"),
        (("matrix", "--network", ESCAPES), "\\x1b[2J"),
        (("matrix", "--exporter", ESCAPES), "\\x1b[2J"),
        (("check", ESCAPES), "\\x1b[2J"),
        (("diff", ESCAPES, "folder"), "\\x1b[2J"),
        ((*RECONCILE, "--from-rule", "start=leak,\nx=y"), "\\n"),
        ((*RECONCILE, "--from-rule", ESCAPES), "\\x1b[2J"),
        ((ESCAPES,), "\\x1b[2J"),
        ((*CHECK, "--" + ESCAPES), "\\x1b[2J"),
    ],
    ids=lambda each: " ".join(each).encode("unicode_escape").decode()[:60] if isinstance(each, tuple) else "",
)
def test_an_option_that_cannot_be_is_refused(
    arguments: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert says in refused(monkeypatch, capsys, *arguments)


@pytest.mark.parametrize("place", ["file", "fifo", "/dev/null", "/dev/zero", "dangling", "file/below", LONG, "/proc/x"])
@pytest.mark.parametrize(
    "arguments",
    [
        (*CHECK, "--save"), (*CHECK, "--store"), (*EXPLAIN, "--store"), (*RECONCILE, "--store"), (*MATRIX, "--results"),
        ("sweep", "--results"), ("rules", "--results"), ("primitives", "--results"), ("primitives", "--write"),
        ("report", "--results"), (*REPRO, "-o"), ("experiment", "csnn_mnist", "-o"),
    ],
    ids=lambda arguments: f"{arguments[0]} {arguments[-1]}",
)  # fmt: skip
def test_a_place_where_no_folder_can_be_is_refused_before_anything_runs(
    arguments: tuple[str, ...], place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert arguments[-1] in refused(monkeypatch, capsys, *arguments, place)


@pytest.mark.parametrize(
    "place",
    ["folder", "fifo", "/dev/null", "/dev/full", "dangling", "missing/o.nir", "file/o.nir", LONG, "\udce9.nir", ""],
)
def test_a_place_where_no_file_can_be_is_refused_before_anything_runs(
    place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "-o" in refused(monkeypatch, capsys, "reconcile", "g.nir", "--to", "reference", "-o", place)


@pytest.mark.parametrize(
    "place", ["file", "folder", "fifo", "/dev/null", "/dev/zero", "dangling", "x" * 300, "g.nir", "", ESCAPES]
)
@pytest.mark.parametrize("option", ["--input", "--from-recording"])
def test_what_is_no_recording_is_refused(
    option: str, place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(monkeypatch, capsys, *RECONCILE, option, place)
    assert "npz" in said or "numpy.savez" in said


@pytest.mark.parametrize(
    "place", ["file", "folder", "fifo", "/dev/null", "/dev/zero", "dangling", "x" * 300, "in.npz", "", ESCAPES]
)
@pytest.mark.parametrize("verb", [("check",), ("explain", "--backend", "norse"), ("reconcile", "--to", "norse", "-o", "o.nir")])
def test_what_is_no_graph_is_refused(
    verb: tuple[str, ...], place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(monkeypatch, capsys, *verb, place)


def test_a_folder_in_which_nothing_may_be_written_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # what the system says to whoever is not its administrator
    for check, place in ((check_folder, "folder"), (check_folder, "new"), (check_file, "file"), (check_file, "new.nir")):
        with pytest.raises(BadInput, match=r"may (not )?be written"):
            check(here / place, "-o")


def test_places_that_can_be_written_are_taken(here: Path) -> None:
    for place in ("folder", "new", "new/deep/er"):
        check_folder(here / place, "--store")
    for place in ("file", "new.nir", "folder/new.nir"):
        check_file(here / place, "-o")


def test_an_option_raises_the_limit_that_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(monkeypatch, capsys, *RECONCILE, "--steps", "1000000", "--memory-limit", "0.1")
    assert "--memory-limit" in said
    raised = said.split("--memory-limit ")[1].split()[0]
    again = refused(monkeypatch, capsys, *RECONCILE, "--steps", "1000000", "--memory-limit", raised, "--time-limit", "0.1")
    assert "--time-limit" in again
    assert "GiB" not in again
