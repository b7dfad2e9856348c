"""What a library says while it works: output, warnings, log records."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from nir_interop.workers.error_messages import one_line
from nir_interop.workers.process_state import put_back

SAID = "said-"
"""How the names of files begin that hold what is printed."""
KEPT = 2000
"""Characters of the text that are kept."""
_SCANNED = 4 * 2**20
"""Bytes of the output that are searched for warnings."""
_LONGEST_LINE = 2000
"""Characters of a line that are."""
_WARNINGS_KEPT = 20
_DEPRECATIONS = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)
_COMPLAINS = re.compile(
    r"warn|ignor|unsupported|not (supported|implemented|used|found)|cannot|dropp|skipp|discard|missing|fall(s|ing)? back",
    re.IGNORECASE,
)
"""In a printed line: it says that something is not as it was asked for."""
_DEPRECATED = re.compile(r"DeprecationWarning|FutureWarning|torch\.jit|deprecat", re.IGNORECASE)


class Capture:
    """Filled by :func:`captured`, as often as it is given to it.

    text : what was said, the first KEPT characters
    complaints : what was warned of, other than that something is deprecated, each once, without what differs from run to run
    """

    def __init__(self) -> None:
        self.text = ""
        self.complaints: list[str] = []
        self._said: list[str] = []
        self._printed = ""

    def say(self, text: str, *, old: bool) -> None:
        """Note one warning or log record; ``old``: it says only that something is deprecated."""
        if len(self._said) < _WARNINGS_KEPT and text not in self._said:
            self._said.append(text)
        if not old:
            self._complain(text)

    def _complain(self, text: str) -> None:
        line = one_line(text)
        if len(self.complaints) < _WARNINGS_KEPT and line not in self.complaints:
            self.complaints.append(line)

    def finish(self, output: BinaryIO) -> None:
        """Read what was printed."""
        output.seek(0)
        printed = output.read(_SCANNED).decode("utf-8", "replace")
        for line in (each[:_LONGEST_LINE] for each in printed.splitlines()):
            if _COMPLAINS.search(line) and not _DEPRECATED.search(line):
                self._complain(line)
        self._printed = (self._printed + printed)[:KEPT]
        self.text = "\n".join([*self._said, self._printed])[:KEPT]


class _Records(logging.Handler):
    def __init__(self, capture: Capture) -> None:
        super().__init__(logging.WARNING)
        self.capture = capture

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception:
            text = str(record.msg)
        self.capture.say(f"{record.levelname} {record.name}: {text}", old=_DEPRECATED.search(text) is not None)


@contextlib.contextmanager
def captured(capture: Capture) -> Iterator[None]:
    """Send file descriptors 1 and 2, warnings and log records of WARNING or above to a :class:`Capture`.

    The descriptors are put back whatever happened to them meanwhile.  What is printed lies in a file ``said-…`` among the
    temporary ones meanwhile, where it can be found if the process dies.
    """
    handler = _Records(capture)

    def note(message: Warning | str, category: type[Warning], *details: Any, **more: Any) -> None:
        old = issubclass(category, _DEPRECATIONS) or _DEPRECATED.search(str(message)) is not None
        capture.say(f"{category.__name__}: {message}", old=old)

    with _output() as output, warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        root = logging.getLogger()
        root.addHandler(handler)
        try:
            with _descriptors(output):
                yield
        finally:
            root.removeHandler(handler)
            with contextlib.suppress(OSError), output.open("rb") as file:
                capture.finish(file)


@contextlib.contextmanager
def _output() -> Iterator[Path]:
    """A file by its name: a library that closes every file that it finds closes an open one too."""
    number, name = tempfile.mkstemp(prefix=SAID)
    os.close(number)
    try:
        yield Path(name)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)


@contextlib.contextmanager
def _descriptors(output: Path) -> Iterator[None]:
    _flush()
    saved = {number: _copy(number) for number in (1, 2)}
    streams = sys.stdin, sys.stdout, sys.stderr
    number = os.open(output, os.O_WRONLY | os.O_APPEND)
    try:
        for each in saved:
            os.dup2(number, each)
        os.close(number)
        yield
    finally:
        _flush()
        sys.stdin, sys.stdout, sys.stderr = map(_usable, streams, range(3))
        for each, copy in saved.items():
            _return(copy, each)


def _copy(number: int) -> int:
    try:
        return os.dup(number)
    except OSError:  # there was none
        return os.open(os.devnull, os.O_RDWR)


def _return(copy: int, number: int) -> None:
    """Put a descriptor back; nowhere is where output goes if the copy was closed."""
    try:
        os.dup2(copy, number)
        os.close(copy)
    except OSError:
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)


def _usable(stream: Any, number: int) -> Any:
    """The stream itself, or another where it was closed."""
    if stream is None or not stream.closed:
        return stream
    return open(number, "w" if number else "r", encoding="utf-8", errors="replace", closefd=False)


def _flush() -> None:
    """Python's buffers, and those of the C library: what a cell printed must not come out in the next."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).fflush(None)


_SELDOM = 1_000_000


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Collect garbage seldom while modules are imported, which leave next to none; what they set themselves stays."""
    before, seldom = gc.get_threshold(), (_SELDOM, *gc.get_threshold()[1:])
    gc.set_threshold(*seldom)
    try:
        yield
    finally:
        if gc.get_threshold() == seldom:
            gc.set_threshold(*before)


@contextlib.contextmanager
def guarded(capture: Capture, left: set[str] | None = None, *, importing: bool = False) -> Iterator[None]:
    """Both: what is said is captured, what is changed is put back; ``left`` and ``importing`` as :func:`put_back` has them."""
    with put_back(left, importing=importing), captured(capture):
        yield
