"""What the functions answer: it shows itself in a terminal and in a notebook, and becomes dictionaries and frames."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, overload

from nir_interop.errors import NotReconciled
from nir_interop.interface.arguments import GivenPath, path_of
from nir_interop.interface.places import check_file, check_other
from nir_interop.printable import listed, printable, shown
from nir_interop.vocabulary import CONTINUOUS, Status

if TYPE_CHECKING:
    import nir
    import pandas as pd

    from nir_interop.agreement.inputs import InputSet
    from nir_interop.backends.environments import Backend
    from nir_interop.fingerprint import Fingerprint, Identified, Refusal, Subject
    from nir_interop.graphs import Change, Graph
    from nir_interop.recording import Recording
    from nir_interop.transfer.check import Checked
    from nir_interop.transfer.graph_explanation import GraphExplanation
    from nir_interop.transfer.reconciling import Reconciled
    from nir_interop.transfer.upgrading import Upgraded
    from nir_interop.verdict import Applied, CauseShare
    from nir_interop.vocabulary import Blame, Status


def row_of(checked: Checked) -> tuple[str, ...]:
    """A backend's name, status, how many outputs differ, where first, and what it said."""
    from nir_interop.compare.divergence import by_output_in_words

    cell = checked.as_dict()
    differ = "" if cell["outputs"] is None else f"{cell['mismatched']} of {cell['outputs']}"
    first = "" if cell["first_step"] is None else f"step {cell['first_step']}, {cell['first_node']}"
    words = (checked.error or cell["rounding"] or ("warned" if cell["warned"] else ""), by_output_in_words(checked.apart))
    said = "; ".join(filter(None, words))
    return tuple(map(printable, (checked.importer, cell["status"], differ, first, said)))


@dataclass(frozen=True, repr=False)
class Check(Mapping[str, "Checked"]):
    """What every backend made of a graph, by name.

    graph : as it was named
    dt : the step [s]
    inputs : what it was fed, with what is to be said of it
    meant : the reference's recording: outputs, spikes and membranes, axes (T, B, \\*shape)
    read_as : how the graph was read where it means nothing as it stands
    renamed : what libraries were given under another name: name → safe name
    upgrade : what writes the graph as today's NIR
    """

    graph: str
    dt: float
    inputs: InputSet
    cells: tuple[Checked, ...]
    meant: Recording
    read_as: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    upgrade: str = ""

    HEADS: ClassVar = ("backend", "status", "differ", "first at", "what it said")
    """Of :meth:`rows`."""

    def __getitem__(self, backend: str) -> Checked:
        for each in self.cells:
            if each.importer == backend:
                return each
        raise KeyError(backend)

    def __iter__(self) -> Iterator[str]:
        return (each.importer for each in self.cells)

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def agrees(self) -> bool:
        """Whether no output of any backend is wrong; continuous time, which always differs from steps, aside."""
        return all(each.agrees for each in self.cells if each.importer != CONTINUOUS)

    @property
    def title(self) -> str:
        """What was done, in a line."""
        return f"{printable(Path(self.graph).name)} at {self.dt:g} s, against NIR's own meaning in steps"

    @property
    def hint(self) -> str:
        """What to do where upgrading the file is enough for a library, and where an input shows nothing, or not every layer's
        doing; empty where all is said."""
        quiet = quiet_hint(self.inputs, any(each.status is Status.VACUOUS for each in self.cells))
        return " ".join(filter(None, (self._upgrading, quiet)))

    @property
    def _upgrading(self) -> str:
        right = [each.importer for each in self.cells if each.right_today]
        runs = [each.importer for each in self.cells if each.runs_today and not each.right_today]
        does = [f"{listed(right)} {_does(right, 'give')} every output of it"] if right else []
        does += [f"{listed(runs)} {_does(runs, 'run')} it"] if runs else []
        return f"Once the file is written as today's NIR, {'; '.join(does)}: {self.upgrade}" if does else ""

    def rows(self) -> list[tuple[str, ...]]:
        """Of each backend its name, status, how many outputs differ, where first, and what it said."""
        return [row_of(each) for each in self.cells]

    def to_dict(self) -> dict[str, Any]:
        """What ``nir-interop check --json`` prints."""
        facts: dict[str, Any] = {"graph": self.graph, "read_as": list(self.read_as), "renamed": dict(self.renamed)}
        facts |= {"dt": self.dt, "inputs": self.inputs.as_dict()}
        return facts | {"cells": [each.as_dict() for each in self.cells]}

    def to_frame(self) -> pd.DataFrame:
        """A row a backend."""
        return frame(each.as_dict() for each in self.cells)

    def __repr__(self) -> str:
        lines = aligned([self.HEADS, *self.rows()])
        return "\n".join([self.title, *lines, f"On {self.inputs.text}.", *filter(None, [self.hint])])

    def _repr_html_(self) -> str:
        from nir_interop.interface import notebook

        parts = [notebook.table(self.HEADS, self.rows(), title=self.title)]
        for each in self.cells:
            made = None if each.agrees or each.importer == CONTINUOUS else each.recording
            if made is not None:
                parts.append(notebook.raster(self.meant, made, each.importer))
                break
        return notebook.shown([*parts, notebook.lines(self.read_as), notebook.lines([f"On {self.inputs.text}.", self.hint])])


@dataclass(frozen=True, repr=False)
class Explanation:
    """Who makes a graph mean something else in a backend, and why.

    found : the verdict, with the recordings behind it
    inputs : what the graph was fed
    text : all there is to say about it
    renamed : what the library was given under another name: name → safe name
    """

    found: GraphExplanation
    inputs: InputSet
    text: str
    renamed: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        """How it ended."""
        return self.found.verdict.status

    @property
    def blame(self) -> Blame:
        """Who changed the meaning."""
        return self.found.verdict.blame

    @property
    def causes(self) -> tuple[CauseShare, ...]:
        """Why, what repairs most outputs first: each with ``cause``, ``nodes``, ``repaired`` and ``text``."""
        return self.found.verdict.causes

    @property
    def explained(self) -> float:
        """The share, 0 to 1, of the outputs that differ which the reference gives with these causes."""
        return self.found.verdict.explained

    @property
    def agrees(self) -> bool:
        """Whether no output is wrong."""
        return self.found.agrees

    @property
    def meant(self) -> Recording:
        r"""What NIR means in steps, axes (T, B, \\*shape)."""
        return self.found.meant

    @property
    def recording(self) -> Recording | None:
        r"""What the backend made of it, axes (T, B, \\*shape); None where it gave nothing."""
        return self.found.made

    def to_dict(self) -> dict[str, Any]:
        """What ``nir-interop explain --json`` prints."""
        return self.found.as_dict() | {"renamed": dict(self.renamed), "inputs": self.inputs.as_dict()}

    def to_frame(self) -> pd.DataFrame:
        """A row a cause: ``cause``, ``repaired``, ``changed``, ``nodes`` and ``says``."""
        return frame((each.as_dict() for each in self.causes), ("cause", "repaired", "changed", "nodes", "says"))

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        causes = [f"- {each.cause}{f' at {listed(each.nodes)}' if each.nodes else ''}" for each in self.causes]
        blame = [f"Blame: {self.blame}"] if causes else []
        return "\n".join([self.text.partition("\n")[0], *blame, *causes])

    def _repr_html_(self) -> str:
        from nir_interop.interface import notebook

        rows = [(str(each.cause), str(each.repaired), listed(each.nodes), each.text) for each in self.causes]
        causes = notebook.table(("cause", "repairs", "at", "why"), rows, title=f"Blame: {self.blame} ({self.blame.meaning})")
        made = self.recording
        picture = "" if made is None or self.status.agrees else notebook.raster(self.meant, made, self.found.backend.name)
        parts = [notebook.lines([self.text.partition("\n")[0]]), causes if rows else "", picture]
        return notebook.shown([*parts, notebook.lines([f"On {self.inputs.text}."])])


@dataclass(frozen=True, repr=False)
class Reconciliation:
    """A graph rewritten so that a backend computes what its source computed, or what is in the way of that.

    found : the plan and its sides
    inputs : on which it was checked
    given : the file that the graph came from, None where it came from none
    names : of all nodes of the graph as it was given
    read_as : how the graph was read where it means nothing as it stands
    """

    found: Reconciled
    inputs: InputSet
    given: Path | None
    names: frozenset[str]
    read_as: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """Whether the backend gives every output with the rewritten graph, rounding apart."""
        return self.found.plan.right

    @property
    def exact(self) -> bool:
        """Whether it does to the last bit of single precision."""
        return self.found.plan.exact

    @property
    def passes(self) -> tuple[Applied, ...]:
        """What was rewritten: each with ``name``, ``nodes``, ``why`` and ``preserves``."""
        return self.found.plan.passes

    @property
    def remaining(self) -> tuple[CauseShare, ...]:
        """What is in the way: each with ``cause``, ``nodes`` and ``text``; empty where every output is right."""
        return self.found.remaining

    @property
    def renamed(self) -> dict[str, str]:
        """What is called otherwise in the rewritten graph, so that any library takes it: name → safe name."""
        from nir_interop.graphs import with_safe_names

        return with_safe_names(self.found.plan.graph)[1]

    @property
    def graph(self) -> nir.NIRGraph:
        """The rewritten graph.

        Raises NotReconciled where not every output is right.
        """
        from nir_interop.graphs import to_nir, with_safe_names

        self._check()
        return to_nir(with_safe_names(self.found.plan.graph)[0])

    def write(self, path: GivenPath) -> Path:
        """Write the rewritten graph into a file that any library can be given; returns its path.

        Raises NotReconciled where not every output is right, BadInput for the graph's own file and where none can be written.
        """
        from nir_interop.graphs import with_safe_names

        self._check()
        return write_graph(with_safe_names(self.found.plan.graph)[0], path, self.given)

    def _check(self) -> None:
        if not self.right:
            why = "; ".join(f"{each.cause}: {each.text}" for each in self.remaining[:1]) or "no pass is known"
            raise NotReconciled(f"{self.found.target.name} does not give every output: {why}; .remaining has all of it")

    def lines(self, written: Path | None = None) -> list[str]:
        """What was rewritten and what came of it, a line each.

        written : the file that it was written into
        """
        found, plan = self.found, self.found.plan
        sides = f"{found.source.name} at {found.source.dt:g} s → {found.target.name} at {found.target.dt:g} s"
        before = (
            "gives no output that could be compared" if found.before is None else f"{found.before} of {plan.outputs} differ"
        )
        said = list(found.read.lines()) if found.read is not None and found.read.fits and not found.read.plain else []
        said.append(f"{sides}: {before} as it is.")
        for number, each in enumerate(plan.passes, start=1):
            said.append(f"{number}. {each.name} at {listed(each.nodes)}: {each.why} (preserves {each.preserves})")
        said += self._end(written)
        said.append(f"On {self.inputs.text}.")
        hint = quiet_hint(self.inputs, plan.agreement.status is Status.VACUOUS)
        return [printable(line) for line in [*said, *filter(None, [hint])]]

    def _end(self, written: Path | None) -> list[str]:
        plan = self.found.plan
        if not plan.right:
            after = "no output that could be compared" if plan.wrong is None else f"{plan.wrong} of {plan.outputs} differ"
            left = [
                f"- {each.cause}{f' at {listed(each.nodes)}' if each.nodes else ''}: {each.text}" for each in self.remaining
            ]
            from nir_interop.compare.divergence import by_output_in_words

            where = by_output_in_words(self.found.apart)
            kept = [f"- {self.found.kept}"] if self.found.kept else []
            return [f"Not reconciled: {after}{f' ({where})' if where else ''}; nothing is written.", *kept, *left]
        how = "its own importer gives" if plan.asked else "its rules predict"
        rounding = f" ({plan.agreement.rounding()})" if not plan.exact else ""
        now = "Rewritten" if plan.passes else "As it is"
        end = "." if written is None else f" → {written}"
        said = [f"{now}, {how} every one of the {plan.outputs} outputs{rounding}{end}"]
        called = {old: new for old, new in self.renamed.items() if old in self.names}  # other names no user knows
        if called:
            said.append(f"In it, as a library can take it: {listed(f'{shown(old)} is {new}' for old, new in called.items())}.")
        return [
            *said,
            *(f"- {rest.cause} at {listed(rest.nodes)}, which no input shows: {rest.why}" for rest in plan.remaining),
        ]

    def to_dict(self) -> dict[str, Any]:
        """What ``nir-interop reconcile --json`` prints."""
        facts: dict[str, Any] = {"read_as": list(self.read_as), "renamed": self.renamed}
        return facts | self.found.as_dict() | {"inputs": self.inputs.as_dict(), "written": None}

    def to_frame(self) -> pd.DataFrame:
        """A row a pass: ``name``, ``nodes``, ``why`` and ``preserves``."""
        return frame((each.as_dict() for each in self.passes), ("name", "nodes", "why", "preserves"))

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        from nir_interop.interface import notebook

        sides, *told = self.lines()
        heads = ("pass", "at", "why", "preserves")
        rows = [(each.name, listed(each.nodes), each.why, each.preserves) for each in self.passes]
        rest = [line for line in told if not line[:1].isdigit()]
        return notebook.shown(
            [notebook.table(heads, rows, title=sides) if rows else notebook.lines([sides]), notebook.lines(rest)]
        )


@dataclass(frozen=True, repr=False)
class Upgrade:
    """A graph as today's NIR has it, with what it computed before.

    found : the graph, what was changed, and what was measured
    inputs : on which old and new were compared
    given : the file that the graph came from, None where it came from none
    """

    found: Upgraded
    inputs: InputSet
    given: Path | None

    @property
    def changes(self) -> tuple[Change, ...]:
        """What is otherwise than in the old file: each with ``what``, ``where``, ``before``, ``after`` and ``text``."""
        return self.found.changes

    @property
    def renamed(self) -> dict[str, str]:
        """What is called otherwise, so that any library takes it: name → safe name."""
        return self.found.renamed

    @property
    def readable(self) -> bool:
        """Whether nir.read takes the new file, its types checked; False, too, where it was not asked."""
        return self.found.refused == ""

    @property
    def graph(self) -> nir.NIRGraph:
        """The new graph."""
        from nir_interop.graphs import to_nir

        return to_nir(self.found.graph)

    def write(self, path: GivenPath) -> Path:
        """Write the new graph into a file; returns its path.

        Raises BadInput for the graph's own file and where none can be written.
        """
        return write_graph(self.found.graph, path, self.given)

    def lines(self, written: Path | None = None) -> list[str]:
        """What was changed and what was measured, a line each.

        written : the file that it was written into
        """
        found = self.found
        said = [f"{number}. {each.text}" for number, each in enumerate(found.changes, start=1)]
        end = "." if written is None else f" → {written}"
        said.append(f"{'As' if said else 'Nothing to change: it is'} NIR {found.after}{end}")
        same = f"outputs, spikes and membranes are the same as before, bit for bit ({found.compared:,} numbers)"
        said.append(f"In the reference its {same}, on {self.inputs.text}.")
        if found.refused is None:
            said.append("nir.read was not asked: its type check takes long on so many edges.")
        elif found.refused:
            said.append(f"nir.read {found.after} does not take it ({found.refused}), nor do libraries that call it.")
        else:
            said.append(f"nir.read {found.after} takes it, its types checked.")
        hint = quiet_hint(self.inputs, False)
        return [printable(line) for line in [*said, *filter(None, [hint])]]

    def to_dict(self) -> dict[str, Any]:
        """What ``nir-interop upgrade --json`` prints."""
        found = self.found
        return {
            "version": {"before": found.before or None, "after": found.after},
            "changes": [each.as_dict() for each in found.changes],
            "renamed": dict(found.renamed),
            "same": True,
            "compared": found.compared,
            "readable": None if found.refused is None else self.readable,
            "nir_read": found.refused or None,
            "inputs": self.inputs.as_dict(),
            "written": None,
        }

    def to_frame(self) -> pd.DataFrame:
        """A row a change: ``what``, ``where``, ``before``, ``after`` and ``says``."""
        return frame((each.as_dict() for each in self.changes), ("what", "where", "before", "after", "says"))

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        from nir_interop.interface import notebook

        heads = ("what", "where", "before", "after")
        rows = [(each.what, each.where, each.before, each.after) for each in self.changes]
        rest = [line for line in self.lines() if not line[:1].isdigit()]
        table = [notebook.table(heads, rows, title="Changes")] if rows else []
        return notebook.shown([*table, notebook.lines(rest)])


@dataclass(frozen=True, repr=False)
class Rules:
    """The update rules of backends: of their importers, and of their own neurons under each set of options.

    found : version and fingerprint, backend after backend
    own : backends whose importer is their adapter's own, since the library ships none
    """

    found: tuple[tuple[str, Fingerprint], ...]
    own: frozenset[str] = frozenset()

    @property
    def fingerprints(self) -> tuple[Fingerprint, ...]:
        """What is known, of each side of each backend."""
        return tuple(each for _, each in self.found)

    @property
    def text(self) -> str:
        """NIR's own meaning and every rule, in words."""
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """The same, line by line."""
        from nir_interop.explain.conditions_in_words import subject_in_words
        from nir_interop.explain.rules_in_words import found_in_words, rule_in_words
        from nir_interop.fingerprint import Origin
        from nir_interop.graphs import NEURONS
        from nir_interop.rule import NIR_MEANING
        from nir_interop.vocabulary import ADAPTERS_OWN

        said = ["NIR (its own meaning)", *(f"  {kind}: {rule_in_words(NIR_MEANING, kind)}" for kind in sorted(NEURONS))]
        for fingerprint in self.fingerprints:
            side = f"{fingerprint.origin.value}: {fingerprint.options}" if fingerprint.options else fingerprint.origin.value
            own = f", {ADAPTERS_OWN}" * (fingerprint.origin is Origin.IMPORT and fingerprint.backend in self.own)
            said.append(f"{fingerprint.backend} ({side}{own})")
            for subject, one in fingerprint.rules.items():
                compared = f"; {one.mismatched} of {one.outputs} outputs differ" if one.outputs else ""
                said.append(f"  {subject_in_words(subject)}: {found_in_words(subject, one)}{compared}")
                for tie in one.ties:
                    said.append(f"      not told apart: {tie.axis} {' or '.join(tie.values)} ({tie.splits})")
                for message, parameters in _alike(subject, one.refusals):
                    said.append(f"      {message[0]} {'; '.join(parameters)}: {message[1]}")
        return said

    def to_dict(self) -> dict[str, Any]:
        """What ``nir-interop rules --json`` prints: backend → side → primitive → facts, under a native neuron's options."""
        from nir_interop.explain.conditions_in_words import subject_in_words
        from nir_interop.explain.rules_in_words import rule_in_words
        from nir_interop.fingerprint import Origin
        from nir_interop.rule import NIR_MEANING

        document: dict[str, Any] = {"NIR": {"meaning": {**NIR_MEANING.as_dict(), "says": rule_in_words(NIR_MEANING)}}}
        for fingerprint in self.fingerprints:
            sides = document.setdefault(fingerprint.backend, {origin.value: {} for origin in Origin})
            facts = {subject_in_words(subject): _facts(subject, one) for subject, one in fingerprint.rules.items()}
            sides[fingerprint.origin.value] |= {fingerprint.options: facts} if fingerprint.origin is Origin.NATIVE else facts
        return document

    def to_frame(self) -> pd.DataFrame:
        """A row a primitive of each side, with the columns of rules.csv; NIR's own meaning beside them."""
        from nir_interop.report.results_folder import rule_rows

        return frame(rule_rows(self.found, self.own))

    def __repr__(self) -> str:
        named = dict.fromkeys(f"{each.backend} {version}".strip() for version, each in self.found)
        return f"update rules of {', '.join(named) or 'no backend'}; .text says them, .to_frame() and .to_dict() hold them"

    def _repr_html_(self) -> str:
        from nir_interop.explain.conditions_in_words import subject_in_words
        from nir_interop.explain.rules_in_words import found_in_words
        from nir_interop.interface import notebook

        rows = [
            (each.backend, each.origin.value, each.options, subject_in_words(subject), found_in_words(subject, one))
            for each in self.fingerprints
            for subject, one in each.rules.items()
        ]
        return notebook.shown([notebook.table(("backend", "side", "options", "primitive", "rule"), rows, title="Update rules")])


@dataclass(frozen=True, repr=False)
class Backends(Sequence["Backend"]):
    """Every backend that there is an adapter for: its ``name``, ``versions``, and whether it is ``installed``."""

    found: tuple[Backend, ...]

    @overload
    def __getitem__(self, index: int | str) -> Backend: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Backend, ...]: ...

    def __getitem__(self, index: int | str | slice) -> Backend | tuple[Backend, ...]:
        if isinstance(index, str):
            for each in self.found:
                if each.name == index:
                    return each
            raise KeyError(index)
        return self.found[index]

    def __len__(self) -> int:
        return len(self.found)

    def rows(self) -> list[tuple[str, str]]:
        """Of each its name and its versions, or how it is installed."""
        found = []
        for each in self.found:
            versions = ", ".join(f"{name} {version}" for name, version in each.versions.items())
            absent = f"not installed: nir-interop backends install {each.name}"
            found.append((each.name, versions if each.installed else absent))
        return found

    def to_dict(self) -> dict[str, Any]:
        """What ``nir-interop backends --json`` prints."""
        found = [{"name": each.name, "installed": each.installed, "versions": each.versions} for each in self.found]
        return {"backends": found}

    def to_frame(self) -> pd.DataFrame:
        """A row a backend."""
        rows = [{"backend": each.name, "version": each.version, "installed": each.installed} for each in self.found]
        return frame(rows, ("backend", "version", "installed"))

    def __repr__(self) -> str:
        return "\n".join(aligned(self.rows()))

    def _repr_html_(self) -> str:
        from nir_interop.interface import notebook

        return notebook.shown([notebook.table(("backend", "versions"), self.rows(), title="Backends")])


def _facts(subject: Subject, one: Identified) -> dict[str, Any]:
    from nir_interop.explain.conditions_in_words import condition_in_words
    from nir_interop.explain.rules_in_words import axes_of, found_in_words

    return {
        **axes_of(subject, one),
        "says": found_in_words(subject, one),
        "ties": [{"axis": tie.axis, "values": list(tie.values), "splits": tie.splits} for tie in one.ties],
        "refuses": [
            {"parameter": condition_in_words(each.condition, subject), "status": each.status, "message": each.message}
            for each in one.refusals
        ],
        "outputs": one.outputs,
        "mismatched": one.mismatched,
    }


def _alike(subject: Subject, refusals: Iterable[Refusal]) -> list[tuple[tuple[str, str], list[str]]]:
    """Refusals in the same words but for their numbers: whose they are, the first one's words, and what each is of."""
    from nir_interop.explain.conditions_in_words import condition_in_words

    found: dict[tuple[str, str], tuple[tuple[str, str], list[str]]] = {}
    for refusal in refusals:
        said, words = refusal.message or refusal.status, condition_in_words(refusal.condition, subject)
        whose = "nir.read does not take" if refusal.status == Status.READ_ERROR else "does not take"
        found.setdefault((whose, re.sub(r"\d+", "0", said)), ((whose, said), []))[1].append(words)
    return list(found.values())


def _does(who: Sequence[str], verb: str) -> str:
    return verb if len(who) > 1 else f"{verb}s"


def quiet_hint(inputs: InputSet, silent: bool) -> str:
    """What to do where an input shows nothing, or not every layer's doing; empty where all speak."""
    if silent:
        return (
            "The output is constant or hardly spikes, and agreement proves nothing: "
            "give an input on which it fires (--input), or the time step that the graph is meant for (--dt)."
        )
    if inputs.quiet:
        return (
            f"No input makes {listed(inputs.quiet)} fire, so that nothing is known of what happens then: "
            "give one that does (--input), or the time step that the graph is meant for (--dt)."
        )
    return ""


def write_graph(graph: Graph, path: GivenPath, given: Path | None = None) -> Path:
    """Write a graph into a file; returns its path.

    given : the file that it came from, which it must not replace

    Raises BadInput where no file can be written there.
    """
    from nir_interop.graphs import write

    file = path_of(path)
    check_file(file, "path")
    check_other(file, given, "path")
    write(file, graph)
    return file


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Cells in columns, a line a row."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def frame(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] | None = None) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame([dict(row) for row in rows], columns=None if columns is None else list(columns))
