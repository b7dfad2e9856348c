"""An explanation in plain English, with the spikes around the first divergence as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nir_interop.compare.divergence import (
    Divergence,
    apart_by_output,
    by_output_in_words,
    first_divergence,
    flatten,
    match_nodes,
)
from nir_interop.errors import OwnFailure
from nir_interop.graphs import listed
from nir_interop.printable import path_word, printable, shell_word
from nir_interop.recording import Array, Recording
from nir_interop.transfer.graph_explanation import GraphExplanation
from nir_interop.verdict import CauseShare
from nir_interop.vocabulary import Blame, Cause, Status

AROUND = 8
"""Steps shown on either side of the first divergence."""
STEP = 1e-4
"""The step [s] that the verbs take where none is asked for."""
NEURONS = 6
"""Neurons shown at most, those that differ first."""


def paragraphs(explanation: GraphExplanation, name: str, command: str, upgrade: str) -> Iterator[str]:
    """What there is to say about a graph of some name, in order.

    command : by which it is rewritten, as :func:`command_of` gives it
    upgrade : by which it is written as today's NIR
    """
    yield printable(_headline(explanation, name))
    apart = {} if explanation.made is None else apart_by_output(explanation.meant, explanation.made)
    if any(wrong for wrong, _ in apart.values()):
        yield printable(f"By Output: {by_output_in_words(apart)}.")
    yield from _why(explanation, command)
    if explanation.right_today:
        yield f"Every output is right once the file is written as today's NIR:\n  {upgrade}"
    for kind, (_, sentence) in explanation.rules().items():
        yield printable(f"{explanation.backend.name}'s rule for {kind}: {sentence}.")
    if explanation.made is not None and not explanation.verdict.status.agrees:
        first = first_divergence(explanation.meant, explanation.made)
        if first is not None:
            yield "\n".join(raster(explanation.meant, explanation.made, first, explanation.backend.name))


def _headline(explanation: GraphExplanation, name: str) -> str:
    cell, who = explanation.as_dict(), f"{explanation.backend.name} {explanation.backend.version}".strip()
    status = explanation.verdict.status
    if status.is_error or status is Status.REFUSED:
        said = ": ".join(text for text in (cell["error_type"], cell["error_message"]) if text)
        if cell["error_type"] == OwnFailure.__name__:
            return f"Nothing is known of what {who} makes of {name} at {explanation.dt:g} s: {cell['error_message']}"
        if status in (Status.TIMEOUT, Status.CRASH):
            return f"{who} gives nothing for {name} at {explanation.dt:g} s ({status}): {said}."
        return f"{who} gives nothing for {name} at {explanation.dt:g} s ({status}). It says: {said}"
    if explanation.made is None or cell["outputs"] is None:
        return f"{who} on {name} at {explanation.dt:g} s: {status} ({status.meaning})."
    if status is Status.EXACT:
        return f"{who} computes what NIR means by {name} at {explanation.dt:g} s: all {cell['outputs']} outputs are the same."
    warned = "It warned" if cell["warned"] else "It gave no warning"
    differ = f"{cell['mismatched']} of {cell['outputs']} outputs are not what NIR means by {name} at {explanation.dt:g} s"
    return f"{who}: {differ} ({status}: {status.meaning}). {warned}."


def _why(explanation: GraphExplanation, command: str) -> Iterator[str]:
    verdict = explanation.verdict
    if verdict.status.agrees and not verdict.causes:
        return
    if verdict.blame is not Blame.NONE:
        yield f"Blame: {verdict.blame} ({verdict.blame.meaning})."
    for each in verdict.causes:
        repairs = _repairs(explanation, each)
        where = f"at {listed(each.nodes)}" if each.nodes else ""
        parts = (f"- {each.cause}", " ".join(filter(None, (repairs, where))), each.text)
        yield printable(": ".join(text for text in parts if text))
    known = [each for each in verdict.causes if each.cause is not Cause.UNEXPLAINED]
    if known and explanation.made is not None and verdict.explained:
        yield f"Replayed with {'these causes' if len(known) > 1 else 'this cause'}, {_share(verdict.explained)}."
    if explanation.remedy is not None:
        passes = ", ".join(each.name for each in explanation.remedy.passes)
        yield f"Every output is right once the graph is rewritten ({passes}):\n  {command}"


def _repairs(explanation: GraphExplanation, share: CauseShare) -> str:
    """What undoing a cause alone repairs; nothing where nothing could be counted."""
    compared = explanation.outcome.comparison
    wrong = None if compared is None else compared.mismatched
    if explanation.made is None or share.cause is Cause.UNEXPLAINED:
        return ""
    if not share.repaired:
        return "repairs outputs together with the others"
    return f"repairs {share.repaired} of {wrong} outputs" if wrong else f"repairs {share.repaired} outputs"


def command_of(backend: str, path: Path, dt: float, input: Path | None = None) -> str:
    """The verb that rewrites the graph in a file for a backend.

    dt : the step [s]
    input : the file that the graph is fed from, None where its inputs are made for it
    """
    step = "" if dt == STEP else f" --dt {dt:g}"
    fed = "" if input is None else f" --input {path_word(input)}"
    return f"nir-interop reconcile {path_word(path)} --to {shell_word(backend)}{step}{fed} -o OUT.nir"


def _share(explained: float) -> str:
    if explained == 1:
        return "the reference gives every output that the library gives"
    return f"the reference gives {explained:.1%} of the outputs that differ"


@dataclass(frozen=True)
class Window:
    """What both sides did in the steps around the first divergence, at the node and in the sample that it is in.

    begin, end : steps, the last excluded
    neurons : those that differ, first ones first
    ours, theirs : spikes or values, axes (T, n)
    unequal : where they differ, axes (T, n)
    """

    first: Divergence
    begin: int
    end: int
    neurons: tuple[int, ...]
    ours: Array
    theirs: Array
    unequal: Array

    @property
    def spikes(self) -> bool:
        """Whether all that is shown are numbers of spikes."""
        chosen = list(self.neurons)
        return _is_spikes(self.ours[:, chosen]) and _is_spikes(self.theirs[:, chosen])

    @property
    def title(self) -> str:
        """Where it is, in words."""
        first = self.first
        where = f"step {first.step}, node {printable(first.node)}, sample {first.sample}"
        return f"First divergence: {where}; steps {self.begin} to {self.end - 1}:"


def window(meant: Recording, made: Recording, first: Divergence) -> Window:
    """The steps on either side of a divergence."""
    ours, theirs = _pair(meant, made, first.node)
    begin, end = max(0, first.step - AROUND), min(len(ours), first.step + AROUND + 1)
    a, b = ours[begin:end, first.sample], theirs[begin:end, first.sample]
    unequal = a.astype(np.float32) != b.astype(np.float32)
    neurons = sorted(np.flatnonzero(unequal.any(0)), key=lambda number: (int(unequal[:, number].argmax()), int(number)))
    return Window(first, begin, end, tuple(int(number) for number in neurons[:NEURONS]), a, b, unequal)


def raster(meant: Recording, made: Recording, first: Divergence, who: str) -> Iterator[str]:
    """Lines of text: spikes of the node that diverges first, both sides, around that step; ``!`` marks a difference."""
    found = window(meant, made, first)
    width = max(len("NIR"), len(who))
    yield found.title
    for number in found.neurons:
        yield f"  neuron {number}"
        yield f"    {'NIR':{width}}  {_row(found.ours[:, number])}"
        yield f"    {who:{width}}  {_row(found.theirs[:, number])}"
        yield f"    {'':{width}}  {_marks(found.ours[:, number], found.unequal[:, number])}".rstrip()


def _pair(meant: Recording, made: Recording, node: str) -> tuple[Array, Array]:
    names = match_nodes(meant.spikes, made.spikes)
    if node in names:
        return flatten(meant.spikes[node]), flatten(made.spikes[names[node]])
    return meant.output, made.output


def _is_spikes(values: Array) -> bool:
    return bool(np.all((values >= 0) & (values == np.floor(values))))


def _row(values: Array) -> str:
    if _is_spikes(values):
        return "".join("·" if value == 0 else "|" if value == 1 else str(min(int(value), 9)) for value in values)
    return " ".join(f"{float(value):8.3g}" for value in values)


def _marks(values: Array, unequal: Array) -> str:
    pad = "" if _is_spikes(values) else " " * 7
    return ("" if not pad else " ").join(pad + ("!" if each else " ") for each in unequal)
