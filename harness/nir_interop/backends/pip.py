"""pip, which installs into another environment and says meanwhile what it does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from nir_interop.errors import BackendMissing

Tell = Callable[[str], None]
"""Is told each line of pip's own."""

_NOT_FOUND = re.compile(r"satisfies the requirement (?P<which>.+?) \(from versions: (?P<versions>[^)]*)\)")
_COMMAND = ("install", "--disable-pip-version-check", "--no-input", "--no-warn-script-location", "--progress-bar", "off")


def pip(python: Path, arguments: Sequence[str], what: str, tell: Tell) -> None:
    """Have this interpreter's pip install into another environment.

    Raises BackendMissing with pip's last word.
    """
    command = [sys.executable, "-m", "pip", "--python", str(python), *_COMMAND, *arguments]
    said: list[str] = []
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        ) as process:
            try:
                for line in process.stdout or ():
                    said.append(line.strip())
                    tell(line.strip())
            except BaseException:
                process.kill()
                raise
        if process.returncode == 0:
            return
        errors.seek(0)
        raise BackendMissing(f"{what}: {_why(errors.read(), said)}")


def _why(errors: str, printed: Sequence[str]) -> str:
    said = [line.strip() for line in errors.splitlines() if line.strip()] or [line for line in printed if line]
    built = [before for before, line in pairwise(said) if line.startswith("[end of output]")]  # of a build that failed
    last = built or [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR: ")] or said or ["no word"]
    absent = _NOT_FOUND.search(errors)
    if absent is not None and last[-1].startswith("No matching distribution"):
        none = absent["versions"] == "none"
        there = "--find-links DIR names a folder with wheels" if none else f"there are {absent['versions']}"
        return f"pip finds no {absent['which']}; {there}"
    return f"pip failed: {last[-1]}"
