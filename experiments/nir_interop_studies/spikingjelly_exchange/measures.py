"""What measures which promise."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping

from spikingjelly.activation_based.nir_exchange import from_nir, to_nir

from nir_interop_studies.spikingjelly_exchange import arguments, example, modules, nodes, refusals
from nir_interop_studies.spikingjelly_exchange.bench import Bench, Trial
from nir_interop_studies.spikingjelly_exchange.promises import Promise

MEASURES: Mapping[str, Callable[[Bench, str], Iterator[Trial]]] = {
    **dict.fromkeys((spec.promise for spec in modules.SPECS), modules.conversions),
    **dict.fromkeys((spec.promise for spec in nodes.SPECS), nodes.imports),
    **dict.fromkeys((promise for promise, *_ in refusals.REFUSALS), refusals.refusals),
    **arguments.MEASURES,
    "example first edition": example.first_edition,
    "example": example.current,
}
"""Key of a promise → its cases."""


def measured(bench: Bench, promise: Promise) -> list[Trial]:
    """All cases of a promise; a measurement that itself ends in an exception is a broken case, and not the study's end."""
    cases: list[Trial] = []
    try:
        cases.extend(MEASURES[promise.key](bench, promise.key))
    except Exception as error:
        cases.append(Trial("the measurement", False, remark="it ends in an exception", failed=bench.failed(error)))
    return cases


def in_package(promise: Promise) -> bool | None:
    """Whether the installed package states it too; None where only the documentation is quoted."""
    if not promise.found:
        return None
    text = " ".join((inspect.getsource(to_nir) + inspect.getsource(from_nir)).split())
    return " ".join(promise.found.split()) in text
