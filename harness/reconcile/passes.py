"""All passes, in the order in which they are tried: what a later one does, no earlier one undoes."""

from __future__ import annotations

from harness.reconcile.model import Pass

PASSES: tuple[Pass, ...] = ()
