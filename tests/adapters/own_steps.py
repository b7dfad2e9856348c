"""What a description of a module computes, in NumPy lines that know NIR's step and each library's reset, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nir_interop.backends.own_modules import INPUT, OUTPUT, OwnModule, OwnNode

Array = NDArray[Any]


def computed(described: OwnModule, x: Array) -> dict[str, Array]:
    r"""Each node's output, axes (T, B, \*shape), float64; x: axes (T, B, \*shape)."""
    neurons = {
        name: Neuron(node, described.dt, x.shape[1]) for name, node in described.nodes.items() if "threshold" in words(node)
    }
    neurons |= {
        name: Neuron(n, described.dt, x.shape[1]) for name, n in described.nodes.items() if n.kind in ("LI", "I", "CubaLI")
    }
    waits = waiting(described)
    before: dict[str, Any] = {}
    seen: dict[str, list[Array]] = {name: [] for name in described.nodes}
    for frame in x.astype(np.float64):
        now: dict[str, Array] = {INPUT: frame}

        def value(name: str, now: dict[str, Array] = now, before: dict[str, Any] = before) -> Array:
            if name not in now:
                total: Any = 0.0
                inputs = () if described.nodes[name].kind == "Delay" else described.edges
                for source, target in inputs:
                    if target == name:
                        total = total + (held(source) if (source, target) in waits else value(source))
                node = described.nodes[name]
                if node.kind == "Delay":
                    steps = round(float(node.params["delay"].flat[0] / described.dt))
                    earlier = seen[next(one for one, other in described.edges if other == name)]
                    now[name] = (
                        earlier[-steps] if len(earlier) >= steps else np.zeros((x.shape[1], *node.params["delay"].shape))
                    )
                else:
                    now[name] = neurons[name](total) if name in neurons else stateless(node, total)
            return now[name]

        def held(name: str, before: dict[str, Any] = before) -> Any:
            """The output of the step before; a layer without memory answers to silence before the first."""
            if before:
                return before[name]
            bias = described.nodes[name].params.get("bias", np.zeros(1))
            return bias.reshape(1, -1, *[1] * 2 * (described.nodes[name].kind == "Conv2d"))

        for name in described.nodes:
            seen[name].append(value(name))
        before = now
    return {name: np.stack(each) for name, each in seen.items()}


def words(node: OwnNode) -> str:
    return " ".join(node.params)


def waiting(described: OwnModule) -> set[tuple[str, str]]:
    """Edges from inside a cycle into what is fed from outside of it."""

    def reached(start: str) -> set[str]:
        found, left = set(), [start]
        while left:
            at = left.pop()
            for source, target in described.edges:
                if source == at and target not in found:
                    found.add(target)
                    left.append(target)
        return found

    whole = {name: reached(name) for name in described.nodes}
    inside = [(one, other) for one, other in described.edges if one in whole[other]]
    entries = {other for one, other in described.edges if other in whole[other] and one not in whole[other]}
    return {(one, other) for one, other in inside if other in entries}


class Neuron:
    """NIR's step, then the reset that the library's own source does."""

    def __init__(self, node: OwnNode, dt: float, batch: int) -> None:
        self.p, self.node, self.dt = {key: np.asarray(each)[None] for key, each in node.params.items()}, node, dt
        shape = (batch, *next(iter(node.params.values())).shape)
        label = node.options
        start = "v_leak" if "Cell" in label or label == "" else "v_reset" if "Node" in label and node.reset == "value" else ""
        start = "v_reset" if label == "IAFCell" else start
        self.v = np.zeros(shape) + self.p.get(start, 0.0)
        self.i, self.before = np.zeros(shape), np.zeros(shape)

    def __call__(self, x: Any) -> Array:
        p, kind, label = self.p, self.node.kind, self.node.options
        x = np.zeros(self.v.shape) + x
        if kind.startswith("Cuba"):
            self.i = self.i + self.dt / p["tau_syn"] * (p["w_in"] * x - self.i)
            x = self.i
        fired = self.before
        if "Leaky" in label and "zero" in label and "RLeaky" not in label:
            self.v = np.where(fired, 0.0, self.v)
        if kind in ("I", "IF"):
            v = self.v + self.dt * p["r"] * x
        else:
            tau = p["tau_mem"] if kind.startswith("Cuba") else p["tau"]
            v = self.v + self.dt / tau * (p["v_leak"] - self.v + p["r"] * x)
        if kind in ("I", "LI", "CubaLI"):
            self.v = v
            return v
        threshold = p["v_threshold"]
        if "reset_delay" in label:
            if "subtract" in label:
                v = v - fired * threshold
            elif "RLeaky" in label or "Synaptic" in label:
                v = np.where(fired, 0.0, v)
            spikes = v > threshold
            if "reset_delay=False" in label:
                # Its source: what it fired on already was reset above, and is not again.
                again = spikes * 1.0 - fired
                v = v - again * threshold if "subtract" in label else v - again * v
            self.v, self.before = v, (v > threshold) * 1.0
            return spikes * 1.0
        spikes = v >= threshold if "Node" in label else v > threshold
        if self.node.reset == "value":
            v = np.where(spikes, p["v_reset"], v)
        elif self.node.reset == "subtract":
            v = v - spikes * threshold
        self.v = v
        return spikes * 1.0


def stateless(node: OwnNode, x: Array) -> Array:
    p = node.params
    if node.kind in ("Linear", "Affine"):
        return x @ p["weight"].T + p.get("bias", 0.0)
    if node.kind == "Scale":
        return x * p["scale"]
    if node.kind == "Flatten":
        start, end = (int(p[name]) + 1 if p[name] >= 0 else x.ndim + int(p[name]) for name in ("start_dim", "end_dim"))
        return x.reshape(*x.shape[:start], -1, *x.shape[end + 1 :])
    if node.kind == "Conv2d":
        return convolved(x, p) + p["bias"].reshape(1, -1, 1, 1)
    if node.kind in ("AvgPool2d", "SumPool2d"):
        (k, m), (s, t), (a, b) = p["kernel_size"], p["stride"], p["padding"]
        windows = sliding_window_view(np.pad(x, ((0, 0), (0, 0), (a, a), (b, b))), (k, m), (2, 3))[:, :, ::s, ::t]
        return windows.mean((-1, -2)) if node.kind == "AvgPool2d" else windows.sum((-1, -2))
    assert node.kind == "Output" and OUTPUT, node.kind
    return x


def convolved(x: Array, p: Any) -> Array:
    weight, groups = p["weight"], int(p["groups"])
    (s, t), (d, e), (a, b) = p["stride"], p["dilation"], p["padding"]
    reach = (d * (weight.shape[2] - 1) + 1, e * (weight.shape[3] - 1) + 1)
    windows = sliding_window_view(np.pad(x, ((0, 0), (0, 0), (a, a), (b, b))), reach, (2, 3))[:, :, ::s, ::t, ::d, ::e]
    parts = []
    for number, kernel in enumerate(np.split(weight, groups)):
        width = weight.shape[1]
        parts.append(np.einsum("bchwij,ocij->bohw", windows[:, number * width : (number + 1) * width], kernel))
    return np.concatenate(parts, 1)
