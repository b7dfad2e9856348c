"""``nir-interop rules``: the update rule of each backend, identified by probing it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.options import RESULTS, STORE, Json, Store, print_json

if TYPE_CHECKING:
    from harness.fingerprint import Fingerprint, Identified


def rules(
    backend: Annotated[list[str] | None, typer.Argument(help="Only these backends.")] = None,
    store: Store = STORE,
    results: Annotated[Path, typer.Option("--results", help="Where rules.csv is written.")] = RESULTS,
    json: Json = False,
) -> None:
    """Identify how each library's importer steps NIR's neurons, and write results/rules.csv."""
    from harness.environments import backend as find
    from harness.environments import backends
    from harness.explain.says import says
    from harness.matrix.fingerprints import import_fingerprint
    from harness.matrix.store import Store as Cells
    from harness.report.files import write_rules

    chosen = (
        [find(name) for name in dict.fromkeys(backend)] if backend else [each for each in backends() if each.name != "exact"]
    )
    cells = Cells(store)
    found = [(each, import_fingerprint(each, cells)) for each in chosen if each.installed]
    if not backend:
        write_rules([(each.version, fingerprint) for each, fingerprint in found], results)
    if json:
        document = {
            fingerprint.backend: {
                fingerprint.side.value: {kind: _facts(one, says(one.rule)) for kind, one in sorted(fingerprint.rules.items())}
            }
            for _, fingerprint in found
        }
        print_json(document)
        return
    for _, fingerprint in found:
        _show(fingerprint)


def _facts(one: Identified, sentence: str) -> dict[str, Any]:
    return {
        **one.rule.as_dict(),
        "says": sentence,
        "ties": [{"axis": tie.axis, "values": list(tie.values), "splits": tie.splits} for tie in one.ties],
        "refuses": [{"parameter": each.parameter, "status": each.status, "message": each.message} for each in one.refuses],
        "outputs": one.outputs,
        "mismatched": one.mismatched,
    }


def _show(fingerprint: Fingerprint) -> None:
    from harness.explain.says import says

    typer.echo(f"{fingerprint.backend} ({fingerprint.side.value})")
    for kind, one in sorted(fingerprint.rules.items()):
        typer.echo(f"  {kind}: {says(one.rule)}; {one.mismatched} of {one.outputs} outputs differ")
        for tie in one.ties:
            typer.echo(f"      not told apart: {tie.axis} {' or '.join(tie.values)} ({tie.splits})")
        for refusal in one.refuses:
            typer.echo(f"      does not take {refusal.parameter}: {refusal.message or refusal.status}")
