"""Whose failure it is, by exit status and one line; and what a file may do to a terminal: nothing."""

from __future__ import annotations

from typing import Any

import pytest

from harness import cli
from harness.cli.options import say
from harness.errors import BadInput, OwnFailure, TooSlow
from harness.wording import printable


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
