"""What is finished, on disk: objects by content, one small JSON an outcome, each written at once.

::

    .nir-interop/
    ├── objects/    graphs, recordings, stimuli, parameters by SHA-256 of their bytes
    ├── cells/      outcomes by key; sources/, trainings/, intended/, stimuli/, backends/ likewise
    └── tmp/        one folder a run, removed by it or by the next one

Everything is known by its content: an object by its name, an entry by a sum over its kind, its key and its outcome.  What is
missing, cut off, changed, under another's name, of another version, or no file at all counts as absent, and is made again.
Several runs may share a store.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nir_interop.errors import BadInput

FOLDER = ".nir-interop"
"""The store's usual place, in the working directory."""
_VERSION = 2
_LARGEST = 2**31
"""Bytes of a file that is still read."""
_LOCK = "lock"
_HOUR = 3600.0


class Store:
    """A folder; it is made when something is put into it.

    Its methods raise BadInput, in one line, where the disk is full or may not be written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._sound: dict[str, tuple[int, ...]] = {}
        self._locks: list[int] = []

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        """An outcome, or None where there is none, or one whose objects are not sound."""
        try:
            document = json.loads(_read(self._file(kind, key))[0].decode())
            outcome: dict[str, Any] = document["outcome"]
            if document["version"] != _VERSION or document["sha256"] != _digest(kind, key, outcome):
                return None
            names = list((outcome.get("objects") or {}).values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        return outcome if all(self._is_sound(name) for name in names) else None

    def put(self, kind: str, key: str, outcome: Mapping[str, Any]) -> None:
        """Store an outcome; whoever is killed meanwhile leaves the old file or the new one."""
        document = {"version": _VERSION, "sha256": _digest(kind, key, outcome), "outcome": outcome}
        self._write(self._file(kind, key), json.dumps(document, sort_keys=True).encode())

    def adopt(self, path: Path) -> str:
        """Take a file's content into the store; returns the name it is known by."""
        content = path.read_bytes()
        name = hashlib.sha256(content).hexdigest() + path.suffix
        if not self._is_sound(name):
            self._write(self.object(name), content)
        return name

    @property
    def objects(self) -> Path:
        """Where objects lie."""
        return self.path / "objects"

    def object(self, name: str) -> Path:
        """Where an object lies."""
        return self.objects / name

    def scratch(self) -> Path:
        """A new folder for one run's temporary files; those of runs that are dead are removed."""
        with _told(self.path):
            drafts = self._folder("tmp")
            for old in drafts.iterdir():
                with contextlib.suppress(OSError):
                    if not old.is_dir():
                        if time.time() - old.stat().st_mtime > _HOUR:  # else it may be about to be put into its place
                            old.unlink()
                    elif _abandoned(old):
                        shutil.rmtree(old, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=drafts))
            lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(OSError):  # some file systems have no locks; there the age tells
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._locks.append(lock)  # held as long as this process lives
        return folder

    def _folder(self, name: str) -> Path:
        """A folder of the store's own; what else lies there under its name gives way."""
        folder = self.path / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            if not self.path.is_dir():
                raise
            folder.unlink()
            folder.mkdir()
        return folder

    def _file(self, kind: str, key: str) -> Path:
        return self.path / kind / f"{key}.json"

    def _is_sound(self, name: str) -> bool:
        """Whether an object's bytes are what its name says; looked at once a run, and again where the file was touched."""
        path = self.object(name)
        if path.parent != self.path / "objects":
            return False
        try:
            if self._sound.get(name) == _identity(os.stat(path)):
                return True
            content, identity = _read(path)
        except OSError:
            return False
        if hashlib.sha256(content).hexdigest() != name.split(".")[0]:
            return False
        self._sound[name] = identity
        return True

    def _write(self, path: Path, content: bytes) -> None:
        with _told(self.path):
            drafts = self._folder("tmp")
            self._folder(path.parent.name)
            number, temporary = tempfile.mkstemp(dir=drafts, prefix=f"{os.getpid()}-", suffix=".part")
            try:
                with os.fdopen(number, "wb") as file:
                    file.write(content)
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                os.replace(temporary, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say in one line, with what to do, that the store cannot be written."""
    try:
        yield
    except OSError as error:
        why = error.strerror or type(error).__name__
        what = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "make it a folder that can be written to"
        raise BadInput(f"{path}: the store cannot be written ({why}); {what}, or name another with --store") from error


def _read(path: Path) -> tuple[bytes, tuple[int, ...]]:
    """The bytes of a plain file of a size that can be, and which file it was.

    Raises OSError for anything else: a folder, a pipe that nobody writes to, a device.
    """
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(number, "rb") as file:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        return file.read(), _identity(found)


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _digest(kind: str, key: str, outcome: Any) -> str:
    return hashlib.sha256(json.dumps([kind, key, outcome], sort_keys=True).encode()).hexdigest()


def _abandoned(folder: Path) -> bool:
    """Whether no run holds a folder of temporary files any more."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # it has just been made, or was made by an earlier version
        return time.time() - folder.stat().st_mtime > _HOUR
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return time.time() - folder.stat().st_mtime > 24 * _HOUR
    finally:
        os.close(lock)
    return True
