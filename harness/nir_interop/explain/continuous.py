"""The verdict on a cell whose target solves the equations in continuous time: what is left is that the source takes steps.

::

    native ── … ── ref(exported, NIR's meaning) ──── exact

Everything before the last gap is explained as for any importer; the last gap is nobody's fault: NIR gives equations.
"""

from __future__ import annotations

from dataclasses import replace

from nir_interop.agreement.replay import Replays, Undoing, count, gap
from nir_interop.agreement.side import Side
from nir_interop.compare.divergence import differs, output_of
from nir_interop.explain.verdict import explain_cell
from nir_interop.graphs import Array, Graph, inline
from nir_interop.recording import Recording
from nir_interop.verdict import CauseShare, Verdict, by_share
from nir_interop.vocabulary import Blame, Cause, Status


def explain_continuous(
    *,
    intended: Graph | None,
    exported: Graph,
    source: Side,
    target: Side,
    native: Recording,
    made: Recording,
    stimulus: Array,
) -> Verdict:
    """As :func:`nir_interop.explain.verdict.explain_cell`, for a target without an update rule."""
    stepped = Replays(stimulus).run(inline(exported), target.dt, {})
    ours, theirs = output_of(native), output_of(made)
    if stepped is None or ours is None or theirs is None or ours.shape != theirs.shape:
        return Verdict(Status.WRONG_SHAPE, Blame.UNEXPLAINED)
    before = explain_cell(
        intended=intended,
        exported=exported,
        source=source,
        target=Side(target.name, target.dt),
        native=native,
        made=stepped,
        stimulus=stimulus,
    )
    differing, apart = count(differs(ours, theirs)), count(gap(stepped, made))
    if not differing:
        return Verdict(before.status, Blame.NONE, explained=1.0)
    if not apart:
        return before
    repaired, changed = Undoing.of(native, made).counts(stepped)
    text = "NIR's equations in steps are not its equations in continuous time"
    share = CauseShare(Cause.DISCRETISATION, repaired, (), text, changed)
    known = [each for each in before.causes if each.cause is not Cause.ROUNDING]
    causes = by_share((*known, share))
    status = Status.MISMATCH if before.status.agrees else before.status
    blame = Blame.FORMAT if causes[0].cause is share.cause and not before.blame.of_setting else before.blame
    return replace(before, status=status, blame=blame, causes=causes)
