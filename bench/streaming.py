"""How much memory an evaluation takes, and that it takes no more for more recordings.

The test recordings that there are, again and again, as frames of 1 ms, 300 steps each, through the published network for
N-MNIST in SpikingJelly; without data or the published files (``NIR_INTEROP_DATA``, ``NIR_INTEROP_PAPER``) through the
network of our own on the embedded digits.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.figures import Figure

if TYPE_CHECKING:
    from nir_interop_studies.nir_paper.inputs import Frames

LIBRARY = "spikingjelly"
ALL, FEW = 10_000, 300
SECONDS = 3600
"""After which the longer run is ended, wherever it is: memory that grew would have grown by then."""
CEILING = 2048


@dataclass(frozen=True)
class Measured:
    """A run: the data set, how many recordings were run in how many seconds, and MiB of all processes at their peaks."""

    dataset: str
    recordings: int
    seconds: float
    memory: float


def figures() -> list[Figure]:
    """Peak memory of all processes together, and recordings a second, each run in a process of its own."""
    few, many = _apart(FEW), _apart(ALL)
    growth = 1024 * (many.memory - few.memory) / max(1, many.recordings - few.recordings)
    return [
        Figure(f"{few.recordings} recordings of {few.dataset}, all processes, peak", few.memory, CEILING, "MiB"),
        Figure(f"{many.recordings} recordings, peak", many.memory, CEILING, "MiB"),
        Figure(f"recordings run within {SECONDS} s", many.recordings, None, ""),
        Figure("memory for each recording more", growth, None, "KiB"),
        Figure(f"{ALL} recordings by that", many.memory + growth / 1024 * (ALL - many.recordings), CEILING, "MiB"),
        Figure("recordings a second", many.recordings / many.seconds, None, ""),
    ]


def _apart(count: int) -> Measured:
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(measure, (count,))


class _Enough(Exception):
    """The time is over after so many recordings."""


def measure(count: int) -> Measured:
    """Run so many recordings, or as many as the time allows."""
    import torch

    from nir_interop.backends.environments import backend
    from nir_interop.graphs import read
    from nir_interop.store.store import Store
    from nir_interop.transfer.evaluation import Evaluator
    from nir_interop.workers.live import LiveBackend
    from nir_interop_studies.nir_paper.cnn import MEANT
    from nir_interop_studies.nir_paper.crossing import BATCH, LIMIT
    from nir_interop_studies.nir_paper.inputs import Frames

    begun = time.perf_counter()

    class Until(Frames):
        """Recordings as long as there is time."""

        def batch(self, start: int, stop: int) -> NDArray[Any]:
            if time.perf_counter() - begun > SECONDS:
                raise _Enough(start)
            return super().batch(start, stop)

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, LiveBackend(backend(LIBRARY), limit=LIMIT) as live:
        path, there = _given(Path(folder))
        frames = Until(there.recordings, np.resize(there.chosen, count), there.steps)
        begun = time.perf_counter()
        try:
            ran = Evaluator(Store(Path(folder) / "runs"), BATCH).backend(live, read(path), frames, MEANT)
        except _Enough as enough:
            count = int(enough.args[0])
        else:
            if ran.output is None or ran.output.shape[:2] != (frames.steps, count):
                raise RuntimeError(f"{LIBRARY} did not run: {dict(ran.failed)}")
        return Measured(frames.name, count, time.perf_counter() - begun, sum(_peaks()))


def _given(folder: Path) -> tuple[Path, Frames]:
    """A network, and the recordings that there are for it."""
    from nir_interop_studies.nir_paper import substitute_networks
    from nir_interop_studies.nir_paper.inputs import test_recordings
    from nir_interop_studies.nir_paper.paper import CNN_GRAPH, PaperOptions, find_paper

    options = PaperOptions(None, folder, folder, folder)
    paper = find_paper(options)
    if paper is not None:
        return paper.graph(CNN_GRAPH), test_recordings(options)
    task = substitute_networks.convolutional(options, folder)
    return task.path, substitute_networks.tested(options)


def _peaks() -> Iterator[float]:
    """MiB that this process and its children had at most."""
    for process in (Path("/proc/self"), *Path("/proc").glob("[0-9]*")):
        try:
            fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        except OSError:  # It has ended.
            continue
        if process.name == "self" or int(fields["PPid"]) == os.getpid():
            yield int(fields["VmHWM"].split()[0]) / 1024
