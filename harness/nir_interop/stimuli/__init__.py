"""What is fed in: seeded spike trains, encoded images, event frames, a user's own file. Axes are (T, B, \\*shape)."""

from nir_interop.stimuli.encoding import ENCODINGS, bernoulli, encode
from nir_interop.stimuli.files import (
    by_name,
    check_names,
    each_by_name,
    given_output,
    given_stimulus,
    load_labels,
    load_output,
    load_stimulus,
    side_by_side,
)
from nir_interop.stimuli.frames import events_to_frames, recordings_to_frames
from nir_interop.stimuli.stimulus import Stimulus, stimulus_for, training_samples

__all__ = [
    "ENCODINGS",
    "Stimulus",
    "bernoulli",
    "by_name",
    "check_names",
    "each_by_name",
    "encode",
    "events_to_frames",
    "given_output",
    "given_stimulus",
    "load_labels",
    "load_output",
    "load_stimulus",
    "recordings_to_frames",
    "side_by_side",
    "stimulus_for",
    "training_samples",
]
