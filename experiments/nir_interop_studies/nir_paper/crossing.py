"""A network through every backend: as its file is, and rewritten; with what makes it differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nir_interop.agreement.side import Side
from nir_interop.backends.environments import Backend
from nir_interop.errors import RunFailed
from nir_interop.explain.continuous import explain_continuous
from nir_interop.explain.failed_cells import attributed
from nir_interop.explain.verdict import Verdict, explain_cell
from nir_interop.graphs import Array, read, write
from nir_interop.reconcile.planner import replayed
from nir_interop.store.store import Store
from nir_interop.transfer.reconciling import NIR, Reconciled, reconcile_with, side_of
from nir_interop.vocabulary import CONTINUOUS, REFERENCE, Mode
from nir_interop.workers.live import LiveBackend
from nir_interop_studies.nir_paper.inputs import Inputs
from nir_interop_studies.nir_paper.running import Ran, Runner


@dataclass(frozen=True, eq=False)
class Task:
    """A network and what it is fed.

    meant : the step [s] at which the graph, in NIR's meaning, is the network that was trained
    asked : the step that importers are asked for with the rewritten graph
    natives : the steps that they are asked for with the graph as it is
    sample : of the inputs, on which a difference is explained and a rewriting is checked; axes (T, B, \\*shape)
    keep : the node whose spikes of all recordings are kept, empty for none
    """

    name: str
    path: Path
    meant: float
    asked: float
    natives: tuple[float, ...]
    inputs: Inputs
    sample: Array
    keep: str = ""


@dataclass(frozen=True, eq=False)
class Crossed:
    """A graph in a backend.

    verdict : on the graph as it is; reconciled : how it was rewritten, None in the other mode
    """

    backend: Backend
    mode: Mode
    dt: float
    ran: Ran
    verdict: Verdict | None
    reconciled: Reconciled | None = None

    @property
    def causes(self) -> str | None:
        """Why it differs, or what is left of that."""
        if self.reconciled is not None:
            return "; ".join(dict.fromkeys(str(each.cause) for each in self.reconciled.remaining)) or None
        return "; ".join(dict.fromkeys(self.verdict.codes)) or None if self.verdict is not None else None

    @property
    def why(self) -> str | None:
        """The same in sentences."""
        shares = self.reconciled.remaining if self.reconciled is not None else self.verdict.causes if self.verdict else ()
        return "; ".join(dict.fromkeys(each.says for each in shares)) or None

    @property
    def remedy(self) -> str | None:
        """The passes."""
        return "; ".join(each.name for each in self.reconciled.plan.passes) or None if self.reconciled is not None else None


def target_side(live: LiveBackend, dt: float, store: Path) -> Side:
    """What is known of a backend's importer; nothing of the one that solves the equations."""
    name = live.backend.name
    return Side(name, dt) if name == CONTINUOUS else side_of(name, dt, Store(store), {name: live.backend})


def cross(
    task: Task, live: LiveBackend, store: Path, runner: Runner, graphs: Path, advance: Callable[[], None]
) -> list[Crossed]:
    """Run the graph in a backend, natively at each step and rewritten; ``advance`` is called after each.

    graphs : where rewritten graphs go
    """
    found, target = [], target_side(live, task.asked, store)
    for dt in task.natives:
        ran = runner.backend(live, read(task.path), task.inputs, dt, task.keep)
        found.append(Crossed(live.backend, Mode.NATIVE, dt, ran, _verdict(task, target, dt, ran, live)))
        advance()
    if live.backend.name != CONTINUOUS:
        found.append(_rewritten(task, target, live, runner, graphs))
        advance()
    return found


def steps(task: Task, backends: Sequence[Backend]) -> int:
    """How often :func:`cross` advances."""
    return sum(len(task.natives) + (backend.name != CONTINUOUS) for backend in backends)


def source(task: Task) -> Side:
    """What the graph means."""
    return Side(NIR, task.meant)


def _rewritten(task: Task, target: Side, live: LiveBackend, runner: Runner, graphs: Path) -> Crossed:
    reconciled = reconcile_with(live, read(task.path), task.sample, source(task), target)
    if reconciled.plan.passes:
        graphs.mkdir(parents=True, exist_ok=True)
        write(graphs / f"{task.name}_for_{live.backend.name}.nir", reconciled.plan.graph)
    ran = runner.backend(live, reconciled.plan.graph, task.inputs, task.asked, task.keep)
    return Crossed(live.backend, Mode.RECONCILED, task.asked, ran, None, reconciled)


def _verdict(task: Task, target: Side, dt: float, ran: Ran, live: LiveBackend) -> Verdict:
    """Why a backend's run of the graph as it is differs from what the graph means."""
    graph, made, failed = read(task.path), None, None
    if ran.output is None:
        failed = ran.error()
    else:
        try:
            made = live(graph, task.sample, dt)
        except RunFailed as error:
            failed = error
    side = replace(target, dt=dt)
    cell: dict[str, Any] = {
        "intended": None,
        "exported": graph,
        "source": source(task),
        "target": side,
        "native": replayed(graph, source(task), task.sample),
        "stimulus": task.sample,
    }
    if side.name == CONTINUOUS and made is not None:
        return explain_continuous(made=made, **cell)
    verdict = explain_cell(made=made, failure=failed, **cell)
    return verdict if failed is None else attributed(verdict, failed, graph, side.domain)


COLUMNS = (
    "dataset", "network", "backend", "version", "mode", "dt", "status", "error_type", "error_message", "accuracy",
    "accuracy_low", "accuracy_high", "right", "samples", "comparable", "outputs", "mismatched", "recordings_differing",
    "classes_differing", "causes", "why", "remedy", "sample_exact",
)  # fmt: skip


def rows(task: Task, crossed: Sequence[Crossed]) -> list[dict[str, Any]]:
    """The table of a task; differences are from what the graph means, as the reference computes it."""
    meant = next(
        each.ran.output
        for each in crossed
        if each.backend.name == REFERENCE and each.mode is Mode.NATIVE and each.dt == task.meant
    )
    helped = {each.backend.name: _passes(each) for each in crossed if each.reconciled is not None}
    return [_row(task, each, meant, helped.get(each.backend.name, "")) for each in crossed]


def _passes(each: Crossed) -> str:
    """What made a graph run, in the words of the passes; empty where nothing did."""
    if each.reconciled is None or not each.reconciled.plan.exact:
        return ""
    return "; ".join(applied.why for applied in each.reconciled.plan.passes)


def _row(task: Task, each: Crossed, meant: Array | None, helped: str) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {
        "dataset": task.inputs.name,
        "network": task.path.name,
        "backend": each.backend.name,
        "version": each.backend.version,
        "mode": str(each.mode),
        "dt": each.dt,
        "comparable": task.inputs.comparable,
        "samples": len(task.inputs),
        "causes": each.causes,
        "why": each.why,
        "remedy": each.remedy,
        "sample_exact": None if each.reconciled is None else each.reconciled.plan.exact,
        **_failed(each.ran.failed),
    }
    if each.ran.output is None and not each.causes and helped:
        row["why"] = f"no probe fails so; it runs once rewritten, because {helped}"
    share, output = each.ran.accuracy(task.inputs.labels), each.ran.output
    if share is not None and output is not None:
        row |= {"status": "ran", "right": share.right, **share.columns("accuracy")}
        if meant is not None and meant.shape == output.shape:
            differs = meant != output
            row |= {
                "outputs": differs.size,
                "mismatched": int(differs.sum()),
                "recordings_differing": int(differs.any(axis=(0, 2)).sum()),
                "classes_differing": each.ran.read_otherwise(Ran(meant)),
                "status": "mismatch" if differs.any() else "exact",
            }
    return row


def _failed(words: Mapping[str, str]) -> dict[str, str]:
    return {name: words[name] for name in ("status", "error_type", "error_message") if name in words}
