"""One graph of a user's in one backend: what it makes of it, who is to blame where that is not NIR's meaning, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nir_interop.agreement.side import Side
from nir_interop.arrays import Array
from nir_interop.backends.environments import Backend
from nir_interop.errors import OwnFailure, RunFailed
from nir_interop.explain.rules_in_words import found_in_words, rule_in_words
from nir_interop.explain.structure import has_biased_feedback
from nir_interop.explain.warnings import at_fault, before, warned
from nir_interop.fingerprint import Fingerprint
from nir_interop.graphs import NEURONS, Graph, inline, read_corrected
from nir_interop.recording import Recording
from nir_interop.rule import NIR_MEANING
from nir_interop.store.store import Store
from nir_interop.transfer.case import Case, explain
from nir_interop.transfer.check import Checked, Recordings, run_graph
from nir_interop.transfer.fingerprints import import_fingerprint
from nir_interop.transfer.remedies import Remedy, remedy_for, with_causes
from nir_interop.verdict import CauseShare, Verdict
from nir_interop.vocabulary import CONTINUOUS, REFERENCE, Blame, Cause, Status
from nir_interop.workers.jobs import Compared

if TYPE_CHECKING:
    from nir_interop.workers.fork_server import ForkServer


@dataclass(frozen=True)
class GraphExplanation:
    """A verdict on a graph in a backend, with the recordings behind it.

    meant, made : by NIR's meaning in steps, and by the backend (None where it gave nothing)
    notes : how the graph was read where it means nothing as it stands
    remedy : the rewriting with which the backend gives every output, None where none is known
    right_today : whether it gives every output of the file as ``nir-interop upgrade`` writes it
    """

    backend: Backend
    graph: Graph
    dt: float
    outcome: Compared
    verdict: Verdict
    fingerprint: Fingerprint
    meant: Recording
    made: Recording | None
    notes: tuple[str, ...] = ()
    remedy: Remedy | None = None
    right_today: bool = False

    @property
    def warned(self) -> bool:
        """Whether the library said what is wrong, naming a node or a parameter at fault."""
        suspects = at_fault(((each.cause, each.nodes, each.text) for each in self.verdict.causes), self.graph)
        if suspects is None:
            suspects = before(self.graph, self.outcome.first_node)
        return warned(self.verdict.status, self.outcome, suspects)

    @property
    def agrees(self) -> bool:
        """Whether no output is wrong; a graph that is too quiet to prove anything has none."""
        return self.verdict.status.agrees or self.verdict.status is Status.VACUOUS

    def as_dict(self) -> dict[str, Any]:
        """What ``nir-interop explain --json`` prints."""
        compared = self.outcome.comparison
        return {
            "backend": self.backend.name,
            "version": self.backend.version,
            "dt": self.dt,
            "read_as": list(self.notes),
            "status": str(self.verdict.status),
            "warned": self.warned,
            "error_type": self.outcome.error_type,
            "error_message": self.outcome.error_message,
            "outputs": None if compared is None else compared.outputs,
            "mismatched": None if compared is None else compared.mismatched,
            "blame": str(self.verdict.blame),
            "causes": [each.as_dict() for each in self.verdict.causes],
            "explained": self.verdict.explained,
            "upgrade": self.right_today,
            "remedy": [each.name for each in self.remedy.passes] if self.remedy else None,
            "rule": {kind: {**rule, "says": sentence} for kind, (rule, sentence) in self.rules().items()},
        }

    def rules(self) -> dict[str, tuple[dict[str, Any], str]]:
        """Primitive of the graph that the backend takes → its rule, as plain data (where it is known) and as a sentence."""
        flat = inline(self.graph)
        rules: dict[str, tuple[dict[str, Any], str]] = {}
        for kind in sorted({node.kind for _, node in flat.primitives() if node.kind in NEURONS}):
            one = self.fingerprint.rules.get(kind)
            if one is None:
                rules[kind] = NIR_MEANING.as_dict(), rule_in_words(NIR_MEANING, kind)
            elif one.outputs:  # what is not taken has no rule
                feedback = has_biased_feedback(flat, kind)
                rules[kind] = one.rule.as_dict() if one.known else {}, found_in_words(kind, one, feedback=feedback)
        return rules


def explain_graph(
    path: Path,
    stimulus: Array,
    dt: float,
    backend: Backend,
    reference: Backend,
    store: Store,
    *,
    time_limit: float = 20.0,
    seed: int = 0,
    server: ForkServer | None = None,
) -> GraphExplanation:
    r"""Run a graph in a backend and explain what is not NIR's meaning in steps.

    stimulus : axes (T, B, \*shape)
    dt : the step [s] that the importer is asked for
    store : keeps the backend's fingerprint, which takes some seconds to find
    server : forks the workers

    Raises BackendMissing where the backend is not installed, InvalidGraph where the graph means nothing.
    """
    graph, notes = read_corrected(path)
    kept = Recordings()
    options: dict[str, Any] = {"time_limit": time_limit, "seed": seed, "kept": kept, "server": server}
    (found,) = run_graph(path, stimulus, dt, [backend], reference, store, **options)
    meant, made = kept.of(REFERENCE), kept.of(backend.name)
    if meant is None:
        raise OwnFailure(f"{path.name}: the reference's recording is gone; is something removing temporary files?")
    own = backend.name in (REFERENCE, CONTINUOUS)
    fingerprint = Fingerprint(backend.name) if own else import_fingerprint(backend, store)
    target = Side.of(fingerprint, dt, backend.name)
    case = Case(graph, stimulus, Side("NIR", dt), target, recorded=meant, intended=graph)
    if made is not None:
        verdict = explain(case, made)
    else:
        outcome = found.outcome
        failure = RunFailed(outcome.status, outcome.error_type, outcome.error_message)
        verdict = explain(case, failure)
        if verdict.status is Status.TIMEOUT:  # of what nobody knows a cause of, no more is asked
            verdict = _with_reason(verdict, found)
        if notes and verdict.blame in (Blame.IMPORTER, Blame.UNEXPLAINED):  # the file means nothing as it stands
            verdict = replace(verdict, blame=Blame.EXPORTER)
    remedy = None
    wrong = verdict.status not in (Status.EXACT, Status.ROUNDING, Status.VACUOUS, Status.ENV_MISSING)
    if not own and wrong:
        remedy = remedy_for(graph, stimulus, dt, backend, target, verdict, time_limit)
        verdict = _with_reason(with_causes(verdict, remedy), found)
    return GraphExplanation(
        backend, graph, dt, found.outcome, verdict, fingerprint, meant, made, notes, remedy, found.right_today
    )


def _with_reason(verdict: Verdict, found: Checked) -> Verdict:
    """The verdict with what the library gives an answer without, where no cause is known."""
    if verdict.causes or not found.reason:
        return verdict
    shown = CauseShare(Cause.UNSUPPORTED, 0, found.reason, found.error)
    return replace(verdict, blame=Blame.IMPORTER, causes=(shown,), explained=1.0)
