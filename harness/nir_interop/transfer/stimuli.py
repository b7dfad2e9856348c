"""What networks are fed: the catalogue's stimuli and training samples, as jobs of the run itself."""

from __future__ import annotations

from typing import Any, Protocol

from nir_interop.arrays import Array, save_arrays
from nir_interop.networks import Catalogued, Network, catalogue
from nir_interop.workers.jobs import STIMULUS, MakeStimulus, StimulusMade


class Stimuli(Protocol):
    """Where inputs come from: :class:`CatalogueStimuli` unless a test has its own."""

    def stimulus_for(self, entry: Catalogued, network: Network, seed: int) -> Any:
        """An object with ``input``, ``labels``, ``dataset``, ``encoding`` and ``digest()``."""

    def training_samples(self, entry: Catalogued, network: Network, seed: int) -> tuple[Array, Array]:
        """Inputs (T, N, \\*shape) and labels (N,)."""


class CatalogueStimuli:
    """Inputs as :mod:`nir_interop.stimuli` makes them; imported when the first is made."""

    def stimulus_for(self, entry: Catalogued, network: Network, seed: int) -> Any:
        """See :func:`nir_interop.stimuli.stimulus_for`."""
        from nir_interop.stimuli import stimulus_for

        return stimulus_for(entry, network, seed)

    def training_samples(self, entry: Catalogued, network: Network, seed: int) -> tuple[Array, Array]:
        """See :func:`nir_interop.stimuli.training_samples`."""
        from nir_interop.stimuli import training_samples

        return training_samples(entry, network, seed)


def makers(stimuli: Stimuli) -> tuple[str, str]:
    """The modules that make inputs, which what is kept of them depends on."""
    return __name__, type(stimuli).__module__


def make_stimulus(job: MakeStimulus, stimuli: Stimuli) -> StimulusMade:
    """The stimulus of the job's network, in STIMULUS."""
    entry = catalogue(job.network)
    made = stimuli.stimulus_for(entry, entry.build(job.seed), job.seed)
    save_arrays(job.left(STIMULUS), {"input": made.input} | ({} if made.labels is None else {"labels": made.labels}))
    steps, batch = made.input.shape[:2]
    return StimulusMade(dataset=made.dataset, encoding=made.encoding, steps=int(steps), batch=int(batch), digest=made.digest())
