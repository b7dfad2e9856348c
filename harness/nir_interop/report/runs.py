"""What one run of the matrix left behind, read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nir_interop.errors import BadInput, UnknownName
from nir_interop.schema import REPORT, read_table
from nir_interop.vocabulary import Status

Row = Mapping[str, Any]
ROLES = ("exporter", "importer")


@dataclass(frozen=True)
class Run:
    """What one run left behind.

    path : its report.csv
    rows : its cells, column → value, None for no value; those that were not measured left out
    environment : its environment.json; empty where there is none
    """

    path: Path
    rows: tuple[Row, ...]
    environment: Mapping[str, Any]

    @property
    def versions(self) -> dict[str, str]:
        """Backend → version, of those that took part; several where the cells have several."""
        found: dict[str, set[str]] = {}
        for row in self.rows:
            for role in ("exporter", "importer"):
                if row[role] and row[f"{role}_version"]:
                    found.setdefault(row[role], set()).add(row[f"{role}_version"])
        return {name: ", ".join(sorted(versions)) for name, versions in sorted(found.items())}

    @property
    def distributions(self) -> dict[str, str]:
        """Python and distribution → version; several where the environments have several."""
        found: dict[str, set[str]] = {}
        backends = self.environment.get("backends")
        for versions in backends.values() if isinstance(backends, dict) else ():
            for name, version in versions.items() if isinstance(versions, dict) else ():
                found.setdefault(name, set()).add(str(version))
        python = self.environment.get("python")
        named = {name: ", ".join(sorted(versions)) for name, versions in sorted(found.items())}
        return named | ({"python": str(python)} if python else {})

    @property
    def weights(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Network → exporter → ``sha256`` of the weights that it learned, and whether they came with the project (``shipped``).

        Empty where the run is from before that was written down.
        """
        found = self.environment.get("weights")
        networks = {name: by for name, by in (found.items() if isinstance(found, dict) else ()) if isinstance(by, dict)}
        return {
            network: {
                exporter: {"sha256": str(each.get("sha256")), "shipped": bool(each.get("shipped"))}
                for exporter, each in by.items()
                if isinstance(each, dict)
            }
            for network, by in networks.items()
        }


def read_run(path: Path) -> Run:
    """Read a folder of results, or its report.csv, and the environment.json beside it.

    Raises BadInput where there is no report, or one of other columns.
    """
    report = path / REPORT.name if path.is_dir() else path
    if not report.is_file():
        lacks = f"holds no {REPORT.name}" if path.is_dir() else "there is no such file or folder"
        raise BadInput(f"{path}: {lacks}; name a folder that nir-interop matrix --results wrote, or its {REPORT.name}")
    with report.open("rb") as file:
        if REPORT.names[0].encode() not in file.readline(2**16):
            raise BadInput(f"{report}: is no {REPORT.name}; name one that nir-interop matrix wrote")
    frame = read_table(report, REPORT)
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    environment = environment_beside(report)
    measured = tuple({str(name): value for name, value in row.items()} for row in rows if row["status"] != Status.ENV_MISSING)
    return Run(report, measured, environment)


def environment_beside(report: Path) -> dict[str, Any]:
    """The environment.json beside a report; empty where there is none.  Entries that are not what they should be are left out.

    Raises BadInput where it cannot be read, or holds something other than an object.
    """
    beside = report.with_name("environment.json")
    try:
        found = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{beside}: cannot be read ({error}); nir-interop matrix writes it beside {REPORT.name}") from error
    if not isinstance(found, dict):
        raise BadInput(f"{beside}: holds no object; nir-interop matrix writes it beside {REPORT.name}")
    kept: dict[str, Any] = {name: value for name, value in found.items() if isinstance(value, (str, int, float))}
    for name in _NUMBERS & {*kept}:
        if not isinstance(kept[name], (int, float)):
            del kept[name]
    backends = found.get("backends")
    if isinstance(backends, dict):
        kept["backends"] = {name: versions for name, versions in backends.items() if isinstance(versions, dict)}
    return kept


_NUMBERS = {"cores", "cpus", "memory_gib"}


def without(run: Run, backend: str) -> Run:
    """The run as if a backend had taken no part."""
    return replace(run, rows=tuple(row for row in run.rows if backend not in (row["exporter"], row["importer"])))


def in_place(run: Run, backend: str) -> Run:
    """The run as if ``<library>==<label>`` were the library: its cells bear the library's name, whose own are left out.

    Raises UnknownName for a backend without a label, or one that took no part.
    """
    library, _, label = backend.partition("==")
    there = sorted({row[role] for row in run.rows for role in ROLES if row[role]})
    if not label or backend not in there:
        labelled = ", ".join(name for name in there if "==" in name) or "none"
        raise UnknownName(
            f"--backend {backend}: {run.path} has no such version of a library beside the installed one; it has {labelled}"
        )

    def renamed(row: Row) -> Row:
        names = {role: library if row[role] == backend else row[role] for role in ROLES}
        cell_id = row["cell_id"].replace(f".{backend}@", f".{library}@").replace(f">{backend}@", f">{library}@")
        return {**row, **names, "cell_id": cell_id}

    weights = {
        network: {library if name == backend else name: each for name, each in by.items() if name != library}
        for network, by in run.weights.items()
    }
    environment = {**run.environment, "weights": weights} if run.weights else run.environment
    return replace(run, rows=tuple(renamed(row) for row in without(run, library).rows), environment=environment)
