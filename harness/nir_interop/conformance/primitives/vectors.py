"""The cases as conformance vectors: files with which a library in any language can test itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from nir_interop.conformance.primitives.cases import SUITE, Array, PrimitiveCase, cases
from nir_interop.errors import BadInput, BadStimulus, InvalidGraph
from nir_interop.graphs import NEURONS, Graph, digest, inline, write
from nir_interop.recording import Recording
from nir_interop.reference import exact_simulator

INDEX = "index.json"

NOTES = {
    "input": "what the graph is fed, float32, axes (T, B, *shape); constant within a step of dt seconds",
    "expected": "what reaches the Output under NIR's meaning in steps of dt (forward Euler, float64): spike counts or values",
    "exact": "the same in continuous time, where the equations have a solution and the graph has neurons",
}


def write_vectors(folder: Path, some: tuple[PrimitiveCase, ...] | None = None) -> list[Path]:
    """Write each case as ``.nir`` and ``.npz``, and ``index.json``; the same bytes from run to run.

    Returns the paths, the index's last.  Raises BadInput where ``folder`` is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file; --write takes a folder")
    folder.mkdir(parents=True, exist_ok=True)
    written, entries = [], []
    for case in sorted(cases() if some is None else some, key=lambda case: case.slug):
        graph, arrays = folder / f"{case.slug}.nir", folder / f"{case.slug}.npz"
        write(graph, case.graph)
        named = arrays_of(case)
        with arrays.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **named)
        written += [graph, arrays]
        entries.append(_entry(case, named))
    index = folder / INDEX
    document = {"suite": SUITE, "arrays": NOTES, "cases": entries}
    index.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return [*written, index]


def arrays_of(case: PrimitiveCase) -> dict[str, Array]:
    """``input``, ``expected`` and, where there is one, ``exact``; those of several Outputs have its name behind a dot."""
    found = {"input": case.stimulus, **_named("expected", case.meant)}
    exact = _exact(case)
    return found if exact is None else found | _named("exact", exact)


def _named(what: str, recording: Recording) -> dict[str, Array]:
    outputs = sorted(recording.outputs.items())
    return {what: outputs[0][1]} if len(outputs) == 1 else {f"{what}.{name}": array for name, array in outputs}


def _exact(case: PrimitiveCase) -> Recording | None:
    """In continuous time; None where no neuron is in the graph, or the solution does not take it."""
    flat: Graph = inline(case.graph)
    if not flat.of_kind(*NEURONS):
        return None
    try:
        return exact_simulator(case.graph, case.dt).run(case.stimulus)[0]
    except (InvalidGraph, BadStimulus):
        return None


def _entry(case: PrimitiveCase, named: dict[str, Array]) -> dict[str, Any]:
    return {
        "name": case.slug,
        "primitive": case.primitive,
        "aspect": case.aspect,
        "dt": case.dt,
        "graph": f"{case.slug}.nir",
        "graph_sha": digest(case.graph),
        "data": f"{case.slug}.npz",
        "arrays": {name: {"dtype": array.dtype.str, "shape": list(array.shape)} for name, array in named.items()},
    }
