"""The networks that a study trains: where their checkpoints lie, and their training, one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch

from nir_interop.datasets import Images
from nir_interop.networks import Network
from nir_interop_studies import checkpoints
from nir_interop_studies.common import Options
from nir_interop_studies.progress import Progress
from nir_interop_studies.training import Settings, Streams, Trained, about, train


class Lesson(Protocol):
    """A network that is to be trained.

    key : names its files; start : the network before training
    """

    @property
    def key(self) -> str: ...

    @property
    def settings(self) -> Settings: ...

    @property
    def start(self) -> Network: ...


class Lessons:
    """All networks of a study, on the same samples.

    Raises BadInput where a checkpoint is of another network.
    """

    def __init__(self, options: Options, lessons: Sequence[Lesson], samples: Images | Streams, device: torch.device) -> None:
        self.lessons, self.samples, self.device = lessons, samples, device
        self.paths = {each.key: _checkpoint(options, each, samples) for each in lessons}
        for each in lessons:
            checkpoints.load(self.paths[each.key], about(each.start, samples, each.settings))

    def train(self, progress: Progress) -> dict[str, Trained]:
        """Key → the network as it came out; one whose checkpoint is complete is not trained again."""
        return {each.key: self._train(each, progress) for each in self.lessons}

    def networks(self, trained: Mapping[str, Trained]) -> dict[str, Network]:
        """Key → the network with what it has learned."""
        return {each.key: each.start.with_parameters(trained[each.key].parameters) for each in self.lessons}

    def _train(self, lesson: Lesson, progress: Progress) -> Trained:
        settings = lesson.settings
        updates = settings.epochs * -(-len(self.samples) // settings.batch)
        with progress.task(f"train {lesson.key}", updates) as advance:
            found = train(lesson.start, self.samples, settings, self.device, self.paths[lesson.key], advance)
        progress.say(
            f"{lesson.key}: {updates} updates in {found.seconds:.1f} s on {found.device}, last loss {found.curve[-1, 0]:.3f}"
        )
        return found


def _checkpoint(options: Options, lesson: Lesson, samples: Images | Streams) -> Path:
    """In the folder that was named, else under a name of its own fingerprint."""
    if options.checkpoints is not None:
        return options.checkpoints / f"{lesson.key}.pt"
    key = checkpoints.fingerprint(about(lesson.start, samples, lesson.settings))
    return options.work / "checkpoints" / f"{lesson.key}-{key[:12]}.pt"
