"""A cell as a folder: graph, input, expected output, and a script that needs only the library itself."""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import numpy as np

from harness.adapter import load_adapter
from harness.errors import BadInput
from harness.matrix.arrays import load_arrays
from harness.recording import Recording
from harness.safe_files import write_safe
from harness.wording import printable

if TYPE_CHECKING:
    from harness.matrix.outcomes import CellResult
    from harness.matrix.store import Store

SCRIPT = Template('''\
"""$title

$network, written and exported by $exporter, read by $importer: $status.
Needs $needs; prints how many outputs differ from what $exporter itself computed.
"""

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


def write_repro(cell: CellResult, store: Store, folder: Path) -> list[Path]:
    """Write the folder of one cell; returns its files.

    Raises BadInput for a cell without a graph, whose error is in the table already.
    """
    job, source = cell.job, cell.source
    if not job.importer:
        said = f"{source.outcome.get('error_type', '')}: {source.outcome.get('error_message', '')}"
        raise BadInput(f"{job.cell_id}: there is no graph to reproduce it with, {job.source.exporter} ended with {said}")
    objects = source.outcome["objects"]
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in ("graph.nir", "case.npz", "repro.py")]
    write_safe(store.object(objects["graph.nir"]), files[0])
    stimulus = load_arrays(store.object(source.stimulus["objects"]["stimulus"]))["input"]
    expected = Recording.load(store.object(objects["recording.npz"])).output
    np.savez_compressed(files[1], allow_pickle=False, input=stimulus, expected=expected)
    adapter = load_adapter(job.importer.partition("==")[0])  # a labelled backend has the adapter of its library
    text = SCRIPT.substitute(
        title=_quoted(job.cell_id),
        network=_quoted(job.source.network),
        exporter=_quoted(job.source.exporter),
        importer=_quoted(job.importer),
        status=_quoted(cell.outcome["status"]),
        needs=" and ".join(adapter.needs),
        dt=repr(job.dt_import),
        script=adapter.script.strip(),
    )
    files[2].write_text(text, encoding="utf-8")
    return files


def _quoted(text: str) -> str:
    """A text that cannot end the script's own words."""
    return printable(text).replace("\\", "/").replace('"', "'")
