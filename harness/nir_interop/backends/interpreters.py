"""Which Python a backend's environment is made with: this one, or another where what it asks for does not fit this one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from nir_interop.errors import BackendMissing, BadInput

Version = tuple[int, int]

OLDEST: Version = (3, 10)
"""What runs in a library's environment needs at least this Python."""
_CONDITION = re.compile(r"""python_version\s*(<=|>=|==|!=|<|>)\s*["'](\d+)\.(\d+)["']""")
_HOLDS = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
_MOST_MINOR = 30
_ASKED = "import sys; print(*sys.version_info[:2])"
_LIMIT = 20.0


def conditions(requirements: Iterable[str]) -> tuple[str, ...]:
    """What requirements say of the Python they are for, ``< 3.11`` for instance, each once."""
    found = (f"{how} {major}.{minor}" for line in requirements for how, major, minor in _CONDITION.findall(line))
    return tuple(dict.fromkeys(found))


def fits(requirements: Iterable[str], version: Version) -> bool:
    """Whether all of them are for that Python."""
    return all(
        _HOLDS[how](version, (int(major), int(minor)))
        for line in requirements
        for how, major, minor in _CONDITION.findall(line)
    )


def other_interpreter(name: str, requirements: Iterable[str], given: Path | None = None) -> Path | None:
    """The interpreter to make a backend's environment with; None for this one.

    given : by the user; else the newest on PATH or of pyenv's that runs and that the requirements are for

    Raises BadInput for one that is given and does not run or fit, BackendMissing where none is found.
    """
    lines = tuple(requirements)
    asked = " and ".join(conditions(lines))
    if given is not None:
        version = version_of(given)
        if version is None:
            raise BadInput(f"--python {given}: does not run; give the path of a Python interpreter")
        if version < OLDEST or not fits(lines, version):
            wanted = " and ".join(filter(None, (asked, f">= {_dotted(OLDEST)}")))
            raise BadInput(f"--python {given}: is Python {_dotted(version)}, and {name} asks for Python {wanted}")
        return given
    if fits(lines, sys.version_info[:2]):
        return None
    for python in _found(lines):
        if version_of(python) is not None:
            return python
    raise BackendMissing(
        f"{name}: asks for Python {asked}; none is on PATH or in pyenv's folder: install one, or name it with --python"
    )


def version_of(python: Path) -> Version | None:
    """What an interpreter says that it is; None where it does not run (pyenv's shim of a version that is not chosen)."""
    try:
        done = subprocess.run([str(python), "-c", _ASKED], capture_output=True, text=True, timeout=_LIMIT)
        major, minor = done.stdout.split()
        return (int(major), int(minor)) if done.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def _found(requirements: Iterable[str]) -> Iterator[Path]:
    """Interpreters that fit by their names, newest first."""
    lines = tuple(requirements)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    folders = [Path(each) for each in os.environ.get("PATH", "").split(os.pathsep) if each]
    for minor in range(_MOST_MINOR, OLDEST[1] - 1, -1):
        if fits(lines, (3, minor)):
            yield from (python for folder in folders if (python := folder / f"python3.{minor}").is_file())
            yield from (home / "bin" / f"python3.{minor}" for home in sorted(pyenv.glob(f"3.{minor}.*"), reverse=True))


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
