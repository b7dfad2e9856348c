"""The networks that a study trains: where their checkpoints lie, and their training, one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch

from nir_interop.backends.adapter import load_adapter
from nir_interop.networks import Network
from nir_interop.training import (
    NamedData,
    Settings,
    Trained,
    about,
    checkpoint_fingerprint,
    load_checkpoint,
    train_from_checkpoint,
    updates_of,
)
from nir_interop_studies.common import Options
from nir_interop_studies.progress import Progress


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

    def __init__(self, options: Options, lessons: Sequence[Lesson], samples: NamedData, device: torch.device) -> None:
        self.lessons, self.samples, self.device = lessons, samples, device
        self.paths = {each.key: _checkpoint(options, each, samples) for each in lessons}
        for each in lessons:
            load_checkpoint(self.paths[each.key], about(each.start, samples, each.settings))

    def train(self, progress: Progress) -> dict[str, Trained]:
        """Key → the network as it came out; one whose checkpoint is complete is not trained again."""
        return {each.key: self._train(each, progress) for each in self.lessons}

    def networks(self, trained: Mapping[str, Trained]) -> dict[str, Network]:
        """Key → the network with what it has learned."""
        return {each.key: each.start.with_parameters(trained[each.key].parameters) for each in self.lessons}

    def _train(self, lesson: Lesson, progress: Progress) -> Trained:
        settings = lesson.settings
        updates = updates_of(settings, len(self.samples))
        with progress.task(f"train {lesson.key}", updates) as advance:
            adapter, path = load_adapter(settings.library), self.paths[lesson.key]
            found = train_from_checkpoint(adapter, lesson.start, self.samples, settings, self.device, path, advance)
        progress.say(
            f"{lesson.key}: {updates} updates in {found.seconds:.1f} s on {found.device}, last loss {found.curve[-1, 0]:.3f}"
        )
        return found


def _checkpoint(options: Options, lesson: Lesson, samples: NamedData) -> Path:
    """In the folder that was named, else under a name of its own fingerprint."""
    if options.checkpoints is not None:
        return options.checkpoints / f"{lesson.key}.pt"
    key = checkpoint_fingerprint(about(lesson.start, samples, lesson.settings))
    return options.work / "checkpoints" / f"{lesson.key}-{key[:12]}.pt"
