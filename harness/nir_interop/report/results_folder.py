"""What a run writes into a folder of results: tables, environment.json, pages."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nir_interop.explain.conditions_in_words import condition_in_words, subject_in_words
from nir_interop.explain.rules_in_words import axes_of, found_in_words, rule_in_words
from nir_interop.fingerprint import Domain, Fingerprint, Identified, Origin
from nir_interop.graphs import NEURONS
from nir_interop.rule import NIR_MEANING
from nir_interop.schema import REPORT, RULES, SOURCES, TIMINGS, write_table, write_text
from nir_interop.vocabulary import ADAPTERS_OWN

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


def rule_rows(found: Sequence[tuple[str, Fingerprint]], own: Collection[str] = ()) -> list[dict[str, Any]]:
    """The rows of rules.csv: version and fingerprints of each backend, of both sides, and NIR's own meaning beside them.

    own : backends whose importer is their adapter's own
    """
    kinds = {kind for _, fingerprint in found for kind in fingerprint.rules if isinstance(kind, str) and kind in NEURONS}
    meaning = Fingerprint("NIR", Origin.IMPORT, "", Domain({kind: Identified(NIR_MEANING) for kind in kinds}))
    return [
        {
            "backend": fingerprint.backend,
            "version": version or None,
            "importer_by": ADAPTERS_OWN if fingerprint.origin is Origin.IMPORT and fingerprint.backend in own else None,
            "side": fingerprint.origin.value,
            "options": fingerprint.options or None,
            "primitive": subject_in_words(kind),
            **axes_of(kind, one),
            "says": rule_in_words(one.rule, subject_in_words(kind)) if fingerprint is meaning else found_in_words(kind, one),
            "outputs": one.outputs,
            "mismatched": one.mismatched,
            "ties": "; ".join(f"{tie.axis}: {' or '.join(tie.values)}" for tie in one.ties) or None,
            "refuses": "; ".join(condition_in_words(each.condition, kind) for each in one.refusals) or None,
        }
        for version, fingerprint in (*found, ("", meaning))
        for kind, one in fingerprint.rules.items()
    ]


def write_rules(found: Sequence[tuple[str, Fingerprint]], folder: Path, own: Collection[str] = ()) -> Path:
    """Write rules.csv: version and fingerprints of each backend, of both sides, and NIR's own meaning beside them.

    own : backends whose importer is their adapter's own
    """
    rows = rule_rows(found, own)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RULES.name
    write_table(path, rows, RULES)
    return path


CPUINFO = Path("/proc/cpuinfo")
"""Where Linux says it."""


def machine() -> dict[str, Any]:
    """``cpu``: the processor's name; ``cores``: physical ones; ``memory_gib``: whole GiB.  None for what is not known.

    The same from run to run on one machine: nothing in it says how busy that is.
    """
    text = CPUINFO.read_text(encoding="utf-8", errors="replace") if CPUINFO.is_file() else ""
    return {"cpu": name_in(text) or _asked() or platform.processor() or None, "cores": cores_in(text), "memory_gib": _memory()}


def name_in(cpuinfo: str) -> str:
    """The first processor's name in the text of CPUINFO, with single spaces; empty where there is none."""
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return " ".join(found[1].split()) if found else ""


def cores_in(cpuinfo: str) -> int | None:
    """Physical cores: threads that share one count once; None where the text does not say."""
    cores = {
        (socket[1] if (socket := re.search(r"^physical id\s*:\s*(\d+)", block, re.MULTILINE)) else "", core[1])
        for block in cpuinfo.split("\n\n")
        if (core := re.search(r"^core id\s*:\s*(\d+)", block, re.MULTILINE))
    }
    return len(cores) or None


def _asked() -> str:
    """The processor's name on macOS."""
    if platform.system() != "Darwin":
        return ""
    try:
        done = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _memory() -> int | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (AttributeError, ValueError, OSError):
        return None
