"""All passes, in the order in which they are tried: what a later one does, no earlier one undoes."""

from __future__ import annotations

from harness.reconcile.composition import COMPOSITIONS
from harness.reconcile.convolutions import AS_DENSE
from harness.reconcile.gains import GAINS
from harness.reconcile.integrators import INTEGRATORS
from harness.reconcile.loops import LOOPS
from harness.reconcile.model import Pass
from harness.reconcile.neurons import NEURON_PASSES
from harness.reconcile.offsets import OFFSETS
from harness.reconcile.operators import OPERATORS
from harness.reconcile.ordering import ORDERING
from harness.reconcile.sizes import BATCHES, SIZES
from harness.reconcile.splitting import SPLITTING
from harness.reconcile.steps import STEPS
from harness.reconcile.substitutes import SCALES, STAND_INS
from harness.reconcile.wiring import NESTING, WIRING

PASSES: tuple[Pass, ...] = (
    *INTEGRATORS,
    *BATCHES,
    *SCALES,
    *AS_DENSE,
    *COMPOSITIONS,
    *NEURON_PASSES,
    *STEPS,
    *OFFSETS,
    *GAINS,
    *STAND_INS,
    *SPLITTING,
    *OPERATORS,
    *SIZES,
    *WIRING,
    *LOOPS,
    *ORDERING,
    *NESTING,
)
