"""One answer for all who ask: from this run, from the store, or by a task that is queued once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nir_interop.store.store import Store
from nir_interop.vocabulary import Status
from nir_interop.workers.job import Outcome
from nir_interop.workers.scheduler import Slots, Task

Once = Callable[[str, str, Callable[[Outcome, bool], None], Task, float], None]
"""As :meth:`Answers.once`."""


class Answers:
    """What this run knows; called under the slots' lock or before they run."""

    def __init__(self, store: Store, slots: Slots) -> None:
        self._store, self._slots = store, slots
        self._waiting: dict[tuple[str, str], list[Callable[[Outcome, bool], None]]] = {}
        self._found: dict[tuple[str, str], Outcome] = {}

    def once(self, kind: str, name: str, known: Callable[[Outcome, bool], None], task: Task, limit: float = 0.0) -> None:
        """Answer from this run or from the store; else queue the task, once for all who ask."""
        place = (kind, name)
        if place in self._found:
            known(self._found[place], True)
            return
        if place in self._waiting:
            self._waiting[place].append(known)
            return
        outcome = self._store.get(kind, name)
        if outcome is not None and self._stands(outcome, limit):
            self._found[place] = outcome
            known(outcome, True)
            return
        self._waiting[place] = [known]
        finish = task.finish

        def keep(outcome: Outcome, folder: Path) -> Outcome:
            kept = finish(outcome, folder)
            if kept.get("status") != Status.ENV_MISSING and not kept.get("no_space"):
                self._store.put(kind, name, kept)
            return kept

        def done(outcome: Outcome) -> None:
            self._found[place] = outcome
            for number, tell in enumerate(self._waiting.pop(place)):
                tell(outcome, number > 0)

        self._slots.add(replace(task, finish=keep, done=done))

    def _stands(self, outcome: Outcome, limit: float) -> bool:
        """Whether an outcome that ran into a limit ran into that which there is now."""
        late = outcome.get("status") == Status.TIMEOUT and outcome.get("limit") != limit
        return not late and outcome.get("memory", self._slots.memory) == self._slots.memory
