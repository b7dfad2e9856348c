"""Where results go, looked at before anything is run for them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from nir_interop.errors import BadInput


def check_file(path: Path, option: str) -> None:
    """Raise BadInput for a path at which no file can be written."""
    status = _status(path, option)
    if status is not None and not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
        raise BadInput(f"{option} {path}: that is {kind}; name a file")
    if status is not None and not os.access(path, os.W_OK):
        raise BadInput(f"{option} {path}: that file may not be written; name another")
    _check_parent(path.parent, path, option)
    if path.is_symlink() and status is None:
        raise BadInput(f"{option} {path}: that is a link to nothing; name a file")


def check_other(path: Path, given: Path | None, option: str) -> None:
    """Raise BadInput for the path of the graph that was given."""
    if given is not None and path.exists() and given.exists() and path.samefile(given):
        raise BadInput(f"{option} {path}: that is the graph itself; name another file")


def check_folder(path: Path, option: str) -> None:
    """Raise BadInput for a path at which no folder can be made, or in which no file can be written."""
    status = _status(path, option)
    if status is None:
        if path.is_symlink():
            raise BadInput(f"{option} {path}: that is a link to nothing; name a folder")
        _check_parent(next(each for each in path.absolute().parents if _status(each, option) is not None), path, option)
    elif not stat.S_ISDIR(status.st_mode):
        raise BadInput(f"{option} {path}: that is no folder; name one")
    elif not os.access(path, os.W_OK | os.X_OK):
        raise BadInput(f"{option} {path}: nothing may be written there; name another folder")


def _status(path: Path, option: str) -> os.stat_result | None:
    """What is there; None where nothing is."""
    try:
        os.fsencode(path).decode()
    except UnicodeError:
        raise BadInput(f"{option} {path}: the name is not UTF-8; name another") from None
    if not path.name and not path.anchor and str(path) != ".":
        raise BadInput(f"{option}: the name is empty; write one")
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise BadInput(f"{option} {path}: {reason}; name another") from None


def _check_parent(folder: Path, path: Path, option: str) -> None:
    """That something can be made in the folder."""
    if not folder.is_dir():
        missing = "is no folder" if folder.exists() else "there is no such folder"
        raise BadInput(f"{option} {path}: {folder}: {missing}; make it, or name another place")
    if not os.access(folder, os.W_OK | os.X_OK) or str(folder.resolve()).startswith(("/proc", "/sys")):
        raise BadInput(f"{option} {path}: nothing may be written in {folder}; name another place")
