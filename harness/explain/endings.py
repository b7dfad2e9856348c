"""The verdict on a cell that ended without a recording: whose deed, and the cause where the probes know it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from harness.errors import InvalidGraph
from harness.explain.exporting import exporter_changes
from harness.explain.verdict import CauseShare, Failure, Verdict
from harness.fingerprint import Refusal
from harness.graphs import Graph, inline, validate
from harness.vocabulary import Blame, Cause, Stage, Status

Refusals = Mapping[str, Iterable[Refusal]]
"""What a backend's importer declines, by primitive: see :class:`harness.fingerprint.Identified`."""


def without_graph(failure: Failure, stage: Stage) -> Verdict:
    """A source that gave no graph: NIR cannot say it, the library cannot hold it, or its exporter failed."""
    status, says = Status(failure.status), _says(failure)
    if status is Status.ENV_MISSING:
        return Verdict(status, Blame.SETTING)
    if failure.error_type == "NotExpressible":
        return Verdict(status, Blame.FORMAT, (CauseShare(Cause.NOT_EXPRESSIBLE, 0, (), says),), 1.0)
    blame = Blame.EXPORTER if stage in (Stage.EXPORT, Stage.WRITE) else Blame.BUILDER
    return Verdict(status, blame, (CauseShare(Cause.UNSUPPORTED, 0, (), says),), 1.0)


def without_meaning(failure: Failure, intended: Graph | None, exported: Graph, dt: float) -> Verdict | None:
    """A graph that means nothing, refused by whoever was given it: the exporter's deed.  None where it means something."""
    try:
        validate(exported)
    except InvalidGraph as error:
        changes = () if intended is None else exporter_changes(inline(intended), inline(exported), dt)
        causes = tuple(CauseShare(cause, 0, (), str(error)) for cause in changes)
        return Verdict(Status(failure.status), Blame.EXPORTER, causes, 1.0 if causes else 0.0)
    return None


def attributed(verdict: Verdict, failure: Failure, exported: Graph, refusals: Refusals) -> Verdict:
    """The verdict on a graph that an importer gave no recording of, with its domain as the cause where nothing else is.

    A domain is known from the probes: what is refused in the words of a probe's refusal is refused for the probe's reason.
    """
    if verdict.causes:
        return verdict
    if verdict.status is Status.ENV_MISSING:
        return Verdict(verdict.status, Blame.SETTING)
    words = _normal(_says(failure))
    graph = inline(exported)
    for kind in sorted({node.kind for _, node in graph.primitives()}):
        said = [(_normal(refusal.message), refusal.parameter) for refusal in refusals.get(kind, ())]
        where = [parameter for message, parameter in said if message and (message in words or words in message)]
        if where:
            says = f"{where[0]}: {_says(failure)}" if len(where) == 1 else _says(failure)
            share = CauseShare(Cause.UNSUPPORTED, 0, tuple(sorted(graph.of_kind(kind))), says)
            return Verdict(verdict.status, Blame.IMPORTER, (share,), 1.0)
    return Verdict(verdict.status, Blame.IMPORTER)


def _says(failure: Failure) -> str:
    return ": ".join(text for text in (failure.error_type, failure.message) if text)


def _normal(message: str) -> str:
    """A message without what differs from graph to graph: numbers and quoted names."""
    return re.sub(r"\s+", " ", re.sub(r"'[^']*'|[-+]?\d+(\.\d+)?(e[-+]?\d+)?", "…", message)).strip()
