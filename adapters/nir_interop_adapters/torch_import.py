"""What the adapters of nirtorch's users share: an imported model and the names of the nodes it holds."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from nir_interop.backends.adapter import read_graph
from nir_interop.errors import NoAnswer


@dataclass(frozen=True, eq=False)
class Imported:
    """A model made by a library's importer.

    names : the name that nirtorch gave to a node → the node's own (``outer.inner`` in a nested graph)
    inputs : the graph's Inputs
    """

    module: nn.Module
    names: Mapping[str, str]
    inputs: tuple[str, ...] = ()

    def check_input(self) -> None:
        """Raise NoAnswer for a graph of several Inputs: an imported model is called with one tensor and its state."""
        if len(self.inputs) > 1:
            told = ", ".join(self.inputs[:3]) + (", …" if len(self.inputs) > 3 else "")
            raise NoAnswer(f"the model takes one input, and the graph has {len(self.inputs)} Inputs: {told}")

    def held(self, is_graph: Callable[[nn.Module], bool]) -> dict[str, nn.Module]:
        """Nodes by their own names; ``is_graph`` tells a nested graph from a node."""
        found = {}
        for path, module in _leaves(self.module, (), is_graph):
            for candidate in ("_".join(path), path[-1]):
                if candidate in self.names:
                    found[self.names[candidate]] = module
                    break
        return found


def _leaves(
    module: nn.Module, path: tuple[str, ...], is_graph: Callable[[nn.Module], bool]
) -> Iterator[tuple[tuple[str, ...], nn.Module]]:
    for name, child in module.named_children():
        if is_graph(child):
            yield from _leaves(child, (*path, name), is_graph)
        else:
            yield (*path, name), child


def answer(returned: Any) -> tuple[Any, Any]:
    """The output and the state that an imported model returns for one step, as it is documented to.

    Raises NoAnswer where it returns anything else; nirtorch's interpreter returns every branch into an Output by itself.
    """
    if not isinstance(returned, tuple):
        raise NoAnswer(f"the model returns a {type(returned).__name__}, and no output with a state")
    if len(returned) != 2:
        raise NoAnswer(f"the model returns {len(returned) - 1} values beside its state, and no single output")
    return returned[0], returned[1]


def imported(path: Path, importer: Callable[[Any], nn.Module]) -> Imported:
    """Read a file afresh and give it to a library's importer."""
    graph = read_graph(path)
    names = dict(_names(graph, ""))
    inputs = tuple(sorted(name for name, node in graph.nodes.items() if type(node).__name__ == "Input"))
    return Imported(importer(graph), names, inputs)


def _names(graph: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for name, node in graph.nodes.items():
        kind = type(node).__name__
        if kind == "NIRGraph":
            yield from _names(node, f"{prefix}{name}.")
        elif kind not in ("Input", "Output"):
            yield _as_nirtorch_names(f"{prefix}{name}"), f"{prefix}{name}"


def _as_nirtorch_names(name: str) -> str:
    safe = name.replace(".", "_")
    return f"nir_node_{safe}" if keyword.iskeyword(safe) else safe
