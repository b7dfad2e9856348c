"""What is fed in: seeded spike trains, encoded images, event frames, a user's own file. Axes are (T, B, \\*shape)."""

from nir_interop.stimuli.encoding import ENCODINGS, bernoulli, encode
from nir_interop.stimuli.files import given_output, given_stimulus, load_labels, load_output, load_stimulus
from nir_interop.stimuli.frames import events_to_frames, recordings_to_frames
from nir_interop.stimuli.stimulus import Stimulus, stimulus_for, training_samples

__all__ = [
    "ENCODINGS",
    "Stimulus",
    "bernoulli",
    "encode",
    "events_to_frames",
    "given_output",
    "given_stimulus",
    "load_labels",
    "load_output",
    "load_stimulus",
    "recordings_to_frames",
    "stimulus_for",
    "training_samples",
]
