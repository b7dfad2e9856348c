"""A bar on a terminal, a line now and then elsewhere; on stderr, so that stdout holds results only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

LINE_EVERY = 20.0
"""Seconds between two plain lines."""


class Progress:
    """Says how far a study has come."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.console = Console(stderr=True, highlight=False)

    @contextmanager
    def task(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """Within the block, call what it gives once for each of ``total`` parts."""
        if self.quiet:
            yield lambda: None
        elif self.console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            with Bar(*columns, console=self.console, transient=True) as bar:
                number = bar.add_task(what, total=total)
                yield lambda: bar.advance(number)
        else:
            yield self._lines(what, total)

    def _lines(self, what: str, total: int) -> Callable[[], None]:
        done, shown = 0, time.monotonic()

        def advance() -> None:
            nonlocal done, shown
            done += 1
            if time.monotonic() - shown > LINE_EVERY:
                shown = time.monotonic()
                self.say(f"{what}: {done}/{total}")

        return advance

    def say(self, text: str) -> None:
        """One plain line."""
        if not self.quiet:
            self.console.print(text, soft_wrap=True, markup=False)
