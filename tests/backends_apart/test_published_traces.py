"""The traces that the NIR paper published, by the libraries that made them, live."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nir_interop.backends.environments import backends
from nir_interop.workers.live import LiveBackend
from nir_interop_studies.nir_paper import lif, live_traces
from nir_interop_studies.nir_paper.paper import Paper

APART = {each.name for each in backends() if each.apart}
TRACES = [trace for trace, way in live_traces.WAYS.items() if way.backend in APART]
SPIKES = {
    "lava_cpu_float": [461, 511, 711, 761],
    "nengo": [460, 510, 710, 760],
    "rockpool": [450, 500, 710, 760],
    "sinabs": [450, 500, 710, 760],
    "spinnaker2": [460, 510, 710, 760],
    "spyx": [461, 511, 711, 761],
}
"""As the paper's folder is described, apart from the files that the study reads."""


def row_of(trace: str, paper: Path, running: Callable[[str], LiveBackend]) -> dict[str, Any]:
    published = Paper(paper)
    given, live = lif.published(published), running(live_traces.WAYS[trace].backend)
    ran = live_traces.run_traces(given, live, lif.run_backend(given, live))[trace]
    assert ran.run.spikes is None or np.flatnonzero(ran.run.spikes).tolist() == SPIKES[trace]
    (row,) = live_traces.rows(given, {trace: published.traces()[trace]}, {trace: [ran]})
    return row


@pytest.mark.parametrize("trace", TRACES)
def test_a_library_spikes_in_the_steps_that_were_published(
    trace: str, paper: Path, running: Callable[[str], LiveBackend]
) -> None:
    row = row_of(trace, paper, running)
    assert row["status"] == "ran"
    assert row["spikes_published"] == row["spikes_run"] == " ".join(map(str, SPIKES[trace]))
    assert row["reproduced"]
    assert row["steps_differing"] == 0
