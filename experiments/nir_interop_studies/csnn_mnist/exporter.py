"""What snnTorch's exporter answers to the network of its tutorial, step by step towards a call that works."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nir_interop.backends.adapter import load_adapter
from nir_interop.graphs import read
from nir_interop.networks import Network
from nir_interop.transfer.deployment import refusal
from nir_interop.vocabulary import Idiom

WHYS = (
    (
        "tuple index out of range",
        "the sample's batch is taken for an axis of the image: nir looks for a third padding of Conv2d",
    ),
    ("-> lif1.input: []", "a number for beta makes a node of one neuron, which does not fit the 12×12×12 before it"),
    ("'NoneType' object has no attribute 'to_dict'", "the exporter leaves modules that it does not know as None in the graph"),
)
"""What is in a message → what is behind it, read in the sources that the message names."""


def why(message: str) -> str:
    """The reason behind a message; empty where it is not known."""
    return next((reason for words, reason in WHYS if words in message), "")


def attempts(network: Network) -> Iterator[dict[str, Any]]:
    """beta as a number or as a tensor × the sample with its batch or without × state fresh or left over from a batch."""
    for idiom in (Idiom.TUTORIAL, Idiom.PORTABLE):
        for ignored in ((), (0,)):
            for used in (False, True):
                said = _attempt(network, idiom, ignored, used)
                yield {
                    "parameters": "number" if idiom is Idiom.TUTORIAL else "tensor per neuron",
                    "ignore_dims": list(ignored),
                    "state": "left over" if used else "reset",
                    "status": "error" if said else "ok",
                    "error_type": said.get("error_type", ""),
                    "error_message": said.get("error_message", ""),
                    "error_at": said.get("error_at", ""),
                    "why": why(said.get("error_message", "")),
                }


def _attempt(network: Network, idiom: Idiom, ignored: tuple[int, ...], used: bool) -> dict[str, str]:
    import nir
    import torch
    from snntorch.export_nir import export_to_nir

    def call(path: Path) -> None:
        module = load_adapter("snntorch").build(network, network.dt, idiom).module
        if used:
            with torch.no_grad():
                module(torch.ones(5, *network.input_shape))
        nir.write(path, export_to_nir(module, torch.zeros(1, *network.input_shape), ignore_dims=list(ignored)))
        read(path)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.nir"
        return refusal(lambda: call(path), {str(path): "graph.nir"})
