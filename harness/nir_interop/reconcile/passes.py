"""All passes, in the order in which they are tried: what a later one does, no earlier one undoes."""

from __future__ import annotations

from nir_interop.reconcile.composition import COMPOSITIONS
from nir_interop.reconcile.gains import GAINS, NEURON_PASSES, SPLITTING
from nir_interop.reconcile.late_resets import LATE_RESETS
from nir_interop.reconcile.model import Pass
from nir_interop.reconcile.names_and_order import FEEDBACK, INLINING, NAMES, ORDERING
from nir_interop.reconcile.shapes import AS_DENSE, BATCHES, OPERATORS, SIZES, SQUARES
from nir_interop.reconcile.soft_resets import SOFT_RESETS
from nir_interop.reconcile.substitutes import LOOPS, SCALES, STAND_INS
from nir_interop.reconcile.synapses import SYNAPSES
from nir_interop.reconcile.time_constants import ENDLESS, INTEGRATORS, STEPS
from nir_interop.reconcile.voltages import OFFSETS
from nir_interop.reconcile.wiring import END_PASSES, NESTING, WIRING
from nir_interop.reconcile.writing import FIELDS, FORMS, WRITING

PASSES: tuple[Pass, ...] = (
    *INLINING,
    *END_PASSES,
    *ENDLESS,
    *SOFT_RESETS,
    *INTEGRATORS,
    *BATCHES,
    *SCALES,
    *SQUARES,
    *AS_DENSE,
    *COMPOSITIONS,
    *LATE_RESETS,
    *SYNAPSES,
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
    *FORMS,
    *NESTING,
    *NAMES,
    *FIELDS,
)
