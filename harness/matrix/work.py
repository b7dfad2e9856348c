"""What a worker can be asked to do.

Each kind of job is named with the module that does it, which is imported when a worker is first asked for it: so what an
outcome depends on is what was imported for it, and :mod:`harness.matrix.keys` follows that.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

WORK = {
    "train": "harness.matrix.job:train",
    "source": "harness.matrix.job:source",
    "intended": "harness.matrix.intended:intended",
    "cell": "harness.matrix.repeats:cell",
    "meaning": "harness.matrix.repeats:meaning",
    "native": "harness.matrix.native:native",
    "native_labels": "harness.matrix.native:native_labels",
    "identify": "harness.matrix.explaining:identify",
    "explain": "harness.matrix.explaining:explain",
    "rewrite": "harness.matrix.rewriting:rewrite",
}
"""Kind of job → the module and the function that do it."""


def module_of(kind: str) -> str:
    """The module that does a kind of job."""
    return WORK[kind].partition(":")[0]


def doing(kind: str) -> Callable[..., dict[str, Any]]:
    """The function that does a kind of job: given an adapter, the job, and how to tell of progress, it gives the outcome."""
    module, _, name = WORK[kind].partition(":")
    found: Callable[..., dict[str, Any]] = getattr(importlib.import_module(module), name)
    return found
