"""What is said of a case: status, blame, causes with how much each is of, and the passes that mended it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from nir_interop.vocabulary import Blame, Cause, Status


@dataclass(frozen=True)
class CauseShare:
    """A cause, at which nodes of the graph it is at work, and one sentence.

    repaired : wrong outputs that undoing this cause alone makes right
    changed : outputs that undoing it alone changes at all, rightly or not
    """

    cause: Cause
    repaired: int
    nodes: tuple[str, ...]
    text: str
    changed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "cause": str(self.cause),
            "repaired": self.repaired,
            "changed": self.changed,
            "nodes": list(self.nodes),
            "says": self.text,
        }


@dataclass(frozen=True)
class Verdict:
    """Status, blame, causes (what repairs most outputs first), and the share of mismatching outputs that they reproduce."""

    status: Status
    blame: Blame
    causes: tuple[CauseShare, ...] = ()
    explained: float = 0.0

    @property
    def codes(self) -> tuple[str, ...]:
        """The causes' codes, those first that repair most."""
        return tuple(str(share.cause) for share in self.causes)


@dataclass(frozen=True)
class Applied:
    """A pass that was needed, the nodes it changed (as named in the graph it was given), why, and what it preserves."""

    name: str
    nodes: tuple[str, ...]
    why: str
    preserves: str

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "nodes": list(self.nodes)}


def by_share(causes: Iterable[CauseShare]) -> tuple[CauseShare, ...]:
    """One entry a cause, those first that undone alone repair most outputs, then those that change most."""
    merged: dict[Cause, CauseShare] = {}
    for each in causes:
        old = merged.get(each.cause, CauseShare(each.cause, 0, (), ""))
        nodes = tuple(sorted({*each.nodes, *old.nodes}))
        text = "; ".join(dict.fromkeys(part for part in (old.text, each.text) if part))
        repaired, changed = max(each.repaired, old.repaired), max(each.changed, old.changed)
        merged[each.cause] = CauseShare(each.cause, repaired, nodes, text, changed)

    def rank(each: CauseShare) -> tuple[bool, int, int, str]:
        return each.cause is Cause.UNEXPLAINED, -each.repaired, -each.changed, str(each.cause)

    return tuple(sorted(merged.values(), key=rank))
