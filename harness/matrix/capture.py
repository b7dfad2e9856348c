"""What a library says and changes while it works: output, warnings, log records; working directory, environment."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any, BinaryIO

from harness.matrix.messages import one_line

KEPT = 2000
"""Characters of the text that are kept."""
_SCANNED = 16 * 2**20
"""Bytes of the output that are searched for warnings."""
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
        for line in printed.splitlines():
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

    The descriptors are put back whatever happened to them meanwhile.
    """
    handler = _Records(capture)

    def note(message: Warning | str, category: type[Warning], *details: Any, **more: Any) -> None:
        old = issubclass(category, _DEPRECATIONS) or _DEPRECATED.search(str(message)) is not None
        capture.say(f"{category.__name__}: {message}", old=old)

    with tempfile.TemporaryFile() as output, warnings.catch_warnings(), _descriptors(output):
        warnings.simplefilter("always")
        warnings.showwarning = note
        root = logging.getLogger()
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)
            _flush()
            capture.finish(output)


@contextlib.contextmanager
def _descriptors(output: BinaryIO) -> Iterator[None]:
    _flush()
    saved = {number: os.dup(number) for number in (1, 2)}
    streams = sys.stdout, sys.stderr
    try:
        for number in saved:
            os.dup2(output.fileno(), number)
        yield
    finally:
        _flush()
        sys.stdout, sys.stderr = streams
        for number, copy in saved.items():
            os.dup2(copy, number)
            os.close(copy)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


@contextlib.contextmanager
def put_back() -> Iterator[None]:
    """Undo what a library does to the working directory, the environment, the module path and torch's defaults.

    What happens inside has an empty working directory of its own.
    """
    environment, path = dict(os.environ), list(sys.path)
    torch = sys.modules.get("torch")
    defaults = (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()) if torch is not None else None
    before = os.getcwd()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)
            if dict(os.environ) != environment:
                os.environ.clear()
                os.environ.update(environment)
            sys.path[:] = path
            if torch is not None and defaults is not None:
                torch.set_default_dtype(defaults[0])
                if torch.get_num_threads() != defaults[1]:
                    torch.set_num_threads(defaults[1])
                torch.set_grad_enabled(defaults[2])


@contextlib.contextmanager
def guarded(capture: Capture) -> Iterator[None]:
    """Both: what is said is captured, what is changed is put back."""
    with put_back(), captured(capture):
        yield
