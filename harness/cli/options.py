"""Options that mean the same for every verb."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

Seed = Annotated[int, typer.Option("--seed", help="Of weights and stimuli.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else there.")]
Jobs = Annotated[int, typer.Option("--jobs", min=0, help="Worker processes at a time; 0: one per core.")]
Backends = Annotated[list[str] | None, typer.Option("--backend", help="Only this backend (repeatable).")]
Store = Annotated[Path, typer.Option("--store", help="Where finished cells are kept for reuse.")]
TimeLimit = Annotated[float, typer.Option("--time-limit", min=0.1, help="Seconds a cell may take.")]

STORE = Path(".nir-interop")
RESULTS = Path("results")


def print_json(document: Any) -> None:
    """The one object that ``--json`` promises."""
    typer.echo(json.dumps(document, indent=2, sort_keys=False, allow_nan=False))
