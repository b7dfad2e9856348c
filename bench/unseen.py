"""Whether what `reconcile` writes is right on inputs that it did not use: random graphs, ten fresh inputs each."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from bench.figures import Figure
from nir_interop.graphs import Array, Graph, Node

STORE = Path(".nir-interop")
LIBRARIES = ("snntorch", "norse", "spikingjelly")
GRAPHS, INPUTS = 200, 10
DT = 1e-4


@dataclass
class Draw:
    """One random graph: dense or convolutional layers of neurons, with feedback, joins and graphs in graphs."""

    rng: np.random.Generator
    nodes: dict[str, Node | Graph] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    last: str = "input"

    def graph(self) -> Graph:
        """Axes of the input: (n,), or (channels, height, width)."""
        shape: tuple[int, ...] = (int(self.rng.integers(1, 5)),)
        if self.maybe(0.25):
            shape = (int(self.rng.integers(1, 3)), 5, 5)
        self.add("input", Node("Input", {"shape": np.array(shape)}), feed=False)
        if len(shape) == 3:
            shape = self.image(shape)
        size = shape[0]
        for number in range(int(self.rng.integers(1, 4))):
            before, wide = (self.last, size), int(self.rng.integers(1, 6))
            self.dense(f"fc{number}", size, wide)
            size = wide
            spiking = self.neurons(f"n{number}", (size,))
            if spiking and self.maybe(0.45):
                self.feedback(f"n{number}", size)
            if number and self.maybe(0.2):
                self.skip(number, *before, size)
        self.add("output", Node("Output", {"shape": np.array([size])}))
        return Graph(self.nodes, tuple(self.edges))

    def maybe(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def add(self, name: str, node: Node | Graph, feed: bool = True) -> None:
        self.nodes[name] = node
        if feed:
            self.edges.append((self.last, name))
        self.last = name

    def image(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        channels = int(self.rng.integers(1, 4))
        weight = self.rng.normal(0.3, 0.6, (channels, shape[0], 3, 3)).astype(np.float32)
        extents = {"stride": [1, 1], "padding": [1, 1], "dilation": [1, 1], "groups": 1, "input_shape": shape[1:]}
        bias = self.rng.normal(0, 0.1, channels).astype(np.float32)
        written = {name: np.array(value) for name, value in extents.items()}
        self.add("conv", Node("Conv2d", {"weight": weight, "bias": bias, **written}))
        self.neurons("nc", (channels, *shape[1:]), uniform=True)
        pool = "AvgPool2d" if self.maybe(0.5) else "SumPool2d"
        window = {"kernel_size": [2, 2], "stride": [2, 2], "padding": [0, 0]}
        self.add("pool", Node(pool, {name: np.array(value) for name, value in window.items()}))
        self.add("flat", Node("Flatten", {"start_dim": np.array(0), "end_dim": np.array(-1)}))
        return (channels * 4,)

    def dense(self, name: str, size: int, wide: int) -> None:
        weight = self.rng.normal(0.5, 1.0, (wide, size)).astype(np.float32)
        if self.maybe(0.7):
            self.add(name, Node("Affine", {"weight": weight, "bias": self.rng.normal(0, 0.2, wide).astype(np.float32)}))
        else:
            self.add(name, Node("Linear", {"weight": weight}))

    def neurons(self, name: str, shape: tuple[int, ...], uniform: bool = False) -> bool:
        kind = str(self.rng.choice(["LIF", "LIF", "CubaLIF", "IF"]))
        spread = not uniform and self.maybe(0.4)

        def values(low: float, high: float) -> Array:
            drawn = self.rng.uniform(low, high, shape if spread else ())
            return np.broadcast_to(drawn, shape).astype(np.float64).copy()

        def sometimes(share: float, low: float, high: float, otherwise: float) -> Array:
            return values(low, high) if self.maybe(share) else np.full(shape, otherwise)

        tau = values(2.0, 20.0) * DT
        if kind == "LIF":
            given = {"tau": tau, "r": sometimes(0.6, 1.5, 12.0, 1.0), "v_leak": sometimes(0.2, -0.2, 0.2, 0.0)}
        elif kind == "CubaLIF":
            synapse = values(1.5, 10.0) * DT
            given = {"tau_mem": tau, "tau_syn": synapse, "r": tau / DT if self.maybe(0.5) else values(1.0, 10.0)}
            given |= {"w_in": synapse / DT if self.maybe(0.5) else values(0.5, 5.0), "v_leak": np.zeros(shape)}
        else:
            given = {"r": np.full(shape, 1 / DT)}
        given["v_threshold"] = values(0.4, 1.5) if spread else np.full(shape, float(self.rng.choice([0.5, 1.0, 0.83])))
        given["v_reset"] = sometimes(0.25, -0.3, 0.2, 0.0)
        self.add(name, Node(kind, {key: value.astype(np.float32) for key, value in given.items()}))
        return True

    def feedback(self, name: str, size: int) -> None:
        weight = self.rng.normal(-0.1, 0.5, (size, size)).astype(np.float32)
        bias = self.rng.normal(0, 0.3, size).astype(np.float32)
        back = Node("Affine", {"weight": weight, "bias": bias}) if self.maybe(0.7) else Node("Linear", {"weight": weight})
        if self.maybe(0.4):
            port = {"shape": np.array([size])}
            inner = {"input": Node("Input", port), "output": Node("Output", port), "lif": self.nodes[name], "w_rec": back}
            around = (("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output"))
            self.nodes[name] = Graph(inner, around)
        else:
            self.nodes[f"{name}_rec"] = back
            self.edges += [(name, f"{name}_rec"), (f"{name}_rec", name)]

    def skip(self, number: int, source: str, width: int, size: int) -> None:
        weight = self.rng.normal(0.3, 0.6, (size, width)).astype(np.float32)
        self.nodes[f"skip{number}"] = Node("Linear", {"weight": weight})
        self.edges += [(source, f"skip{number}"), (f"skip{number}", f"n{number}")]


def fresh_inputs(shape: tuple[int, ...], seed: int) -> list[Array]:
    """Ten inputs of other seeds, lengths, rates and sizes than any that `reconcile` makes."""
    rng = np.random.default_rng([seed, 977])
    found = []
    for number in range(INPUTS):
        steps, rate, size = int(rng.choice([60, 150, 400])), rng.uniform(0.02, 0.8), rng.choice([0.5, 1.0, 1.0, 2.0])
        x = (rng.random((steps, 2, *shape)) < rate) * size
        if number % 4 == 3:
            x[: steps // 4] = 0
        found.append(x.astype(np.float32))
    return found


def figures(graphs: int = GRAPHS, first: int = 0) -> list[Figure]:
    """Files written, and those that are wrong on a fresh input, by library."""
    from nir_interop.agreement.inputs import inputs_for
    from nir_interop.agreement.side import Side
    from nir_interop.agreement.status import agreement
    from nir_interop.backends.environments import backends
    from nir_interop.errors import InvalidGraph, RunFailed
    from nir_interop.graphs import inline, read, write
    from nir_interop.reference import simulate
    from nir_interop.store.store import Store
    from nir_interop.transfer.reconciling import reconcile_with, side_of
    from nir_interop.workers.live import LiveBackend

    console, store = Console(highlight=False, width=160), Store(STORE)
    known = {each.name: each for each in backends()}
    wrong, written, left = Counter[str](), Counter[str](), Counter[str]()
    for library in LIBRARIES:
        target = side_of(library, DT, store, known)
        with LiveBackend(known[library], limit=20) as live, tempfile.TemporaryDirectory() as folder:
            for seed in range(first, first + graphs):
                graph = Draw(np.random.default_rng([seed, 13])).graph()
                try:
                    inputs = inputs_for(graph, DT)
                    found = reconcile_with(live, graph, inputs.input, Side("nir", DT), target)
                except InvalidGraph as error:
                    left[f"{library}: {type(error).__name__} {error}"] += 1
                    continue
                if not found.plan.right:
                    left[f"{library}: " + "; ".join(str(each.cause) for each in found.remaining)] += 1
                    continue
                path = Path(folder) / "rewritten.nir"
                write(path, found.plan.graph)
                written[library] += 1
                again, shape = read(path), inputs.input.shape[2:]
                bad: list[Any] = []
                for x in fresh_inputs(shape, seed):
                    meant = simulate(inline(graph), x, DT)
                    try:
                        made = live(again, x, DT)
                    except RunFailed as failed:
                        bad.append(str(failed))
                        continue
                    held = agreement(inline(again), DT, found.plan.side.rules, x, meant, made, lambda: None)
                    if held.wrong != 0:
                        bad.append(held.wrong)
                if bad:
                    wrong[library] += 1
                    passes = ", ".join(each.name for each in found.plan.passes)
                    console.print(f"graph {seed} for {library}: wrong outputs {bad}; {found.plan.agreement.status}; {passes}")
    for words, count in sorted(left.items()):
        console.print(f"{count:4d} not reconciled, {words}")
    return [
        Figure(
            f"of {written[library]} graphs rewritten for {library}, wrong on an input that it did not use",
            wrong[library],
            0,
            "",
        )
        for library in LIBRARIES
    ]
