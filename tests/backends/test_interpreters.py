"""Another Python is taken where a backend asks for one, and only one that runs and fits."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nir_interop.backends.interpreters import conditions, fits, other_interpreter, version_of
from nir_interop.errors import BackendMissing, BadInput

OLD = ("lib==1; python_version < '3.11'", "nir")


def python(path: Path, version: str, *, runs: bool = True) -> Path:
    """A program that answers as an interpreter of a version does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {version.replace('.', ' ')}\nexit {0 if runs else 127}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The only folder on PATH, and that of pyenv's versions."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    return tmp_path / "bin", tmp_path / "pyenv" / "versions"


@pytest.mark.parametrize(
    ("line", "version", "expected"),
    [
        ("a", (3, 11), True),
        ("a; python_version < '3.11'", (3, 11), False),
        ("a; python_version < '3.11'", (3, 9), True),
        ('a; python_version>="3.10" and python_version != "3.12"', (3, 12), False),
        ('a; python_version>="3.10" and python_version != "3.12"', (3, 13), True),
        ("a; sys_platform == 'linux'", (3, 11), True),
    ],
)
def test_a_condition_on_the_python_is_read(line: str, version: tuple[int, int], expected: bool) -> None:
    assert fits([line], version) is expected


def test_this_one_is_taken_where_it_fits(places: tuple[Path, Path]) -> None:
    python(places[0] / "python3.10", "3.10")
    assert other_interpreter("lib", ["lib==1", "nir"]) is None


def test_the_newest_that_fits_and_runs_is_taken(places: tuple[Path, Path]) -> None:
    on_path, pyenv = places
    with pytest.raises(BackendMissing, match=r"lib: asks for Python < 3\.11; none is on PATH.*--python"):
        other_interpreter("lib", OLD)
    python(on_path / "python3.9", "3.9")  # too old for what runs there
    python(on_path / "python3.10", "3.10", runs=False)  # a shim of a version that is not chosen
    with pytest.raises(BackendMissing):
        other_interpreter("lib", OLD)
    found = python(pyenv / "3.10.13" / "bin" / "python3.10", "3.10")
    assert other_interpreter("lib", OLD) == found
    first = python(on_path / "python3.10", "3.10")
    assert other_interpreter("lib", OLD) == first


def test_one_that_is_named_has_to_run_and_to_fit(places: tuple[Path, Path], tmp_path: Path) -> None:
    named = python(tmp_path / "mine", "3.10")
    assert other_interpreter("lib", OLD, named) == named
    with pytest.raises(BadInput, match=r"is Python 3\.12, and lib asks for Python < 3\.11 and >= 3\.10"):
        other_interpreter("lib", OLD, python(tmp_path / "new", "3.12"))
    with pytest.raises(BadInput, match=r"asks for Python >= 3\.10"):
        other_interpreter("lib", ["lib"], python(tmp_path / "old", "3.9"))
    for broken in (tmp_path / "nowhere", python(tmp_path / "broken", "3.10", runs=False)):
        with pytest.raises(BadInput, match="does not run"):
            other_interpreter("lib", OLD, broken)


def test_an_interpreter_says_its_version() -> None:
    assert version_of(Path(sys.executable)) == sys.version_info[:2]
    assert conditions(OLD) == ("< 3.11",)
