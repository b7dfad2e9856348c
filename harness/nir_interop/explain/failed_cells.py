"""The verdict on a cell that ended without a recording: whose deed, and the cause where the probes know it."""

from __future__ import annotations

import re
from dataclasses import replace

from nir_interop.errors import InvalidGraph, OwnFailure
from nir_interop.explain.conditions_in_words import condition_in_words, subject_in_words
from nir_interop.explain.exporting import exporter_changes
from nir_interop.explain.facts import cause_of, early_nodes, holds
from nir_interop.explain.verdict import Failure
from nir_interop.fingerprint import Condition, Domain, Form, Subject, Wiring
from nir_interop.graphs import Graph, components, inline, nested, validate
from nir_interop.verdict import CauseShare, Verdict
from nir_interop.vocabulary import Blame, Cause, Stage, Status


def without_graph(failure: Failure, stage: Stage) -> Verdict:
    """A source that gave no graph: NIR cannot say it, the library cannot hold it, or its exporter failed."""
    status, says = Status(failure.status), _says(failure)
    if status is Status.ENV_MISSING:
        return Verdict(status, Blame.SETTING)
    if failure.error_type == "NotExpressible":
        return Verdict(status, Blame.FORMAT, (CauseShare(Cause.NOT_EXPRESSIBLE, 0, (), says),), 1.0)
    if failure.error_type == OwnFailure.__name__:
        return Verdict(status, Blame.HARNESS)
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


def attributed(verdict: Verdict, failure: Failure, exported: Graph, domain: Domain) -> Verdict:
    """The verdict on a graph that an importer gave no recording of, with its domain as the cause where nothing else is.

    A domain is known from the probes: what fails in the words in which a probe did, fails for the probe's reason; and what
    no probe of a primitive has got through can do no better.  A refusal says itself what it does not take.  A node that is left
    out, of a primitive that no probe got through with, is one that the library does not have: that has one name.
    """
    if verdict.blame is Blame.HARNESS:
        return verdict
    if verdict.causes and verdict.status is not Status.READ_ERROR:
        return replace(verdict, causes=tuple(_not_taken(each, inline(exported), domain) for each in verdict.causes))
    if verdict.status is Status.ENV_MISSING:
        return Verdict(verdict.status, Blame.SETTING)
    graph, says = inline(exported), _says(failure)
    words = _normal(says, graph)
    parts = _parts(graph) | ({Wiring.NESTING: nested(exported)} if nested(exported) else {})
    for subject, nodes in parts.items():
        refusals = domain[subject].refusals if subject in domain else ()
        said = [(_normal(refusal.message, graph), refusal.condition) for refusal in refusals]
        alike = [condition for message, condition in said if message and (message in words or words in message)]
        where = [condition for condition in alike if holds(condition, exported, nodes)]
        if where:
            return _declined(verdict, exported, subject, nodes, where, says)
    if verdict.causes:
        return replace(verdict, causes=tuple(_not_taken(each, graph, domain) for each in verdict.causes))
    for subject, nodes in parts.items():
        if domain.lacks(subject):
            return _unsupported(verdict, nodes, f"{subject_in_words(subject)}, in whatever way it was tried: {says}")
    if verdict.status is Status.REFUSED:
        return _unsupported(verdict, (), says)
    return Verdict(verdict.status, Blame.IMPORTER)


def _declined(
    verdict: Verdict, exported: Graph, subject: Subject, nodes: tuple[str, ...], where: list[Condition], says: str
) -> Verdict:
    """What fails as some probes of a primitive or wiring did, which are true of the graph."""
    blame = verdict.blame if verdict.causes else Blame.IMPORTER
    condition = where[0]
    cause, name, words = cause_of(condition), subject_in_words(subject), condition_in_words(condition, subject)
    if cause is Cause.NAME_ORDER:
        (source, target), *_ = early_nodes(exported, condition)
        text = (
            f"{target} is named before {source}, which feeds it, and a file keeps its nodes sorted by name; under names in the "
        )
        return Verdict(
            verdict.status,
            blame,
            (CauseShare(cause, 0, (target,), f"{text}order in which they run it does not end so: {says}"),),
            1.0,
        )
    if cause is not Cause.UNSUPPORTED:
        flat = inline(exported)
        own = tuple(each for each in nodes if holds(condition, flat, (each,)))
        return Verdict(verdict.status, blame, (CauseShare(cause, 0, own, f"{name}, {words}: {says}"),), 1.0)
    what = name if condition is Form.ANY else f"{name}, {words}"
    named = f"{what}: {says}" if len(where) == 1 else says
    return Verdict(verdict.status, blame, (CauseShare(cause, 0, nodes, named),), 1.0)


def _not_taken(share: CauseShare, graph: Graph, domain: Domain) -> CauseShare:
    """A node that was left out, of a primitive that is not taken in any way in which it was tried."""
    kinds = {graph.nodes[name].kind for name in share.nodes if name in graph.nodes}
    if share.cause is not Cause.NODE_DROPPED or not kinds or not all(map(domain.lacks, kinds)):
        return share
    return replace(share, cause=Cause.UNSUPPORTED)


def _unsupported(verdict: Verdict, nodes: tuple[str, ...], says: str) -> Verdict:
    return Verdict(verdict.status, Blame.IMPORTER, (CauseShare(Cause.UNSUPPORTED, 0, nodes, says),), 1.0)


def _parts(graph: Graph) -> dict[Subject, tuple[str, ...]]:
    """What a graph is made of, primitives and wiring, and the nodes that are it."""
    kinds = {node.kind for _, node in graph.primitives()} - {"Input", "Output"}
    parts: dict[Subject, tuple[str, ...]] = {kind: tuple(sorted(graph.of_kind(kind))) for kind in sorted(kinds)}
    cyclic = sorted(
        name
        for group in components(graph.nodes, graph.edges)
        if len(group) > 1 or (group[0], group[0]) in graph.edges
        for name in group
    )
    joins = sorted(name for name in graph.nodes if len({*graph.into(name)} - {*cyclic}) > 1)
    outputs = tuple(sorted(graph.of_kind("Output")))
    several = outputs if len(outputs) > 1 else ()
    wirings = {Wiring.SEVERAL_OUTPUTS: several, Wiring.JOIN: tuple(joins), Wiring.RECURRENCE: tuple(cyclic)}
    return parts | {wiring: nodes for wiring, nodes in wirings.items() if nodes}


def _says(failure: Failure) -> str:
    return ": ".join(text for text in (failure.error_type, failure.message) if text)


def _normal(message: str, graph: Graph) -> str:
    """A message without what differs from graph to graph: how many numbers and which, and names, quoted ones and the nodes'."""
    names = "|".join(re.escape(name) for name in sorted(graph.nodes, key=len, reverse=True))
    text = re.sub(r"[\w.]+\.(input|output)\b", "…", message)
    text = re.sub(rf"\b({names})\b", "…", text)
    text = re.sub(r"'[^']*'|\bn\d+\b|[-+]?\d+(\.\d+)?(e[-+]?\d+)?", "…", text)
    return re.sub(r"…(\s+…)+", "…", re.sub(r"\s+", " ", text)).strip()
