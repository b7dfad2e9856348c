"""All passes, in the order in which they are tried: what a later one does, no earlier one undoes."""

from __future__ import annotations

from harness.reconcile.composition import COMPOSITIONS
from harness.reconcile.convolutions import AS_DENSE
from harness.reconcile.gains import GAINS
from harness.reconcile.integrators import INTEGRATORS
from harness.reconcile.loops import LOOPS
from harness.reconcile.model import Pass
from harness.reconcile.names import FEEDBACK, INLINING, NAMES
from harness.reconcile.neurons import NEURON_PASSES
from harness.reconcile.offsets import OFFSETS
from harness.reconcile.operators import OPERATORS, SQUARES
from harness.reconcile.ordering import ORDERING
from harness.reconcile.outputs import OUTPUT_PASSES
from harness.reconcile.sizes import BATCHES, SIZES
from harness.reconcile.splitting import SPLITTING
from harness.reconcile.steps import STEPS
from harness.reconcile.substitutes import SCALES, STAND_INS
from harness.reconcile.wiring import NESTING, WIRING
from harness.reconcile.writing import WRITING

PASSES: tuple[Pass, ...] = (
    *INLINING,
    *OUTPUT_PASSES,
    *INTEGRATORS,
    *BATCHES,
    *SCALES,
    *SQUARES,
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
    *WRITING,
    *WIRING,
    *LOOPS,
    *FEEDBACK,
    *ORDERING,
    *NESTING,
    *NAMES,
)
