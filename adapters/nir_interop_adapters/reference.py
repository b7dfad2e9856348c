"""The two backends of our own: NIR's meaning in steps, and the equations themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nir_interop.backends.adapter import Adapter, Array, Model
from nir_interop.networks import Network, Neuron
from nir_interop.recording import Recording
from nir_interop.vocabulary import Idiom, Reset

if TYPE_CHECKING:
    import nir

    from nir_interop.reference import Simulator


@dataclass
class _Model:
    simulator: Simulator
    intended: Any = None


class Reference(Adapter):
    """NIR's own meaning in steps (see the design), float64; as an exporter it writes the intended graph."""

    name: ClassVar[str] = "reference"
    idioms: ClassVar[Mapping[Idiom, str]] = {Idiom.PORTABLE: "the graph that a faultless exporter would write"}

    takes_any_name: ClassVar[bool] = True  # names are keys here
    needs: ClassVar[tuple[str, ...]] = ("nir-interop",)
    script: ClassVar[str] = """
from pathlib import Path

from nir_interop.reference import Simulator, read

output = Simulator(read(Path("graph.nir")), DT).run(stimulus)[0].output
"""

    def prepare(self) -> None:
        """One thread: cells run side by side."""
        import torch

        torch.set_num_threads(1)

    def build(self, network: Network, dt: float, idiom: Idiom) -> Model:
        """The intended graph, ready to run.

        Raises NotExpressible where NIR has no words for the network.
        """
        from nir_interop.reference import from_nir

        intended = network.to_nir()
        return _Model(self._simulator(from_nir(intended), dt), intended)

    def native_label(self, layer: Neuron, network: Network, dt: float, idiom: Idiom) -> str:
        """NIR's own nodes; a soft reset is a composition of several."""
        if network.reset is Reset.SUBTRACT and layer.spiking:
            return {"IF": "I", "LIF": "LI", "CubaLIF": "LI + LI"}[type(layer).__name__] + " + Threshold + Scale"
        return type(layer).__name__

    def export(self, model: Model, sample: Array, dt: float) -> nir.NIRGraph:
        """The intended graph."""
        return model.intended

    def load(self, path: Path, dt: float) -> Model:
        """Read a file with the harness's own reader."""
        from nir_interop.reference import read

        return _Model(self._simulator(read(path), dt))

    def run(self, model: Model, stimulus: Array) -> Recording:
        """Run from zero state."""
        recording: Recording = model.simulator.run(np.asarray(stimulus))[0]
        return recording

    def nodes(self, model: Model) -> frozenset[str]:
        """All of them."""
        graph = model.simulator.graph
        return frozenset(name for name, node in graph.nodes.items() if node.kind not in ("Input", "Output"))

    def _simulator(self, graph: Any, dt: float) -> Simulator:
        from nir_interop.reference import Simulator

        return Simulator(graph, dt)


class Exact(Reference):
    """The equations in continuous time, for input that is constant within a step; it only imports."""

    name: ClassVar[str] = "exact"
    idioms: ClassVar[Mapping[Idiom, str]] = {}
    script: ClassVar[str] = Reference.script.replace("Simulator", "exact_simulator")
    run_limit: ClassVar[float | None] = 60.0  # it solves for the time of each spike: 6 s of a whole core in the default matrix

    def _simulator(self, graph: Any, dt: float) -> Simulator:
        from nir_interop.reference import exact_simulator

        return exact_simulator(graph, dt)
