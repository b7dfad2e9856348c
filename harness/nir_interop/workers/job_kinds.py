"""What a worker can be asked to do.

Each kind of job is named with the module that does it, which is imported when a worker is first asked for it: so what an
outcome depends on is what was imported for it, and :mod:`nir_interop.store.keys` follows that.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

WORK = {
    "train": "nir_interop.workers.job:train",
    "source": "nir_interop.workers.job:source",
    "intended": "nir_interop.transfer.intended:intended",
    "cell": "nir_interop.transfer.importing:cell",
    "meaning": "nir_interop.transfer.importing:meaning",
    "native": "nir_interop.transfer.native_networks:native",
    "native_labels": "nir_interop.transfer.native_networks:native_labels",
    "identify": "nir_interop.transfer.explain_job:identify",
    "explain": "nir_interop.transfer.explain_job:explain",
    "rewrite": "nir_interop.transfer.rewrite_job:rewrite",
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
