"""``nir-interop sweep``: what the time step does to each neuron of each backend, and to trained networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nir_interop.cli.options import RESULTS, STORE, Backends, Json, Quiet, Seed, Store, a_folder, print_json, say_line

NETWORKS = (("mlp_lif", "norse"), ("mlp_cuba", "snntorch"))
"""Trained networks of the sweep: name, and the library that trained it."""


def sweep(
    backend: Backends = None,
    dt: Annotated[list[float] | None, typer.Option("--dt", help="Neurons at this step only, in seconds (repeatable).")] = None,
    seed: Seed = 0,
    store: Store = STORE,
    results: Annotated[
        Path, typer.Option("--results", callback=a_folder("--results"), help="Where dt_sweep.csv is written.")
    ] = RESULTS,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Compare every backend's neurons with continuous time, from 1e-3 to 1e-6 s, and write results/dt_sweep.csv."""
    from nir_interop.backends.environments import backends, installed
    from nir_interop.conformance.sweep import STEPS
    from nir_interop.conformance.sweep import sweep as run
    from nir_interop.conformance.sweep_networks import sweep_network
    from nir_interop.errors import BadInput
    from nir_interop.schema import DT_SWEEP, write_table
    from nir_interop.store.store import Store as Cells

    there = installed(backend) if backend else [each for each in backends() if each.installed and not each.apart]
    steps = tuple(dict.fromkeys(dt or STEPS))
    for step in steps:
        if not min(STEPS) <= step <= max(STEPS) or abs(max(STEPS) / step - round(max(STEPS) / step)) > 1e-6:
            range_ = f"divides {max(STEPS):g} s and is no shorter than {min(STEPS):g} s"
            raise BadInput(f"--dt {step:g}: a step of the sweep {range_}, 1e-4 for instance")
    tell = None if json or quiet else _tell
    rows = run(there, steps=steps, seed=seed, on_row=tell)
    for network, exporter in () if dt else NETWORKS:
        rows += sweep_network(network, exporter, there, Cells(store), seed=seed, on_row=tell)
    results.mkdir(parents=True, exist_ok=True)
    write_table(results / DT_SWEEP.name, rows, DT_SWEEP)
    if json:
        print_json({"rows": rows})
    elif not quiet:
        say_line(f"{len(rows)} rows → {results / DT_SWEEP.name}")


def _tell(row: dict[str, Any]) -> None:
    error, right = row.get("spike_time_error"), row.get("accuracy")
    said = row["status"] if error is None else f"{row['spikes']} spikes for {row['spikes_exact']}, {error:.2g} s off"
    said = said if right is None else f"accuracy {right:.3f}"
    typer.echo(f"{row['backend']} {row['subject']} dt {row['dt']:g}: {said}", err=True)
