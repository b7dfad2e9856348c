"""How far a job has come inside a worker, and what it is begun with."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np

from nir_interop.vocabulary import Stage


class JobProgress:
    """How far a job has come, and the time it spent inside the library.

    tell : called with each stage as it begins, so that a killed worker's last stage is known
    guard : gives a context that captures what the library says and puts back what it changes
    told : what the library says, with the names of the job's file where it was given others
    """

    def __init__(
        self,
        tell: Callable[[str], None] = lambda stage: None,
        guard: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.tell = tell
        self.guard = guard
        self.told: Callable[[str], str] = str
        self.stage = Stage.BUILD
        self.library_seconds = 0.0

    def enter(self, stage: Stage) -> None:
        """Begin a stage."""
        self.stage = stage
        self.tell(str(stage))

    @contextmanager
    def library(self, stage: Stage) -> Iterator[None]:
        """Count what happens inside as the library's time."""
        self.enter(stage)
        started = time.process_time()
        try:
            yield
        finally:
            self.library_seconds += time.process_time() - started


def reseed(seed: int) -> None:
    """Set the generators that a library may draw from; torch's only where the library has imported torch."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)
