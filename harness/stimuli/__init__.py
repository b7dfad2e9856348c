"""What is fed in: seeded spike trains, encoded images, event frames, a user's own file. Axes are (T, B, \\*shape)."""

from harness.stimuli.encoding import ENCODINGS, bernoulli, encode
from harness.stimuli.files import load_output, load_stimulus
from harness.stimuli.frames import events_to_frames, recordings_to_frames
from harness.stimuli.stimulus import Stimulus, stimulus_for, training_samples

__all__ = [
    "ENCODINGS",
    "Stimulus",
    "bernoulli",
    "encode",
    "events_to_frames",
    "load_output",
    "load_stimulus",
    "recordings_to_frames",
    "stimulus_for",
    "training_samples",
]
