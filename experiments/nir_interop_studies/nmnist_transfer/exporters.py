"""What every library's exporter answers to each pooling, and which step its time constants are of."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from nir_interop.backends.adapter import load_adapter
from nir_interop.networks import LIF, Affine, Network, PoolKind
from nir_interop.transfer.deployment import export, knowing, refusal
from nir_interop.vocabulary import Idiom
from nir_interop.workers.capture import Capture, guarded
from nir_interop_studies.nmnist_transfer.network import FRAME, FRAMES_OF_TAU, IMPORTERS, SHORT, SIZE, network

EXPORTS = (
    "dataset", "library", "pooling", "written_as", "status", "stage", "error_type", "error_message", "error_at", "declined_at",
    "why",
)  # fmt: skip
STEPS = (
    "dataset", "library", "exporter_call", "dt_written", "tau_meant", "tau_in_file", "r_in_file", "dt_of_file",
    "importer_default", "importer_takes_dt",
)  # fmt: skip

LEFT_OUT = "the exporter has no case for a module and returns None, which stays in the graph"
NO_FUNCTION = "the tracer takes a module that the exporter does not map for a function, and knows addition alone"
NO_WORDS = "the library has no module for sum pooling (torch.nn neither, but for LPPool2d with p = 1)"


def export_rows(dataset: str, seed: int) -> Iterator[dict[str, Any]]:
    """Each pooling through each exporter; what a refusal is does not depend on weights."""
    sample = np.zeros((1, 1, 2, SIZE, SIZE), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        for library in IMPORTERS:
            for pooling in PoolKind:
                path = Path(folder) / "graph.nir"
                found = export(network(seed, pooling), library, knowing(library), sample, path)
                modules = {PoolKind.AVERAGE: "AvgPool2d", PoolKind.MAX: "MaxPool2d"}
                norse = "LPPool2d(1)" if library == "norse" else "none"
                yield _export_row(dataset, library, pooling, modules.get(pooling, norse), dict(found.failed))
    yield _export_row(dataset, "snntorch", PoolKind.SUM, "LPPool2d(1)", _snntorch_lppool(network(seed, PoolKind.AVERAGE)))


def _export_row(dataset: str, library: str, pooling: PoolKind, written: str, words: dict[str, Any]) -> dict[str, Any]:
    message = words.get("error_message", "")
    why = NO_FUNCTION if "supported function" in message else NO_WORDS if words.get("stage") == "build" else LEFT_OUT
    declined = _declined_at(library) if "NoneType" in message else ""
    return {
        "dataset": dataset,
        "library": library,
        "pooling": pooling.value,
        "written_as": written,
        "status": words.get("status", "ok"),
        **{key: words.get(key, "") for key in ("stage", "error_type", "error_message", "error_at")},
        "declined_at": declined,
        "why": why if words else "",
    }


def _snntorch_lppool(average: Network) -> dict[str, Any]:
    """Sum pooling as Norse's users write it, in snnTorch."""
    import torch
    from snntorch.export_nir import export_to_nir

    def call() -> None:
        module = load_adapter("snntorch").build(average, average.dt, Idiom.PORTABLE).module
        for name in ("pool1", "pool2"):
            setattr(module, name, torch.nn.LPPool2d(1, 2))
        export_to_nir(module, torch.zeros(1, *average.input_shape), ignore_dims=[0])

    words = refusal(call)
    return {"status": "export_error", "stage": "export", **words} if words else {}


def _declined_at(library: str) -> str:
    """Where an exporter gives up on a module that it does not know: the last ``return None`` of what maps modules."""
    modules = {"norse": "norse.torch.utils.export_nir", "snntorch": "snntorch.export_nir"}
    if library not in modules:
        return ""
    module = import_module(modules[library])
    function = getattr(module, f"_extract_{library}_module")
    lines, first = inspect.getsourcelines(function)
    last = max(number for number, line in enumerate(lines) if line.strip() == "return None")
    return f"{module.__name__.replace('.', '/')}.py:{first + last}"


CALLS: tuple[tuple[str, str], ...] = (
    ("snntorch", "no dt"), ("norse", "no dt"), ("norse", "dt as written"), ("norse", "dt = 1"), ("spikingjelly", "no dt"),
    ("spikingjelly", "dt as written"),
)  # fmt: skip
"""Exporters and how they are called; snnTorch's takes no dt."""


def step_rows(dataset: str) -> Iterator[dict[str, Any]]:
    """One layer of neurons through each exporter, for both steps: the time constant that is meant, and what is written."""
    for library, call in CALLS:
        default = _default_step(library)
        for dt in (SHORT, FRAME):
            given = {"dt as written": dt, "dt = 1": 1.0}.get(call)
            tau, resistance = _written(library, dt, given)
            yield {
                "dataset": dataset,
                "library": library,
                "exporter_call": call,
                "dt_written": dt,
                "tau_meant": FRAMES_OF_TAU * dt,
                "tau_in_file": tau,
                "r_in_file": resistance,
                "dt_of_file": tau / FRAMES_OF_TAU,
                "importer_default": default if default is not None else load_adapter(library).fixed_dt,
                "importer_takes_dt": default is not None,
            }


def _written(library: str, dt: float, given: float | None) -> tuple[float, float]:
    """tau [s] and r of a layer of neurons that is meant for a step, as the library's exporter writes them."""
    import torch

    layers = (Affine(name="fc", weight=np.eye(3), bias=np.zeros(3)), LIF(name="lif", tau=FRAMES_OF_TAU * dt))
    options = {} if given is None else {"dt": given}
    with guarded(Capture()):
        module = load_adapter(library).build(Network("neurons", (3,), layers, dt=dt), dt, Idiom.PORTABLE).module
        if library == "norse":
            from norse.torch.utils.export_nir import to_nir

            graph = to_nir(module, torch.zeros(3), **options)
        elif library == "snntorch":
            from snntorch.export_nir import export_to_nir

            graph = export_to_nir(module, torch.zeros(1, 3), ignore_dims=[0])
        else:
            from spikingjelly.activation_based.nir_exchange import export_to_nir

            graph = export_to_nir(module, torch.zeros(1, 3), **options)
    (neurons,) = (node for node in graph.nodes.values() if type(node).__name__ == "LIF")
    return float(np.asarray(neurons.tau).flat[0]), float(np.asarray(neurons.r).flat[0])


def _default_step(library: str) -> float | None:
    """The step [s] of an importer that is given none, None of one that takes none."""
    if library == "norse":
        from norse.torch.utils.import_nir import from_nir as importer
    elif library == "snntorch":
        from snntorch.import_nir import import_from_nir as importer
    else:
        from spikingjelly.activation_based.nir_exchange import import_from_nir as importer
    known = inspect.signature(importer).parameters.get("dt")
    return None if known is None else float(known.default)
