"""What a run of the matrix or a study says while it runs: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from nir_interop.printable import printable

if TYPE_CHECKING:
    from nir_interop.matrix.campaign import Event
    from nir_interop.report.diff import RunDifference

LINE_EVERY = 10.0
"""Seconds between two plain lines."""


class Progress:
    """Shows events; on stderr, so that stdout holds results only.

    An interrupt leaves it with a message that says what is kept in ``store``.
    """

    def __init__(self, *, quiet: bool = False, store: Path | None = None) -> None:
        self.quiet = quiet
        self.store = store
        self._done = 0
        self._total = 0
        self.console = Console(stderr=True, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Bar(*columns, TextColumn("{task.fields[counts]}"), console=self.console, transient=True)
        self._task = self._bar.add_task("matrix", total=None, counts="")
        self._shown = time.monotonic()

    def __enter__(self) -> Progress:
        if self._draws:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._draws:
            self._bar.stop()
        if kind is not None and issubclass(kind, KeyboardInterrupt) and self.store is not None:
            raise KeyboardInterrupt(interrupted(self._done, self._total, self.store)) from error

    @property
    def _draws(self) -> bool:
        return self.console.is_terminal and not self.quiet

    def show(self, event: Event) -> None:
        """Tell that one more source or cell is known."""
        self._done, self._total = event.done, event.total
        if self.quiet:
            return
        counts = _counted(event.counts)
        if self._draws:
            self._bar.update(self._task, completed=event.done, total=event.total, counts=counts)
        elif time.monotonic() - self._shown > LINE_EVERY:
            self._shown = time.monotonic()
            self.console.print(f"{event.done}/{event.total} {counts}", soft_wrap=True)

    def conclude(
        self, rows: Sequence[Mapping[str, Any]], seconds: float, surprises: Sequence[str], written: Sequence[Path]
    ) -> None:
        """The table at the end, what known_issues.toml does not know, and where the results are."""
        from nir_interop.report.cells import natively, reconciliation, summary_table

        if self.quiet:
            return
        console = Console(highlight=False)
        console.print(summary_table(rows))
        found = reconciliation(rows)
        if any(row["mode"] == "reconciled" for row in rows):
            tell(console, _reconciled(**found))
        for line in surprises:
            tell(console, f"known issues: {line}")
        tell(console, f"{len(natively(rows))} cells in {seconds:.1f} s → {written[0]}")

    def say(self, lines: Sequence[str]) -> None:
        """Further lines at the end."""
        if not self.quiet:
            console = Console(highlight=False)
            for line in lines:
                tell(console, line)

    def compare(self, difference: RunDifference | None, unread: str) -> None:
        """What became of the cells of the report that was there, in a few lines; or why that cannot be said."""
        from nir_interop.report.diff import few_lines

        if self.quiet:
            return
        console = Console(highlight=False)
        for line in few_lines(difference) if difference is not None else [unread] * bool(unread):
            tell(console, line)


class TaskProgress:
    """Says how far a study has come: a bar on a terminal, a line now and then elsewhere; on stderr."""

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
            if time.monotonic() - shown > 2 * LINE_EVERY:
                shown = time.monotonic()
                self.say(f"{what}: {done}/{total}")

        return advance

    def say(self, text: str) -> None:
        """One plain line."""
        if not self.quiet:
            self.console.print(text, soft_wrap=True, markup=False)


class InstallProgress:
    """Says what pip does while it takes long: one line that changes on a terminal, a line now and then elsewhere; on stderr."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.console = Console(stderr=True, highlight=False)

    @contextmanager
    def of(self, what: str) -> Iterator[Callable[[str], None]]:
        """Within the block, call what it gives with each line."""
        if self.quiet:
            yield lambda line: None
        elif self.console.is_terminal:
            with self.console.status(f"{escape(printable(what))}: …") as status:
                yield lambda line: status.update(escape(printable(f"{what}: {line}")))
        else:
            heard, over = [""], threading.Event()
            thread = threading.Thread(target=self._tick, args=(what, heard, over), daemon=True)
            thread.start()
            try:
                yield lambda line: heard.__setitem__(0, line or heard[0])
            finally:
                over.set()
                thread.join()

    def _tick(self, what: str, heard: Sequence[str], over: threading.Event) -> None:
        began = shown = time.monotonic()
        said = ""
        while not over.wait(LINE_EVERY):
            now = time.monotonic()
            if heard[0] != said or now - shown > 6 * LINE_EVERY:
                said, shown = heard[0], now
                self.console.print(printable(f"{what}: {said} ({now - began:.0f} s)"), soft_wrap=True, markup=False)


def tell(console: Console, line: str) -> None:
    """One line as it is; on a terminal cut into as many as its width asks for."""
    console.print(printable(line), soft_wrap=not console.is_terminal, markup=False)


def interrupted(done: int, total: int, store: Path) -> str:
    """What an interrupted run of the matrix leaves behind, and how to go on."""
    known = f"{done} of at least {total} results are" if done else "what was finished is"
    return f"interrupted; {known} stored in {store}, no table was written; the same command goes on from there"


def _reconciled(differ: int, reconciled: int, allowed: int) -> str:
    """One line on what reconciling does."""
    share = f" ({reconciled / differ:.0%})" if differ else ""
    of = f"; {reconciled} of the {allowed} that nothing forbids ({reconciled / allowed:.0%})" if allowed else ""
    return f"reconciled: {reconciled} of the {differ} cells that differ{share}{of}"


def _counted(counts: Mapping[str, int]) -> str:
    return " · ".join(f"{status} {count}" for status, count in sorted(counts.items()))
