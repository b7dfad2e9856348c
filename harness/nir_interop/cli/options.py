"""Options that mean the same for every verb."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from nir_interop.interface.places import check_file, check_folder
from nir_interop.memory import VARIABLE


def complete_backend(incomplete: str) -> list[str]:
    """Names of backends, for the shell."""
    from nir_interop.backends.environments import backends

    return [each.name for each in backends() if each.name.startswith(incomplete)]


def complete_network(incomplete: str) -> list[str]:
    """Names of networks, for the shell."""
    from nir_interop.networks import names, twins

    return [name for name in (*names(), *twins()) if name.startswith(incomplete)]


def finite(context: typer.Context, value: Any) -> Any:
    """The value of an option that takes numbers, where they are finite; their range is the option's own."""
    for each in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(each, float) and not math.isfinite(each):
            raise typer.BadParameter(f"{each} is no number that can be counted with; write a finite one.")
    return value


def _allow(context: typer.Context, value: float) -> float:
    """Let runs hold so much as long as the verb runs."""
    from nir_interop.memory import allowed

    context.with_resource(allowed(value))
    return value


def a_file(option: str) -> Callable[[Path | None], Path | None]:
    """A callback for an option that says where a file goes: it is looked at before anything is run."""
    return _looked_at(check_file, option)


def a_folder(option: str) -> Callable[[Path | None], Path | None]:
    """A callback for an option that says into which folder files go."""
    return _looked_at(check_folder, option)


def _looked_at(look: Callable[[Path, str], None], option: str) -> Callable[[Path | None], Path | None]:
    def check(value: Path | None) -> Path | None:
        if value is not None:
            look(value, option)
        return value

    return check


MOST_SEED, MOST_JOBS = 2**32 - 1, 1024
"""Every generator of every library takes that seed; more processes than that no machine has use for."""
LONGEST = 1e6
"""Seconds that a time limit may be: eleven days."""

Input = Annotated[
    Path | None,
    typer.Option("--input", help="npz with 'input', axes (T, B, *shape); of several Inputs an array for each by its name."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=MOST_SEED, help="Seed of weights and stimuli.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Jobs = Annotated[int, typer.Option("--jobs", min=0, max=MOST_JOBS, help="Worker processes at a time; 0: one per core.")]
Backends = Annotated[
    list[str] | None, typer.Option("--backend", help="Only this backend (repeatable).", autocompletion=complete_backend)
]
Store = Annotated[
    Path,
    typer.Option(
        "--store",
        envvar="NIR_INTEROP_STORE",
        callback=a_folder("--store"),
        help="Where finished cells are kept for reuse.",
    ),
]
TimeLimit = Annotated[
    float, typer.Option("--time-limit", min=0.1, max=LONGEST, callback=finite, help="Seconds a cell may take.")
]
MemoryLimit = Annotated[
    float,
    typer.Option(
        "--memory-limit", envvar=VARIABLE, callback=_allow, help="GiB that one run may hold; more is refused before it begins."
    ),
]

STORE = Path(".nir-interop")
RESULTS = Path("results")
ALL = RESULTS / "all"
"""Where the tables of all backends are written."""

All = Annotated[
    bool,
    typer.Option("--all", help=f"Every backend that is installed, those that live apart as well; results go to {ALL}."),
]


def every_backend(named: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """For ``--all``: the names of all installed backends, and a line for each that is not installed, with what installs it.

    named : what was named beside it

    Raises BadInput where there is something.
    """
    from nir_interop.backends.environments import backends
    from nir_interop.errors import BadInput

    if named:
        raise BadInput(f"--all takes every backend; leave out {', '.join(named)}, or leave out --all")
    there = [each for each in backends() if each.name == each.library]
    return [each.name for each in there if each.installed], [each.hint for each in there if not each.installed]


def print_json(document: Any) -> None:
    """The one object that ``--json`` promises."""
    typer.echo(json.dumps(document, indent=2, sort_keys=False, allow_nan=False))


def plain(text: str) -> str:
    """A text in which nothing of a file's or a library's acts on the terminal; its line breaks stay."""
    from nir_interop.printable import printable

    return "\n".join(printable(line) for line in text.split("\n"))


def complain(text: str) -> None:
    """One line on stderr."""
    from nir_interop.printable import printable

    with contextlib.suppress(OSError):  # the terminal may be gone, which is why this is said
        typer.echo(f"nir-interop: {printable(text)}", err=True)


def say(text: str) -> None:
    """Print on stdout; on a terminal, lines that are wider than it are cut at spaces, and what follows is indented."""
    text = plain(text)
    if not sys.stdout.isatty():
        typer.echo(text)
        return
    width = shutil.get_terminal_size().columns
    for line in text.split("\n"):
        indent = " " * min(len(line) - len(line.lstrip()) + 2, width // 2)
        cut = textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False, replace_whitespace=False)
        typer.echo("\n".join(cut) if len(line) > width else line)


def say_line(text: str) -> None:
    """Print one line, whatever line breaks the names in it have."""
    from nir_interop.printable import printable

    say(printable(text))


def say_table(lines: Sequence[Sequence[str]]) -> None:
    """Print cells in aligned columns; on a terminal, those that have no room follow below, beside the first one again."""
    from nir_interop.printable import printable

    lines = [[printable(cell) for cell in line] for line in lines]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else sum(widths) + 2 * len(widths)
    blocks: list[list[int]] = [[]]
    for column in range(1, len(widths)):
        taken = widths[0] + sum(2 + widths[each] for each in blocks[-1])
        if blocks[-1] and taken + 2 + widths[column] > room:
            blocks.append([])
        blocks[-1].append(column)
    for number, block in enumerate(blocks):
        if number:
            typer.echo()
        for line in lines:
            typer.echo("  ".join(f"{line[each]:<{widths[each]}}" for each in (0, *block)).rstrip())
