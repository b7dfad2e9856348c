"""All passes, in the order in which they are tried: what a later one does, no earlier one undoes."""

from __future__ import annotations

from nir_interop.reconcile.composition import COMPOSITIONS
from nir_interop.reconcile.convolutions import AS_DENSE
from nir_interop.reconcile.gains import GAINS
from nir_interop.reconcile.integrators import INTEGRATORS
from nir_interop.reconcile.loops import LOOPS
from nir_interop.reconcile.model import Pass
from nir_interop.reconcile.names import FEEDBACK, INLINING, NAMES
from nir_interop.reconcile.neurons import NEURON_PASSES
from nir_interop.reconcile.offsets import OFFSETS
from nir_interop.reconcile.operators import OPERATORS, SQUARES
from nir_interop.reconcile.ordering import ORDERING
from nir_interop.reconcile.outputs import OUTPUT_PASSES
from nir_interop.reconcile.sizes import BATCHES, SIZES
from nir_interop.reconcile.splitting import SPLITTING
from nir_interop.reconcile.steps import STEPS
from nir_interop.reconcile.substitutes import SCALES, STAND_INS
from nir_interop.reconcile.wiring import NESTING, WIRING
from nir_interop.reconcile.writing import WRITING

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
