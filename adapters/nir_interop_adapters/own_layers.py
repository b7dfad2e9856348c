"""Layers of ``torch.nn`` as nodes of NIR, whatever library they stand beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nir_interop.backends.own_modules import Hint, OwnNode
from nir_interop.errors import NotExpressible

Array = NDArray[Any]

PASSING = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout, nn.Identity)
"""Layers that give back what they get, once training is over."""


@dataclass(frozen=True, eq=False)
class Parts:
    """The nodes that stand for a layer.

    nodes : by name; edges : between them
    entry, exit : the nodes that take the layer's input and give its output
    scale, shift : of a layer that multiplies and shifts each channel and can go into the weights before it
    """

    nodes: Mapping[str, OwnNode]
    entry: str
    exit: str
    edges: tuple[tuple[str, str], ...] = ()
    scale: Array | None = None
    shift: Array | None = None
    notes: tuple[str, ...] = field(default=())


STOPS = ("export_error", "refused", "unsupported")
"""What a hint concerns that is the reason of an exporter's failing."""
HOLES = ("write_error", "read_error", "unsupported")
"""The reason of a file that nir does not write, or does not read back."""
RESETS = ("reset_lost", "reset_kind", "v_reset")
"""The reason of another reset in the file."""


def single(name: str, node: OwnNode) -> Parts:
    """A layer that is one node."""
    return Parts({name: node}, name, name)


def values(tensor: torch.Tensor) -> Array:
    """A tensor's values, float64, sharing no memory with it."""
    return np.array(tensor.detach().double().cpu().numpy())


def filled(value: Any, shape: tuple[int, ...]) -> Array:
    """One number an element of a layer."""
    number = values(value) if isinstance(value, torch.Tensor) else np.asarray(value, dtype=np.float64)
    return np.array(np.broadcast_to(number, shape))


def in_full(value: Any, shape: tuple[int, ...]) -> str:
    """How a user writes one number for each element of a layer; the number is the one that is there, in its own precision."""
    tensor = torch.as_tensor(value).detach().cpu()
    if tensor.numel() != 1:
        return f"a tensor of shape {tuple(shape)}"
    return f"torch.full({tuple(shape)}, {tensor.reshape(-1).numpy()[0]!s})"


def refuse(name: str, written: str, why: str, do: str) -> NotExpressible:
    """The layer, what is wrong with it, and what to do."""
    return NotExpressible(f"layer {name!r}, {written}: {why}; {do}")


def linear(weight: Array, bias: Array | None, written: str = "") -> OwnNode:
    """A matrix, with a bias or without."""
    if bias is None:
        return OwnNode("Linear", {"weight": weight}, written=written)
    return OwnNode("Affine", {"weight": weight, "bias": bias}, written=written)


def layer(name: str, module: nn.Module, taken: tuple[int, ...], given: tuple[int, ...]) -> Parts:
    """The nodes of a stateless layer.

    taken, given : the shapes of its input and of its output, without time and batch
    Raises NotExpressible where NIR has no words for it.
    """
    for kind, make in _MAKERS.items():
        if isinstance(module, kind):
            return make(name, module, taken, given)
    written = written_as(module)
    if isinstance(module, (nn.MaxPool1d, nn.MaxPool2d, nn.AdaptiveMaxPool2d)):
        raise refuse(name, written, "NIR has no max pooling", "train with nn.AvgPool2d in its place")
    if isinstance(module, (nn.ReLU, nn.Sigmoid, nn.Tanh, nn.GELU, nn.LeakyReLU, nn.Softmax, nn.LogSoftmax)):
        raise refuse(
            name, written, "NIR has no activation functions but spiking neurons", "take it away, and read the class outside"
        )
    if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        raise refuse(name, written, "NIR has no gated or artificial recurrent units", "use a spiking neuron with feedback")
    raise refuse(
        name, written, "NIR has no such layer", "use Linear, Conv1d, Conv2d, AvgPool2d, Flatten or a batch normalisation"
    )


def written_as(module: nn.Module) -> str:
    """A layer in the user's words."""
    prefix = (
        "nn."
        if type(module).__module__.startswith("torch.nn")
        else "layer."
        if "spikingjelly" in type(module).__module__
        else ""
    )
    inside = module.extra_repr() if not list(module.children()) else "…"
    return f"{prefix}{type(module).__name__}({inside})"


def unknown(written: str, module: nn.Module, what: str) -> tuple[Hint, ...]:
    """That an exporter has no case for a layer, and what a user can do, where there is something."""
    if isinstance(module, PASSING) or "Dropout" in type(module).__name__:
        do = ": leave it out of the module that is exported"
    elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
        kind = "conv" if isinstance(module, nn.BatchNorm2d) else "linear"
        do = f": put torch.nn.utils.fuse_{kind}_bn_eval(…) of it and the layer before in the place of both"
    else:
        do = ""
    return (Hint((*STOPS, *HOLES, "node_lost"), f"{written}: {what}{do}"),)


def grouped(module: nn.Module, written: str, what: str) -> tuple[Hint, ...]:
    """Of a convolution in groups; nothing of others."""
    if isinstance(module, nn.Conv2d) and module.groups != 1:
        return (Hint((*STOPS, *HOLES, "unreadable", "groups"), f"{written}: {what}"),)
    return ()


def cut(what: str, name: str, exporter: str) -> tuple[Hint, ...]:
    """What exporters that see only layers do with what stands between them (nirtorch's ``extract_nir_graph``)."""
    says = {
        "sum": f"a sum goes into {name}, where {exporter} cuts the graph: layers are lost",
        "multiplied": f"a multiplication in forward is no layer, and {exporter} cuts the graph there: put the number into the "
        "weights of the layer before",
        "flatten": f"a flatten in forward is no layer, and {exporter} leaves it out: use nn.Flatten()",
        "function": f"{name} is a function in forward, which {exporter} leaves out",
        "linear": f"{name} is used in forward by a function, which {exporter} leaves out: use nn.Linear",
    }
    also = ("join_misrun",) if what == "sum" else ()
    return (Hint((*STOPS, *HOLES, "node_lost", *also), says[what]),) if what in says else ()


def _linear(name: str, module: Any, taken: tuple[int, ...], given: tuple[int, ...]) -> Parts:
    written = written_as(module)
    if len(taken) != 1:
        raise refuse(
            name, written, f"it works on the last axis of {taken}, NIR's Linear on one axis", "put nn.Flatten before it"
        )
    bias = None if module.bias is None else values(module.bias)
    return single(name, linear(values(module.weight), bias, written))


def _convolution(name: str, module: Any, taken: tuple[int, ...], given: tuple[int, ...]) -> Parts:
    written, count = written_as(module), len(module.kernel_size)
    if module.padding_mode != "zeros":
        raise refuse(name, written, "NIR pads with zeros alone", "use padding_mode='zeros'")
    weight = values(module.weight)
    padding = list(module.padding) if not isinstance(module.padding, str) else [0] * count
    if module.padding == "same":
        for axis in range(count):
            reach = module.dilation[axis] * (module.kernel_size[axis] - 1)
            if reach % 2:
                if module.dilation[axis] != 1:
                    raise refuse(name, written, "'same' pads one side more than the other", "use an odd kernel_size")
                # One more tap of zero in front makes both sides equal.
                widths = [(0, 0)] * weight.ndim
                widths[2 + axis] = (1, 0)
                weight, reach = np.pad(weight, widths), reach + 1
            padding[axis] = reach // 2
    bias = np.zeros(len(weight)) if module.bias is None else values(module.bias)
    whole = {"stride": module.stride, "padding": padding, "dilation": module.dilation, "groups": module.groups}
    params: dict[str, Array] = {"weight": weight, "bias": bias}
    params |= {key: np.array(value[0] if count == 1 and key != "groups" else value) for key, value in whole.items()}
    params["input_shape"] = np.array(taken[-1] if count == 1 else taken[-2:])
    return single(name, OwnNode(f"Conv{count}d", params, written=written))


def _average(name: str, module: Any, taken: tuple[int, ...], given: tuple[int, ...]) -> Parts:
    written = written_as(module)
    size, padding = _pair(module.kernel_size), _pair(module.padding)
    stride = _pair(module.kernel_size if module.stride is None else module.stride)
    if module.divisor_override is not None or (any(padding) and not module.count_include_pad):
        raise refuse(name, written, "NIR divides by the whole window", "use count_include_pad=True and no divisor_override")
    if module.ceil_mode and given[-2:] != _pooled(taken[-2:], size, stride, padding):
        raise refuse(name, written, "NIR has no ceil_mode", "use ceil_mode=False")
    return single(name, _pool("AvgPool2d", size, stride, padding, written))


def _summed(name: str, module: Any, taken: tuple[int, ...], given: tuple[int, ...]) -> Parts:
    written = written_as(module)
    if module.norm_type != 1 or module.ceil_mode:
        raise refuse(name, written, "NIR has no such pooling", "use nn.AvgPool2d, or nn.LPPool2d with norm_type=1")
    size = _pair(module.kernel_size)
    stride = size if module.stride is None else _pair(module.stride)
    return single(name, _pool("SumPool2d", size, stride, (0, 0), written))


def _adaptive(name: str, module: Any, taken: tuple[int, ...], given: tuple[int, ...]) -> Parts:
    written = written_as(module)
    if any(old % new for old, new in zip(taken[-2:], given[-2:], strict=True)):
        raise refuse(name, written, f"its windows differ in size for an input of {taken[-2:]}", "use nn.AvgPool2d")
    size = tuple(old // new for old, new in zip(taken[-2:], given[-2:], strict=True))
    return single(name, _pool("AvgPool2d", size, size, (0, 0), written))


def _pool(kind: str, size: Any, stride: Any, padding: Any, written: str) -> OwnNode:
    params = {"kernel_size": np.array(size), "stride": np.array(stride), "padding": np.array(padding)}
    return OwnNode(kind, params, written=written)


def _pair(value: Any) -> tuple[int, int]:
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _pooled(taken: Any, size: Any, stride: Any, padding: Any) -> tuple[int, ...]:
    return tuple((n + 2 * p - k) // s + 1 for n, k, s, p in zip(taken, size, stride, padding, strict=True))


def _normalised(name: str, module: Any, taken: tuple[int, ...], given: tuple[int, ...]) -> Parts:
    """Batch normalisation with the statistics of training: each channel multiplied and shifted."""
    written = written_as(module)
    if module.running_mean is None:
        raise refuse(name, written, "it takes its statistics from each batch", "train with track_running_stats=True")
    scale = 1 / np.sqrt(values(module.running_var) + module.eps)
    scale = scale if module.weight is None else scale * values(module.weight)
    shift = -values(module.running_mean) * scale
    shift = shift if module.bias is None else shift + values(module.bias)
    if len(taken) == 1:
        node = OwnNode("Affine", {"weight": np.diag(scale), "bias": shift}, written=written)
    else:
        count = len(taken) - 1
        weight = np.diag(scale).reshape(len(scale), len(scale), *[1] * count)
        one, none = (np.array([1] * count), np.array([0] * count)) if count == 2 else (np.array(1), np.array(0))
        shape = np.array(taken[1:] if count == 2 else taken[1])
        params = {"weight": weight, "bias": shift, "stride": one, "padding": none, "dilation": one, "groups": np.array(1)}
        node = OwnNode(f"Conv{count}d", params | {"input_shape": shape}, written=written)
    return Parts({name: node}, name, name, scale=scale, shift=shift)


def into_weights(node: OwnNode, scale: Array, shift: Array) -> OwnNode | None:
    """A node whose weights take up what comes behind it; None where it has none."""
    if node.kind not in ("Linear", "Affine", "Conv1d", "Conv2d"):
        return None
    weight = np.asarray(node.params["weight"])
    weight = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    bias = np.asarray(node.params.get("bias", np.zeros(len(scale)))) * scale + shift
    kind = "Affine" if node.kind == "Linear" else node.kind
    return OwnNode(kind, {**node.params, "weight": weight, "bias": bias}, written=node.written, hints=node.hints)


_MAKERS: Mapping[type[nn.Module], Callable[[str, Any, tuple[int, ...], tuple[int, ...]], Parts]] = {
    nn.Linear: _linear,
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.AvgPool2d: _average,
    nn.LPPool2d: _summed,
    nn.AdaptiveAvgPool2d: _adaptive,
    nn.BatchNorm1d: _normalised,
    nn.BatchNorm2d: _normalised,
}
