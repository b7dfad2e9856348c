"""What is finished, on disk: objects by content, one small JSON an outcome, each written at once.

::

    .nir-interop/
    ├── objects/    graphs, recordings, stimuli, parameters by SHA-256 of their bytes
    ├── cells/      outcomes by key; sources/, trainings/, intended/, stimuli/, backends/ likewise
    └── tmp/        one folder a run, removed by it or by the next one

A file that is missing, cut off or changed counts as absent.  Several runs may share a store.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = ".nir-interop"
"""The store's usual place, in the working directory."""
_VERSION = 1


class Store:
    """A folder; it is made when something is put into it."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._sound: set[str] = set()

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        """An outcome, or None where there is none, or one whose objects are not sound."""
        try:
            document = json.loads(self._file(kind, key).read_text(encoding="utf-8"))
            if document["version"] != _VERSION or document["sha256"] != _digest(document["outcome"]):
                return None
            outcome: dict[str, Any] = document["outcome"]
            names = list((outcome.get("objects") or {}).values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return outcome if all(self._is_sound(name) for name in names) else None

    def put(self, kind: str, key: str, outcome: Mapping[str, Any]) -> None:
        """Store an outcome; whoever is killed meanwhile leaves the old file or the new one."""
        document = {"version": _VERSION, "sha256": _digest(outcome), "outcome": outcome}
        self._write(self._file(kind, key), json.dumps(document, sort_keys=True).encode())

    def adopt(self, path: Path) -> str:
        """Take a file's content into the store; returns the name it is known by."""
        content = path.read_bytes()
        name = hashlib.sha256(content).hexdigest() + path.suffix
        if not self._is_sound(name):
            self._write(self.object(name), content)
            self._sound.add(name)
        return name

    def object(self, name: str) -> Path:
        """Where an object lies."""
        return self.path / "objects" / name

    def scratch(self) -> Path:
        """A new folder for one run's temporary files; those of runs that are dead are removed."""
        parent = self.path / "tmp"
        parent.mkdir(parents=True, exist_ok=True)
        for old in parent.iterdir():
            pid = old.name.split("-")[0]
            if pid.isdigit() and not _alive(int(pid)):
                if old.is_dir():
                    shutil.rmtree(old, ignore_errors=True)
                else:
                    old.unlink(missing_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=parent))

    def _file(self, kind: str, key: str) -> Path:
        return self.path / kind / f"{key}.json"

    def _is_sound(self, name: str) -> bool:
        """Whether an object's bytes are what its name says; looked at once a run."""
        if name not in self._sound:
            try:
                digest = hashlib.sha256(self.object(name).read_bytes()).hexdigest()
            except OSError:
                return False
            if digest != name.split(".")[0]:
                return False
            self._sound.add(name)
        return True

    def _write(self, path: Path, content: bytes) -> None:
        drafts = self.path / "tmp"
        for folder in (path.parent, drafts):
            folder.mkdir(parents=True, exist_ok=True)
        number, temporary = tempfile.mkstemp(dir=drafts, prefix=f"{os.getpid()}-", suffix=".part")
        try:
            with os.fdopen(number, "wb") as file:
                file.write(content)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def _digest(outcome: Any) -> str:
    return hashlib.sha256(json.dumps(outcome, sort_keys=True).encode()).hexdigest()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
