"""What moving a trained module answers: for each target whether it computes what the module does, why not, and a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nir_interop.errors import BackendMissing, NotReconciled
from nir_interop.interface.arguments import GivenPath
from nir_interop.interface.results import frame, quiet_hint, write_graph
from nir_interop.printable import listed, printable
from nir_interop.vocabulary import Blame, Cause, Status

if TYPE_CHECKING:
    import nir
    import pandas as pd

    from nir_interop.transfer.own_modules import Moved, Understood
    from nir_interop.verdict import Applied, CauseShare, Verdict


@dataclass(frozen=True, repr=False)
class Target:
    """A module in one target library.

    known : the module, and what is known of it
    moved : what came of it in the target
    """

    known: Understood
    moved: Moved

    @property
    def name(self) -> str:
        """The library's."""
        return self.moved.backend.name

    @property
    def right(self) -> bool:
        """Whether the library gives every output of the module with the rewritten file, rounding apart, on all inputs."""
        return self.moved.right

    @property
    def exact(self) -> bool:
        """Whether it does to the last bit of single precision."""
        return self.moved.exact

    @property
    def status(self) -> Status:
        """How the library with the rewritten file agrees with the module, on the made inputs and on the user's."""
        made = self.moved.found.plan.agreement.status
        if self.moved.on_own is None or made is Status.MISMATCH:
            return made
        return max((made, self.moved.on_own.status), key=_RANK.index)

    @property
    def passes(self) -> tuple[Applied, ...]:
        """What was rewritten: each with ``name``, ``nodes``, ``why`` and ``preserves``."""
        return self.moved.found.plan.passes

    @property
    def natively(self) -> Verdict | None:
        """The verdict on the exporter's own file in the library, against the module; None where the exporter wrote none."""
        return self.moved.natively

    @property
    def remaining(self) -> tuple[CauseShare, ...]:
        """What is in the way: each with ``cause``, ``nodes`` and ``text``; empty where every output is right."""
        return self.moved.found.remaining

    @property
    def graph(self) -> nir.NIRGraph:
        """The rewritten graph.

        Raises NotReconciled where not every output is right.
        """
        from nir_interop.graphs import to_nir, with_safe_names

        self._check()
        return to_nir(with_safe_names(self.moved.found.plan.graph)[0])

    def write(self, path: GivenPath) -> Path:
        """Write the rewritten file, which the library's own importer takes; returns its path.

        Raises NotReconciled where not every output is right, BadInput where no file can be written there.
        """
        from nir_interop.graphs import with_safe_names

        self._check()
        return write_graph(with_safe_names(self.moved.found.plan.graph)[0], path)

    @property
    def model(self) -> Any:
        """The library's own module, made by its own importer from the rewritten file, in this process.

        Raises NotReconciled where not every output is right, BackendMissing where the library is in another environment.
        """
        import tempfile

        from nir_interop.backends.adapter import load_adapter

        if not self.moved.backend.own_interpreter:
            raise BackendMissing(f"{self.name} is installed in an environment of its own; write the file, and import it there")
        with tempfile.TemporaryDirectory() as folder:
            path = self.write(Path(folder) / "graph.nir")
            adapter = load_adapter(self.name)
            return adapter.module_of(adapter.load(path, self.moved.found.target.dt))

    def _check(self) -> None:
        if not self.right:
            why = self.why or "no rewriting is known"
            raise NotReconciled(f"{self.name} does not give every output of the module: {why}; .remaining has all of it")

    @property
    def why(self) -> str:
        """Why not every output is right; empty where it is."""
        if self.right:
            return ""
        own = self.moved.on_own
        if self.moved.found.plan.right and own is not None:
            return f"{own.unequal} of {own.outputs} outputs on your input differ"
        return "; ".join(f"{each.cause}: {each.text}" for each in self.remaining[:1])

    @property
    def line(self) -> str:
        """All that matters in a line."""
        plan = self.moved.found.plan
        if not self.right:
            left = "no output to compare" if plan.wrong is None else f"{plan.wrong} of {plan.outputs} outputs differ"
            return printable(f"{self.name}: not reconciled, {left}: {self.why or 'why is not known'}")
        on = on_inputs(self.known)
        rounding = f" ({plan.agreement.rounding()})" if plan.agreement.status is Status.ROUNDING else ""
        passes = f", rewritten by {listed(each.name for each in plan.passes)}" if plan.passes else ", as it is"
        said = "too quiet to tell" if self.status is Status.VACUOUS else str(self.status)
        accuracy = ""
        if self.moved.accuracy is not None:
            ours, theirs = self.moved.accuracy
            accuracy = f"; accuracy {theirs.value:.4f}, the module's {ours.value:.4f} (n = {ours.samples})"
        return printable(f"{self.name}: {said}{rounding} on {on}{passes}{accuracy}")

    @property
    def before(self) -> str:
        """What the library makes of the exporter's own file, and why, in a line; empty where the exporter wrote none."""
        found = self.moved.natively
        if found is None:
            return ""
        if found.status.agrees:
            return f"{self.known.library}'s own file: {found.status}"
        of = self.moved.found.plan.outputs
        how = str(found.status) if self.moved.wrong is None else f"{self.moved.wrong} of {of} outputs differ"
        causes = [f"{each.cause}{f' at {listed(each.nodes)}' if each.nodes else ''}: {each.text}" for each in found.causes]
        blame = f" ({_whose(found.blame, self.known.library, self.name)})" if found.blame is not Blame.NONE else ""
        return printable(f"{self.known.library}'s own file: {how}{blame}; {'; '.join(causes) or 'why is not known'}")

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        found, own = self.moved.natively, self.moved.on_own
        native = None if found is None else {
            "status": str(found.status), "mismatched": self.moved.wrong, "blame": str(found.blame),
            "causes": [each.as_dict() for each in found.causes], "explained": found.explained,
        }  # fmt: skip
        theirs = None if own is None else {"status": str(own.status), "outputs": own.outputs, "mismatched": own.wrong}
        accuracy = None if self.moved.accuracy is None else [each.value for each in self.moved.accuracy]
        return {
            "target": self.name, "right": self.right, "exact": self.exact, "status": str(self.status), "natively": native,
            "rewritten": self.moved.found.as_dict(), "why": self.why,
            "on_your_input": theirs, "accuracy": accuracy, "says": self.line,
        }  # fmt: skip

    def __repr__(self) -> str:
        return "\n".join(filter(None, [self.line, self.before and f"  {self.before}"]))


def on_inputs(known: Understood) -> str:
    """On what a module was recorded, in words."""
    inputs, own = known.inputs, known.own_inputs
    made = f"{len(inputs.kinds)} made inputs of {inputs.steps} steps"
    return made if own is None else f"{made} and on your {own.input.shape[1]} of {own.steps}"


def causes_of_hints(found: Iterable[Cause]) -> set[Cause]:
    """Causes, with those that are the same to who wrote the module: that a file does not say how its neurons are reset."""
    causes = {*found}
    return causes | (_RESETS if causes & _RESETS else frozenset())


_RESETS = frozenset({Cause.RESET_LOST, Cause.RESET_KIND, Cause.RESET_LATE})
_FAILING = (str(Cause.UNSUPPORTED), str(Cause.PARAMETER_SHAPE))
"""Of what an exporter, or who reads its file, fails on."""
_RANK = (Status.VACUOUS, Status.EXACT, Status.ROUNDING, Status.MISMATCH, Status.WRONG_SHAPE)
"""From what tells least to what is worst."""


def _whose(blame: Blame, source: str, target: str) -> str:
    """Who is to blame, by name."""
    names = {
        Blame.EXPORTER: f"{source}'s exporter",
        Blame.IMPORTER: f"{target}'s importer",
        Blame.BOTH: f"{source}'s exporter and {target}'s importer",
    }
    return names.get(blame, blame.meaning)


@dataclass(frozen=True, repr=False)
class Transfer(Mapping[str, Target]):
    """A trained module in every target, by name.

    known : the module, and what is known of it
    moved : what came of it in each target
    """

    known: Understood
    moved: tuple[Moved, ...]

    def __getitem__(self, name: str) -> Target:
        for each in self.moved:
            if each.backend.name == name:
                return Target(self.known, each)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (each.backend.name for each in self.moved)

    def __len__(self) -> int:
        return len(self.moved)

    @property
    def right(self) -> bool:
        """Whether every target gives every output of the module, rounding apart."""
        return all(each.right for each in self.values())

    @property
    def exported_by(self) -> str:
        """Who wrote the graph that was moved: the module's library, or ``nir-interop``, from the module itself."""
        return self.known.exported_by

    @property
    def lost(self) -> list[str]:
        """What the library's own exporter did not write, or not write right, and what to change in the module, a line each."""
        written, library = self.known.exported, self.known.library
        if written.failure is not None:
            failed = written.failure
            said = ": ".join(filter(None, (failed.error_type, failed.message)))
            hints = self._hinted(*_FAILING)
            return [f"{library}'s own exporter writes no file ({said})", *hints]
        if written.meaning is None or written.meaning.status.agrees or written.meaning.status is Status.VACUOUS:
            return self._hinted(*_FAILING) if self._unread() else []
        outputs = self.known.recorded.output.size
        found = f"what NIR means by {library}'s own file is not the module: {written.wrong} of {outputs} outputs differ"
        causes = [each for each in written.meaning.causes if each.cause is not Cause.UNEXPLAINED]
        hints = self._hinted(*map(str, causes_of_hints(each.cause for each in causes)), *(_FAILING if self._unread() else ()))
        told = [f"{each.cause}{f' at {listed(each.nodes)}' if each.nodes else ''}: {each.text}" for each in causes]
        return [found, *told, *hints]

    def _unread(self) -> bool:
        """Whether a target could not read, or not import, the exporter's own file."""
        failed = (Status.READ_ERROR, Status.IMPORT_ERROR, Status.REFUSED, Status.RUN_ERROR)
        return any(each.natively is not None and each.natively.status in failed for each in self.moved)

    def _hinted(self, *concerns: str) -> list[str]:
        return [f"{listed(layers)}: {says}" for says, layers in self.known.hints(*concerns).items()]

    def lines(self) -> list[str]:
        """The module, who wrote the graph, what was lost, and each target."""
        known = self.known
        said = [f"{known.library}'s module at {known.dt:g} s, recorded on {on_inputs(known)}."]
        how = "from the module itself" if known.exported_by != known.library else "by its own exporter"
        if known.missed:
            of = f"{known.missed} of {known.recorded.output.size}"
            how += f"; no rule that is known gives {of} outputs of the module"
        said.append(f"Exported by {known.exported_by}, {how}.")
        said += [f"- {line}" for line in self.lost]
        said += [] if known.own is None else [f"- {note}" for note in known.own.notes]
        if known.own is None:
            said.append(f"- the module itself could not be read: {known.unread}")
        for each in self.values():
            said += repr(each).split("\n")
        quiet = quiet_hint(known.inputs, any(each.status is Status.VACUOUS for each in self.values()))
        return [printable(line) for line in [*said, *filter(None, [quiet])]]

    def to_dict(self) -> dict[str, Any]:
        """What ``nir-interop transfer --json`` prints."""
        known = self.known
        return {
            "library": known.library, "dt": known.dt, "exported_by": known.exported_by, "lost": self.lost,
            "notes": [] if known.own is None else list(known.own.notes), "unread": known.unread,
            "not_reproduced": known.missed, "inputs": known.inputs.as_dict(),
            "targets": [each.to_dict() for each in self.values()],
        }  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """A row a target."""
        columns = ("target", "right", "exact", "status", "why", "says")
        return frame(({name: each.to_dict()[name] for name in columns} for each in self.values()), columns)

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        from nir_interop.interface import notebook

        rows = [(each.name, str(each.status), each.line, each.before) for each in self.values()]
        table = notebook.table(("target", "status", "rewritten", "as exported"), rows, title=self.lines()[0])
        head = self.lines()[1 : 2 + len(self.lost)]
        return notebook.shown([table, notebook.lines(head)])
