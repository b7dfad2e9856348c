"""nir-interop: what every NIR graph does in every spiking-network library, measured, explained, and put right.

>>> import nir_interop as ni
>>> checked = ni.check(graph)                          # every installed library, against NIR's own meaning in steps
>>> why = ni.explain(graph, backend="norse")           # who makes it differ, and why
>>> fixed = ni.reconcile(graph, to="norse")            # a graph that Norse computes right
>>> moved = ni.transfer(net, sample, to=["norse"])     # a module that you trained, for another library
>>> recording = ni.simulate(graph, x)                  # what NIR means by it

Everything is imported when it is first asked for: ``import nir_interop`` itself imports neither torch nor NumPy.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nir_interop import errors
    from nir_interop.backends.adapter import Adapter
    from nir_interop.errors import (
        BackendMissing,
        BadData,
        BadInput,
        BadStimulus,
        CannotBuild,
        CannotRecord,
        InvalidGraph,
        NirInteropError,
        NoAnswer,
        NotExpressible,
        NotReconciled,
        OwnFailure,
        ReadFailed,
        RunFailed,
        TooSlow,
        UnknownName,
        UnreadableGraph,
    )
    from nir_interop.interface.functions import backends, check, explain, reconcile, rules, simulate, transfer, upgrade
    from nir_interop.recording import Recording

__version__ = "0.1.0"

__all__ = [
    "Adapter",
    "BackendMissing",
    "BadData",
    "BadInput",
    "BadStimulus",
    "CannotBuild",
    "CannotRecord",
    "InvalidGraph",
    "NirInteropError",
    "NoAnswer",
    "NotExpressible",
    "NotReconciled",
    "OwnFailure",
    "ReadFailed",
    "Recording",
    "RunFailed",
    "TooSlow",
    "UnknownName",
    "UnreadableGraph",
    "backends",
    "check",
    "errors",
    "explain",
    "reconcile",
    "rules",
    "simulate",
    "transfer",
    "upgrade",
]

_FUNCTIONS = ("backends", "check", "explain", "reconcile", "rules", "simulate", "transfer", "upgrade")
_ELSEWHERE = {"Adapter": "backends.adapter", "Recording": "recording", **dict.fromkeys(_FUNCTIONS, "interface.functions")}
"""Name → the module that has it; all others are errors."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_ELSEWHERE.get(name, 'errors')}")
    found: Any = module if name == "errors" else getattr(module, name)
    globals()[name] = found
    if name in _FUNCTIONS and f"{__name__}.{name}" in sys.modules:
        found.__dict__ = vars(sys.modules[f"{__name__}.{name}"])
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Some functions have the names of packages; importing ``nir_interop.explain.verdict`` leaves the function where it is.

    Such a function has as attributes what its package holds, so that ``import nir_interop.explain.verdict as verdict`` and
    other ways from a dotted name to a module lead through it.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _FUNCTIONS or not isinstance(value, ModuleType):
            super().__setattr__(name, value)
        elif (function := vars(self).get(name)) is not None:
            function.__dict__ = vars(value)


sys.modules[__name__].__class__ = _Package
