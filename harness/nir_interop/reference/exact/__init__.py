r"""The equations themselves: NIR's neurons solved in continuous time.

NIR describes a neuron by a differential equation, a threshold and a reset.  Here nothing is stepped: the input is constant
within a step of length :math:`h` (that is all a step is), so each equation has a closed solution between two spikes, and
only the spike times have to be found.

- A neuron spikes at the moment its membrane rises through :math:`\theta`; it is set to :math:`v_\mathrm{reset}` at that moment
  and goes on integrating for the rest of the step.  A synaptic current is not reset.
- NIR's condition is :math:`v > \theta`: a membrane that touches the threshold and turns back does not spike, nor does one
  that only tends towards it.  One that is above to begin with (:math:`\theta < 0`) spikes at once.
- A step is the half-open interval :math:`[0, h)`.  A spike counts in the step in which it falls, and any number of them may
  fall into one; a membrane that reaches :math:`\theta` just as the step ends spikes at the first moment of the next, if it
  still rises.
- Membranes and synaptic currents start at 0.  What is recorded is the membrane at the *end* of a step, after any reset.
- What a neuron hands on is the count of its spikes in a step, or its membrane at the end of the step if it has no threshold.

``equations`` has the solutions between spikes, ``events`` finds the spikes in a step, ``neuron`` runs them over a sequence.
"""

from nir_interop.reference.exact.equations import State
from nir_interop.reference.exact.events import MOST_SPIKES
from nir_interop.reference.exact.neuron import ExactNeuron, exact_neuron, spike_times

__all__ = ["MOST_SPIKES", "ExactNeuron", "State", "exact_neuron", "spike_times"]
