"""NIR's primitives as the file format has them: parameter names, and which of them are whole numbers."""

from __future__ import annotations

CONVOLUTION = ("weight", "bias", "stride", "padding", "dilation", "groups")
POOLING = ("kernel_size", "stride", "padding")

PARAMETERS: dict[str, tuple[str, ...]] = {
    "Input": ("shape",),
    "Output": ("shape",),
    "Affine": ("weight", "bias"),
    "Linear": ("weight",),
    "Scale": ("scale",),
    "Conv1d": CONVOLUTION,
    "Conv2d": CONVOLUTION,
    "SumPool2d": POOLING,
    "AvgPool2d": POOLING,
    "Flatten": ("start_dim", "end_dim"),
    "Threshold": ("threshold",),
    "Delay": ("delay",),
    "I": ("r",),
    "IF": ("r", "v_threshold", "v_reset"),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
}
"""The parameters that every node of a kind has; source: the dataclasses of ``nir.ir``, nir 1.0.8."""

DEFAULTS = {"v_reset": 0.0, "w_in": 1.0}
"""What NIR says where a file leaves a parameter out; source: nir 1.0.8, whose earlier versions do not have them."""

ANNOTATIONS: dict[str, tuple[str, ...]] = {"Conv1d": ("input_shape",), "Conv2d": ("input_shape",), "Flatten": ("input_type",)}
"""What a node may say besides: it follows from the graph and is never used."""

WHOLE = frozenset(
    {"shape", "stride", "padding", "dilation", "groups", "kernel_size", "start_dim", "end_dim", "input_shape", "input_type"}
)
"""Parameters that are whole numbers."""

ELEMENTWISE = frozenset({"Scale", "Threshold", "Delay", "I", "IF", "LI", "LIF", "CubaLI", "CubaLIF"})
"""Kinds whose parameters are one number, or one number per element of what comes in."""

DENSE = ("Affine", "Linear")
CONVOLUTIONS = ("Conv1d", "Conv2d")
POOLS = ("AvgPool2d", "SumPool2d")
"""Kinds of one family."""

TIME_CONSTANTS = ("tau", "tau_syn", "tau_mem")
