"""A cell as a folder: graph, input, expected output, and a script that needs only the library itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from nir_interop.arrays import load_arrays
from nir_interop.errors import BadInput
from nir_interop.printable import printable
from nir_interop.recording import Recording
from nir_interop.safe_files import write_safe
from nir_interop.vocabulary import Status
from nir_interop.workers.environment import SAME_SUMS
from nir_interop.workers.jobs import STIMULUS, Described, Trained

if TYPE_CHECKING:
    from nir_interop.matrix.results import CellResult, SourceResult
    from nir_interop.store.store import Store

SCRIPT = Template('''\
"""$title

$network, written and exported by $exporter, read by $importer: $status.
Needs $needs; prints how many outputs differ from what $exporter itself computed.
"""

import os

os.environ.update(  # the same sums on every processor
$surroundings
)

import numpy as np

DT = $dt
case = np.load("case.npz")
stimulus, expected = case["input"], case["expected"]  # axes (T, B, ...)

$script

actual = output.reshape(len(expected), expected.shape[1], -1)
if actual.shape != expected.shape:
    raise SystemExit(f"the output has axes {actual.shape}, not {expected.shape}")
differ = actual != expected
print(f"{differ.sum()} of {differ.size} outputs differ;", f"{expected.sum():g} expected, {actual.sum():g} came")
if differ.any():
    step, sample, neuron = np.argwhere(differ)[0]
    print(f"first at step {step}, sample {sample}, neuron {neuron}")
''')


def write_repro(cell: CellResult, store: Store, folder: Path, described: Described) -> list[Path]:
    """Write the folder of one cell; returns its files.

    described : what the importer's adapter says of itself

    Raises BadInput for a cell without a graph, whose error is in the table already.
    """
    job, source = cell.job, cell.source
    if not job.importer:
        said = f"{source.outcome.error_type}: {source.outcome.error_message}"
        raise BadInput(f"{job.cell_id}: there is no graph to reproduce it with, {job.source.exporter} ended with {said}")
    objects = source.outcome.objects
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in ("graph.nir", "case.npz", "repro.py")]
    write_safe(store.object(objects["graph.nir"]), files[0])
    stimulus = load_arrays(store.object(source.stimulus.objects[STIMULUS]))["input"]
    expected = Recording.load(store.object(objects["recording.npz"])).output
    np.savez_compressed(files[1], allow_pickle=False, input=stimulus, expected=expected)
    text = SCRIPT.substitute(
        title=_quoted(job.cell_id),
        network=_quoted(job.source.network),
        exporter=_quoted(job.source.exporter),
        importer=_quoted(job.importer),
        status=_quoted(cell.outcome.status),
        needs=" and ".join(described.needs),
        dt=repr(job.dt_import),
        script=described.script.strip(),
        surroundings="\n".join(f'    {name}="{value}",' for name, value in SAME_SUMS.items()),
    )
    files[2].write_text(text, encoding="utf-8")
    return files


def _quoted(text: str) -> str:
    """A text that cannot end the script's own words."""
    return printable(text).replace("\\", "/").replace('"', "'")


def where_from(source: SourceResult, store: Path) -> str:
    """Where a cell's graph and input come from, in a line: the store, or made now, and with which weights."""
    training = source.training or Trained()
    if not training.trained:
        weights = ""
    elif training.shipped:
        weights = " with the weights that come with the project"
    else:
        weights = " with weights that were trained here: numbers may differ from a report's"
    if source.cached:
        return f"graph and input: from {store}{f', made{weights}' if weights else ''}"
    if training.trained and not training.shipped and not source.training_cached:
        return "graph and input: made now, and the network trained anew: numbers may differ from a report's"
    return f"graph and input: made now{weights}"


COMPARED = ("graph_sha", "status", "error_type", "outputs", "mismatched")
"""What of a row says that a cell is another one."""


@dataclass(frozen=True)
class Held:
    """A cell beside its row in a report.

    report : its path; empty where there is no such row
    differs : column → the report's value and the cell's, of COMPARED
    """

    report: str
    differs: Mapping[str, tuple[Any, Any]]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for ``--json``."""
        return {"path": self.report, "differs": {name: list(pair) for name, pair in self.differs.items()}}

    @property
    def says(self) -> str:
        """In a line; empty where there is no report to speak of."""
        if not self.report:
            return ""
        if not self.differs:
            return f"as in {self.report}"
        other = ["another graph"] if "graph_sha" in self.differs else []
        other += [f"{name} {here}, not {there}" for name, (there, here) in self.differs.items() if name != "graph_sha"]
        return f"not as in {self.report}: {', '.join(other)}"


def held_against(row: Mapping[str, Any], results: Path) -> Held:
    """A cell beside its row in a folder of results.  A report that cannot be read has none.

    A mismatch that the report proves to be rounding is the same where as many outputs differ.
    """
    from nir_interop.report.diff import read_run

    try:
        run = read_run(results)
    except BadInput:
        return Held("", {})
    there = next((each for each in run.rows if each["cell_id"] == row["cell_id"]), None)
    if there is None:
        return Held("", {})
    differs = {name: (there[name], row[name]) for name in COMPARED if there[name] != row[name]}
    if differs.get("status") == (str(Status.ROUNDING), str(Status.MISMATCH)) and "mismatched" not in differs:
        del differs["status"]
    return Held(str(run.path), differs)
