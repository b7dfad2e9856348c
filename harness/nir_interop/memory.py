"""How much memory one run of a graph may take, and where that is said.

A verb says it by ``--memory-limit``; it goes to worker processes as a variable of their environment, so that a run that was
allowed here is allowed there.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nir_interop.errors import BadInput

OPTION = "--memory-limit"
VARIABLE = "NIR_INTEROP_MEMORY_LIMIT"
"""Of the environment: what a run may hold, in GiB."""
USUAL = 1.0
"""What a verb that reads a user's graph allows [GiB]: with all else that a process holds, it stays below 2 GiB."""
OWN = 4.0
"""What is allowed where nobody said anything [GiB]: runs of the project's own networks and data."""
_LARGEST = 2.0**20
GIB = 2**30


def memory_limit() -> float:
    """What a run may hold, in GiB.

    Raises BadInput where the environment says something else than a number.
    """
    text = os.environ.get(VARIABLE)
    return OWN if text is None else checked(text, VARIABLE)


def checked(text: str | float, where: str = OPTION) -> float:
    """A limit in GiB.  Raises BadInput for what is no positive number, or beyond any machine."""
    try:
        limit = float(text)
    except ValueError:
        limit = math.nan
    if not 0 < limit <= _LARGEST:
        raise BadInput(f"{where} {text}: write how many GiB a run may hold, {USUAL:g} for instance")
    return limit


_lock = threading.Lock()
_in_force: list[str] = []
_outside: str | None = None
"""What the environment said before anybody allowed anything."""


@contextmanager
def allowed(limit: float) -> Iterator[None]:
    """Let runs hold so many GiB, here and in the processes that are started meanwhile.

    Threads may overlap: the limit that was said last holds, and once all have ended the environment says what it said before.
    """
    global _outside
    said = repr(checked(limit))
    with _lock:
        if not _in_force:
            _outside = os.environ.get(VARIABLE)
        _in_force.append(said)
        os.environ[VARIABLE] = said
    try:
        yield
    finally:
        with _lock:
            _in_force.remove(said)
            if _in_force:
                os.environ[VARIABLE] = _in_force[-1]
            elif _outside is None:
                os.environ.pop(VARIABLE, None)
            else:
                os.environ[VARIABLE] = _outside


def machine_gib() -> float:
    """The memory of this machine, in GiB; infinite where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
    except (OSError, ValueError):
        return math.inf


def gib_text(needed: float) -> str:
    """GiB for a message."""
    return f"{needed:,.1f} GiB" if needed >= 1 else f"{needed:.2g} GiB"


def advice(needed: float) -> str:
    """What to do about a run that needs so many GiB: the option, where the machine has the memory."""
    if needed < 0.9 * machine_gib():
        return f"{OPTION} {math.ceil(needed * 10 + 1) / 10:g} allows it"
    return "no option helps: this machine has not that much"
