"""What the terminal shows: how wide, in what colours, how quiet, and what an interrupt leaves."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.main import get_command

import nir_interop.cli
from nir_interop.backends.environments import backends
from nir_interop.cli import options
from nir_interop.graphs import write
from nir_interop.networks import names, twins
from nir_interop.report.cells import summary_table
from tests.cli.fake_packages import backends_in
from tests.cli.test_cli import imported_by, lif_graph, run
from tests.cli.test_diff import differs, folder_with, row
from tests.matrix.matrix_runs import SOON, wait_until, workers_of
from tests.places import PYTHONPATH

VERBS = (
    "matrix", "check", "explain", "reconcile", "upgrade", "diff", "repro", "rules", "primitives", "sweep", "backends",
    "experiment",
)  # fmt: skip
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9;]*)?m")
LIBRARIES = {"torch", "numpy", "nir", "pandas", "h5py", "snntorch", "norse", "spikingjelly"}


def on_terminal(*arguments: str, width: int = 80, cwd: Path | None = None, **environment: str) -> str:
    """What ``nir-interop`` shows on a terminal of that width, its stdout and stderr together."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")
    }
    variables = {**inherited, "TERM": "xterm-256color", **environment}
    command = [sys.executable, "-m", "nir_interop", *arguments]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, cwd=cwd, env=variables)
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # Linux ends a terminal that nobody writes to any more with an error
        while piece := os.read(master, 65536):
            shown += piece
    process.wait(60)
    os.close(master)
    return shown.decode()


def widest(text: str) -> int:
    return max(len(line) for line in ESCAPE.sub("", text).replace("\r", "\n").split("\n"))


def fakes_in(folder: Path, *kinds: str) -> dict[str, str]:
    """The environment in which fakes are backends, by their names in lower case."""
    backends_in(folder, {kind.lower(): f"fake_adapters.fakes:{kind}" for kind in kinds})
    return {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{PYTHONPATH}", "OMP_NUM_THREADS": "1"}


MATRIX = ("matrix", "--network", "mlp_if", "--exporter", "honest", "--no-explain", "--jobs", "2")


def test_alone_it_says_in_ten_lines_what_to_do_first() -> None:
    shown = run().stdout
    assert len(shown.splitlines()) <= 10
    assert widest(shown) <= 80
    for verb in ("check", "explain", "reconcile", "matrix", "backends", "--help"):
        assert f"nir-interop {verb}" in shown


def test_alone_it_answers_at_once_for_it_imports_no_library() -> None:
    assert imported_by().isdisjoint(LIBRARIES | {"rich.table", "execnet"})
    started = os.times()
    assert run().returncode == 0
    ended = os.times()
    assert ended.children_user + ended.children_system - started.children_user - started.children_system < 0.5


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_json_and_help_that_fits(verb: str) -> None:
    shown = ESCAPE.sub("", on_terminal(verb, "--help"))
    assert "--json" in shown
    assert widest(shown) <= 80


@pytest.mark.parametrize("verb", ["matrix", "sweep", "experiment"])
def test_verbs_that_tell_how_far_they_are_can_be_quiet(verb: str) -> None:
    assert "--quiet" in run(verb, "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("chek",), "No such command 'chek'"),
        (("check",), "Missing argument"),
        (("check", "x.nir", "--dt", "soon"), "--dt"),
        (("matrix", "--nonsense"), "--nonsense"),
        (("backends", "uninstall"), "uninstall"),
    ],
)
def test_bad_usage_is_one_line_that_says_where_help_is(arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("nir-interop: ")
    assert said in line
    assert "--help" in line


def test_colour_is_for_terminals_without_no_color(tmp_path: Path) -> None:
    folder_with(tmp_path / "a", row())
    folder_with(tmp_path / "b", differs())
    for arguments in (("--help",), ("diff", "a", "b"), ("backends",)):
        assert not COLOUR.search(on_terminal(*arguments, cwd=tmp_path, NO_COLOR="1")), arguments
        assert "\x1b" not in run(*arguments, cwd=tmp_path).stdout, arguments


@pytest.mark.parametrize("width", [80, 60, 120])
def test_no_line_is_wider_than_the_terminal(width: int, tmp_path: Path) -> None:
    importers = ["snntorch", "spikingjelly", "a-library-of-a-long-name==1.2.3rc4+local"]
    folder_with(tmp_path / "a", *(row(importer=name) for name in importers))
    folder_with(tmp_path / "b", *(differs(importer=name, exporter_version="1.2") for name in importers), environment=None)
    write(tmp_path / "gain.nir", lif_graph(r=[0.5] * 3))
    shown = on_terminal("diff", "a", "b", width=width, cwd=tmp_path)
    assert widest(shown) <= width
    assert "3 worse" in shown or re.search(r"native\s+3", ESCAPE.sub("", shown))
    assert widest(on_terminal("backends", width=width)) <= width
    if width == 80:
        assert widest(on_terminal("check", "gain.nir", "--backend", "reference", width=width, cwd=tmp_path)) <= width


def test_the_table_of_the_matrix_fits_with_the_longest_names() -> None:
    longest = ["spikingjelly", "spikingjelly==2.0.0", "snntorch==1.0.0+local"]
    rows = [row(exporter=left, importer=right) for left in longest for right in longest]
    for width in (80, 60):
        stream = io.StringIO()
        Console(file=stream, width=width, highlight=False).print(summary_table(rows))
        assert widest(stream.getvalue()) <= width
        assert stream.getvalue().count(" 1 ") >= len(rows)


class Terminal(io.StringIO):
    """A stream that says that it is one."""

    def isatty(self) -> bool:
        return True


@given(st.lists(st.tuples(*[st.text("abc ", max_size=20)] * 5), min_size=1, max_size=5), st.integers(45, 120))
def test_a_table_that_is_too_wide_goes_on_below(cells: list[tuple[str, ...]], width: int) -> None:
    stream = Terminal()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "stdout", stream)
        patched.setenv("COLUMNS", str(width))
        options.say_table(cells)
    assert widest(stream.getvalue()) <= width
    assert {word for line in cells for cell in line for word in cell.split()} == set(stream.getvalue().split())


@given(st.text(st.sampled_from("ab -…\n"), max_size=300), st.integers(10, 80))
def test_what_is_said_on_a_terminal_fits_and_loses_no_word(text: str, width: int) -> None:
    stream = Terminal()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "stdout", stream)
        patched.setenv("COLUMNS", str(width))
        options.say(text)
    assert widest(stream.getvalue()) <= width
    assert "".join(stream.getvalue().split()) == "".join(text.split())


def completed(*words: str) -> list[str]:
    """What the shell offers for the last word."""
    environment = {
        **os.environ, "_NIR_INTEROP_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(("nir-interop", *words)),
        "COMP_CWORD": str(len(words)),
    }  # fmt: skip
    command = [sys.executable, "-m", "nir_interop"]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout.split()


def test_the_shell_completes_verbs_networks_and_backends() -> None:
    assert completed("rec") == ["reconcile"]
    assert completed("matrix", "--network", "mlp_l") == [name for name in (*names(), *twins()) if name.startswith("mlp_l")]
    assert completed("matrix", "--importer", "s") == [each.name for each in backends() if each.name.startswith("s")]
    assert completed("explain", "x.nir", "--backend", "nor") == ["norse"]
    assert completed("check", "x.nir", "--backend", "ref") == ["reference"]
    assert "--install-completion" in run("--help").stdout


def test_quiet_prints_nothing_and_json_one_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", fakes_in(tmp_path / "site", "Honest", "Wrong")["PYTHONPATH"])
    arguments = (*MATRIX, "--importer", "wrong", "--dt", "1e-4")
    done = run(*arguments, "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    again = run(*arguments, "--json", cwd=tmp_path)
    document = json.loads(again.stdout)
    assert document["difference"]["native"] == {
        "worse": 0, "better": 0, "changed": 0, "new": 0, "gone": 0, "same": document["cells"],
    }  # fmt: skip


def test_every_verb_can_be_quiet_and_can_answer_with_one_object() -> None:
    verbs = get_command(nir_interop.cli.app).commands  # type: ignore[attr-defined]
    options = {name: {word for each in verb.params for word in each.opts} for name, verb in verbs.items()}
    assert {name for name, has in options.items() if "--json" not in has} == set()
    assert {name for name, has in options.items() if "--quiet" not in has} == {"backends"}, "a list is all that it gives"


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "{graph}", "--backend", "reference"),
        ("explain", "{graph}", "--backend", "reference"),
        pytest.param(("reconcile", "{graph}", "--to", "reference", "-o", "out.nir"), marks=pytest.mark.slow),
        pytest.param(("rules", "reference"), marks=pytest.mark.slow),
        pytest.param(("primitives", "--write", "cases"), marks=pytest.mark.slow),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_quiet_verb_says_what_it_has_to_say_by_its_exit_status(arguments: tuple[str, ...], tmp_path: Path) -> None:
    write(tmp_path / "graph.nir", lif_graph())
    called = [each.format(graph="graph.nir") for each in arguments]
    loud, quiet = run(*called, cwd=tmp_path), run(*called, "--quiet", cwd=tmp_path)
    assert loud.stdout
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (loud.returncode, "", "")


def test_matrix_says_what_became_of_the_report_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", fakes_in(tmp_path / "site", "Honest", "Wrong")["PYTHONPATH"])
    arguments = (*MATRIX, "--dt", "1e-4")
    shown = run(*arguments, "--importer", "honest", "--importer", "wrong", cwd=tmp_path).stdout
    assert "last report" not in shown
    assert shown.splitlines()[-1].endswith(f"→ {Path('results/report.csv')}")
    report = tmp_path / "results" / "report.csv"
    report.write_text(report.read_text().replace(",mismatch,", ",refused,"))

    worse = run(*arguments, "--importer", "wrong", "--fail-on-worse", cwd=tmp_path)
    assert worse.returncode == 1
    lines = worse.stdout.splitlines()
    assert "since the last report: 1 worse" in lines  # those of the other importer were not asked for, and are not gone
    assert any(line.startswith("worse: mlp_if.portable.honest@0.0001>wrong@0.0001.native.0: refused") for line in lines)

    # A part does not replace the report of more, unless it is told to.
    (line,) = [line for line in lines if "stays" in line]
    assert re.fullmatch(
        r"results holds \d+ cells that this run does not have, and stays: this run is in part; --results results replaces it",
        line,
    )
    assert ",refused," in report.read_text() and ">honest@" in report.read_text()
    assert ">honest@" not in (tmp_path / "part" / "report.csv").read_text()
    told = run(*arguments, "--importer", "wrong", "--results", "results", cwd=tmp_path)
    assert told.returncode == 0 and "stays" not in told.stdout
    assert ">honest@" not in report.read_text()

    report.write_text("a,b\n")
    unread = run(*arguments, "--importer", "wrong", "--fail-on-worse", cwd=tmp_path)
    assert unread.returncode == 0
    (line,) = [line for line in unread.stdout.splitlines() if line.startswith("not compared")]
    assert "is no report.csv" in line
    assert report.read_text() == "a,b\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds workers in /proc")
def test_an_interrupt_ends_at_once_and_says_what_is_stored_and_how_to_go_on(tmp_path: Path) -> None:
    environment = fakes_in(tmp_path / "site", "Honest", "Looping", "Slow")
    command = [sys.executable, "-m", "nir_interop", *MATRIX, "--importer", "slow", "--importer", "looping", "--store", "kept"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    cells = tmp_path / "kept" / "cells"
    assert wait_until(lambda: len(list(cells.glob("*.json"))) >= 2, 60)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    shown, said = process.communicate(timeout=30)
    assert time.monotonic() - started < SOON
    assert (process.returncode, shown) == (130, "")
    line = said.splitlines()[-1]
    assert re.fullmatch(
        r"nir-interop: interrupted; \d+ of at least \d+ results are stored in kept, no table was written; "
        r"the same command goes on from there",
        line,
    ), said
    assert not workers_of(tmp_path / "kept")
    assert not (tmp_path / "results").exists()

    finished = {path.name for path in cells.glob("*.json")}
    arguments: list[Any] = [*MATRIX, "--importer", "slow", "--store", "kept", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "nir_interop", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    timings = (tmp_path / "results" / "timings.csv").read_text()
    assert finished <= {path.name for path in cells.glob("*.json")}
    assert ",true" in timings
