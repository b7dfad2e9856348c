"""The tables that a run leaves behind."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nir_interop.explain.rules_in_words import found_in_words, rule_in_words
from nir_interop.fingerprint import Fingerprint, Identified, Origin
from nir_interop.graphs import NEURONS
from nir_interop.report.machine import machine
from nir_interop.rule import NIR_MEANING
from nir_interop.schema import REPORT, RULES, SOURCES, TIMINGS, write_table, write_text

if TYPE_CHECKING:
    from nir_interop.matrix.results import Results
    from nir_interop.report.page import Details


def write_results(found: Results, folder: Path, rows: Sequence[Mapping[str, Any]]) -> list[Path]:
    """Write report.csv, sources.csv, timings.csv and environment.json; returns their paths, the report's first."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = ((REPORT, rows), (SOURCES, found.source_rows()), (TIMINGS, found.timing_rows()))
    written = []
    for schema, table in tables:
        path = folder / schema.name
        write_table(path, [dict(row) for row in table], schema)
        written.append(path)
    path = folder / "environment.json"
    environment = {**found.environment(), **machine()}
    write_text(path, json.dumps(environment, indent=2, sort_keys=True) + "\n")
    return [*written, path]


def write_pages(folder: Path, details: Details | None) -> list[Path]:
    """Write report.html, report.md and report.svg from the tables in a folder; returns their paths, the page's first.

    details : what the store kept of the run, None where there is nothing
    """
    from nir_interop.report.page import page_of, write_page
    from nir_interop.report.summary_page import write_summary

    page = page_of(folder, details)
    return [write_page(page, folder), *write_summary(page, folder)]


def rule_rows(found: Sequence[tuple[str, Fingerprint]]) -> list[dict[str, Any]]:
    """The rows of rules.csv: version and fingerprints of each backend, of both sides, and NIR's own meaning beside them."""
    kinds = sorted({kind for _, fingerprint in found for kind in fingerprint.rules if kind in NEURONS})
    meaning = Fingerprint("NIR", Origin.IMPORT, "", {kind: Identified(NIR_MEANING) for kind in kinds})
    return [
        {
            "backend": fingerprint.backend,
            "version": version or None,
            "side": fingerprint.origin.value,
            "options": fingerprint.options or None,
            "primitive": kind,
            **one.rule.as_dict(),
            "says": rule_in_words(one.rule, kind) if fingerprint is meaning else found_in_words(kind, one),
            "outputs": one.outputs,
            "mismatched": one.mismatched,
            "ties": "; ".join(f"{tie.axis}: {' or '.join(tie.values)}" for tie in one.ties) or None,
            "refuses": "; ".join(each.parameter for each in one.refuses) or None,
        }
        for version, fingerprint in (*found, ("", meaning))
        for kind, one in sorted(fingerprint.rules.items())
    ]


def write_rules(found: Sequence[tuple[str, Fingerprint]], folder: Path) -> Path:
    """Write rules.csv: version and fingerprints of each backend, of both sides, and NIR's own meaning beside them."""
    rows = rule_rows(found)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RULES.name
    write_table(path, rows, RULES)
    return path
