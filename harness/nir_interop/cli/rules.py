"""``nir-interop rules``: the update rule of each backend, identified by probing it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nir_interop.cli.options import RESULTS, STORE, Json, Quiet, Store, a_folder, complete_backend, print_json, say

if TYPE_CHECKING:
    from nir_interop.fingerprint import Fingerprint, Identified, Refusal


def rules(
    backend: Annotated[list[str] | None, typer.Argument(help="Only these backends.", autocompletion=complete_backend)] = None,
    store: Store = STORE,
    results: Annotated[
        Path, typer.Option("--results", callback=a_folder("--results"), help="Where rules.csv is written.")
    ] = RESULTS,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Identify how each library steps NIR's neurons, its importer's and its own, and write results/rules.csv."""
    from nir_interop.backends.environments import backend as find
    from nir_interop.backends.environments import backends
    from nir_interop.report.files import write_rules
    from nir_interop.store.store import Store as Cells
    from nir_interop.transfer.fingerprints import LIMIT, import_fingerprint, native_neurons
    from nir_interop.workers.live import LiveBackend

    chosen = (
        [find(name) for name in dict.fromkeys(backend)] if backend else [each for each in backends() if each.name != "exact"]
    )
    cells = Cells(store)
    found: list[tuple[str, Fingerprint]] = []
    for each in chosen:
        if each.installed:
            with LiveBackend(each, limit=LIMIT) as live:
                imported = import_fingerprint(each, cells, live=live)
                own = [native_neurons(each, cells, recurrent=recurrent, live=live).fingerprints for recurrent in (False, True)]
            found += [(each.version, fingerprint) for fingerprint in (imported, *own[0], *own[1])]
    if not backend:
        write_rules(found, results)
    if json:
        print_json(_document([fingerprint for _, fingerprint in found]))
    elif not quiet:
        _show_meaning()
        for _, fingerprint in found:
            _show(fingerprint)


def _document(found: Iterable[Fingerprint]) -> dict[str, Any]:
    """Backend → side → primitive → facts, under a native neuron's options; and NIR's own meaning."""
    from nir_interop.explain.rule_text import says
    from nir_interop.fingerprint import Origin
    from nir_interop.rule import NIR_MEANING

    document: dict[str, Any] = {"NIR": {"meaning": {**NIR_MEANING.as_dict(), "says": says(NIR_MEANING)}}}
    for fingerprint in found:
        sides = document.setdefault(fingerprint.backend, {origin.value: {} for origin in Origin})
        facts = {kind: _facts(kind, one) for kind, one in sorted(fingerprint.rules.items())}
        sides[fingerprint.origin.value] |= {fingerprint.options: facts} if fingerprint.origin is Origin.NATIVE else facts
    return document


def _facts(kind: str, one: Identified) -> dict[str, Any]:
    from nir_interop.explain.rule_text import found

    return {
        **one.rule.as_dict(),
        "says": found(kind, one),
        "ties": [{"axis": tie.axis, "values": list(tie.values), "splits": tie.splits} for tie in one.ties],
        "refuses": [{"parameter": each.parameter, "status": each.status, "message": each.message} for each in one.refuses],
        "outputs": one.outputs,
        "mismatched": one.mismatched,
    }


def _show_meaning() -> None:
    from nir_interop.explain.rule_text import says
    from nir_interop.graphs import NEURONS
    from nir_interop.rule import NIR_MEANING

    say("NIR (its own meaning)")
    for kind in sorted(NEURONS):
        say(f"  {kind}: {says(NIR_MEANING, kind)}")


def _show(fingerprint: Fingerprint) -> None:
    from nir_interop.explain.rule_text import found

    side = f"{fingerprint.origin.value}: {fingerprint.options}" if fingerprint.options else fingerprint.origin.value
    say(f"{fingerprint.backend} ({side})")
    for kind, one in sorted(fingerprint.rules.items()):
        compared = f"; {one.mismatched} of {one.outputs} outputs differ" if one.outputs else ""
        say(f"  {kind}: {found(kind, one)}{compared}")
        for tie in one.ties:
            say(f"      not told apart: {tie.axis} {' or '.join(tie.values)} ({tie.splits})")
        for message, parameters in _alike(one.refuses):
            say(f"      {message[0]} {'; '.join(parameters)}: {message[1]}")


def _alike(refuses: Iterable[Refusal]) -> list[tuple[tuple[str, str], list[str]]]:
    """Refusals in the same words but for their numbers: whose they are, the first one's words, and what each is of."""
    from nir_interop.vocabulary import Status

    found: dict[tuple[str, str], tuple[tuple[str, str], list[str]]] = {}
    for refusal in refuses:
        said = refusal.message or refusal.status
        whose = "nir.read does not take" if refusal.status == Status.READ_ERROR else "does not take"
        found.setdefault((whose, re.sub(r"\d+", "0", said)), ((whose, said), []))[1].append(refusal.parameter)
    return list(found.values())
