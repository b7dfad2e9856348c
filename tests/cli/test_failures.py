"""Whose failure it is, by exit status and one line; and what a file may do to a terminal: nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nir_interop import cli
from nir_interop.cli.options import say, say_line
from nir_interop.errors import BadInput, OwnFailure, TooSlow
from nir_interop.graphs import Graph, renamed, write
from nir_interop.printable import printable, shell_word
from tests.command_line import run
from tests.fuzz import seeds
from tests.places import PYTHONPATH


@pytest.mark.parametrize(
    ("raised", "status", "says"),
    [
        (BadInput("a.nir: no"), 2, "nir-interop: a.nir: no\n"),
        (BadInput("a\x1b[2Jb\nc"), 2, "nir-interop: a\\x1b[2Jb\\nc\n"),
        (TooSlow("a.nir: too slow"), 2, "nir-interop: a.nir: too slow\n"),
        (OwnFailure("a.nir: nir-interop itself failed"), 70, "nir-interop: a.nir: nir-interop itself failed\n"),
        (FileNotFoundError(2, "No such file or directory", "x/y"), 2, "nir-interop: x/y: No such file or directory; name a"),
        (
            ZeroDivisionError("division by zero"),
            70,
            "nir-interop: nir-interop itself failed: ZeroDivisionError: division",
        ),
        (MemoryError(), 2, "nir-interop: there is not enough memory"),
    ],
)
def test_an_error_is_one_line_and_its_status_says_whose_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], raised: Exception, status: int, says: str
) -> None:
    def fails(**options: Any) -> None:
        raise raised

    monkeypatch.setattr(cli, "app", fails)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (status, "")
    assert said.err.startswith(says)
    assert said.err.count("\n") == 1


def test_an_unforeseen_error_is_shown_in_full_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**options: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", fails)
    monkeypatch.setenv(cli.TRACEBACK, "1")
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_what_a_terminal_would_act_on_is_shown_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    say("node \x1b[31mRED\x07\u202e\nnext line, μ")
    assert capsys.readouterr().out == "node \\x1b[31mRED\\x07\\u202e\nnext line, μ\n"
    assert printable("two\nlines") == "two\\nlines"


HOSTILE = "\x1b[31m\r\nnir-interop: forged \u202e[bold]"


def hostile(path: Path, number: int) -> Graph:
    """A graph whose nodes' names would colour the terminal, begin lines and turn text round."""
    graph = seeds.graphs()[number]
    named = renamed(graph, {name: name + HOSTILE for name in graph.nodes if name not in ("input", "output")})
    write(path, named)
    return named


def assert_shown_as_text(text: str) -> None:
    lines = text.split("\n")
    assert all(line.isprintable() for line in lines), [line for line in lines if not line.isprintable()]
    assert not [line for line in lines if line.lstrip("│ ").startswith("nir-interop: forged")]


def test_a_line_break_in_a_name_makes_no_second_line(capsys: pytest.CaptureFixture[str]) -> None:
    say_line(f"node {HOSTILE}")
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize("text", ["plain", "two words", "a\nb", "it's\x1b[2J", "back\\slash\n", "\u202e", "$HOME\t`x`", "ü\n"])
def test_a_word_of_a_command_is_printable_and_means_the_name_to_a_shell(text: str) -> None:
    word = shell_word(text)
    assert word.isprintable()
    printed = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"})
    assert printed.stdout.decode() == text


def test_names_in_what_reconcile_says_are_shown_as_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("a\x1b[2J\nb.nir")
    hostile(path, 1)
    rule = "start=leak,\nreset=subtract"
    options = ["--to", "reference", "-o", "o.nir", "--from-rule", rule]
    monkeypatch.setattr(sys, "argv", ["nir-interop", "reconcile", str(path), *options])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert ended.value.code in (0, 1)
    assert "a rule with start=leak,\\nreset=subtract" in said.out
    assert_shown_as_text(said.out + said.err)


@pytest.mark.slow
@pytest.mark.parametrize("verb", [("check", "--backend", "norse"), ("explain", "--backend", "norse")])
def test_names_in_what_a_verb_says_of_a_library_are_shown_as_text(verb: tuple[str, ...], tmp_path: Path) -> None:
    hostile(tmp_path / "a\x1b[2J\nb.nir", 1)
    done = run(*verb, "a\x1b[2J\nb.nir", cwd=tmp_path)
    assert done.returncode in (0, 1), done.stderr
    assert "a\\x1b[2J\\nb.nir" in done.stdout
    assert_shown_as_text(done.stdout + done.stderr)


def test_what_a_terminal_has_no_letters_for_is_shown_as_an_escape(tmp_path: Path) -> None:
    hostile(tmp_path / "g.nir", 0)
    done = subprocess.run(
        [sys.executable, "-m", "nir_interop", "reconcile", "g.nir", "--to", "reference", "-o", "ö.nir"],
        cwd=tmp_path, capture_output=True, check=False,
        env={**os.environ, "PYTHONPATH": PYTHONPATH, "PYTHONIOENCODING": "latin-1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"\\u2192 \xf6.nir" in done.stdout
