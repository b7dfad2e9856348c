"""The plain script that the matrix is measured against: one process, the same cells one after another, nothing else.

    python -m bench.plain STORE

It builds (with the trainings that STORE knows), exports, writes, reads, imports and runs every cell of the default
matrix; no isolation, no repeats, no comparison.  What raises is passed over, as such a script's author would.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from pathlib import Path

from nir_interop.backends.adapter import Adapter, available, load_adapter
from nir_interop.matrix.plan import DTS
from nir_interop.networks import Network, catalogue, names
from nir_interop.stimuli import stimulus_for


def main(store: Path) -> int:
    """Run every cell; returns how many there were."""
    adapters = {name: load_adapter(name) for name in available()}
    for adapter in adapters.values():
        adapter.prepare()
    cells = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.nir"
        for name in names():
            entry = catalogue(name)
            stimulus = stimulus_for(entry, entry.build(0), 0).input
            for exporter in adapters.values():
                network = _learned(entry.build(0), exporter, store)
                for idiom in exporter.idioms:
                    if not _export(exporter, network, idiom, stimulus, path):
                        cells += 1
                        continue
                    for importer in adapters.values():
                        for dt in DTS:
                            with contextlib.suppress(Exception):
                                importer.run(importer.load(path, dt), stimulus)
                            cells += 1
    return cells


def _export(exporter: Adapter, network: Network, idiom: object, stimulus: object, path: Path) -> bool:
    import nir

    try:
        model = exporter.build(network, network.dt, idiom)  # type: ignore[arg-type]
        nir.write(path, exporter.export(model, stimulus[0, :1], network.dt))  # type: ignore[index]
    except Exception:
        return False
    return True


def _learned(network: Network, exporter: Adapter, store: Path) -> Network:
    """The network with what the exporter's library learned, found in the store by asking for a plan that is known."""
    from nir_interop.arrays import load_arrays
    from nir_interop.matrix.campaign import run
    from nir_interop.matrix.plan import make_plan
    from nir_interop.store.store import Store

    if not catalogue(network.name).epochs:
        return network
    cells = Store(store)
    found = run(make_plan(networks=[network.name], exporters=[exporter.name], importers=["reference"]), cells, train=True)
    for source in found.sources:
        learned = source.parameters
        if learned:
            return network.with_parameters(load_arrays(cells.object(learned)))
    return network


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        count = main(Path(sys.argv[1]))
    print(count)
