"""A warm process of one backend's environment: takes jobs from its channel, one after the other.

What a job changes of the process is put back after it, and told to the run where it cannot be, which then takes another
process (:mod:`nir_interop.workers.process_state`); a job that kills the process takes only itself along.  The process has no
more rights than it needs (:mod:`nir_interop.workers.confinement`), and ends when the one that started it does, however that
ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pkgutil
import platform
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nir_interop.backends.adapter import Adapter
from nir_interop.workers.capture import Capture, guarded, uncollected
from nir_interop.workers.confinement import confine, die_with, limit_addresses, memory_limit
from nir_interop.workers.error_messages import describe
from nir_interop.workers.jobs import (
    Described,
    Explain,
    Identify,
    Job,
    Judge,
    MakeInputs,
    O,
    Rewrite,
    Timing,
    job_from_json,
    to_json,
)
from nir_interop.workers.process_state import watched
from nir_interop.workers.progress import JobProgress

_OWN = (Identify, Explain, Rewrite, MakeInputs, Judge)
"""Work of this project's own: it keeps workers of libraries from job to job."""
CUT_OFF = 87
"""The exit status of a process that can no longer answer."""


def serve(channel: Any) -> None:
    """Announce the process, make the adapter, then answer each job (JSON) with its outcome (JSON); None ends it.

    Sent: ``{"pid"}``, ``{"start_limit"}`` as soon as the adapter is imported, what the adapter says of itself, then for each
    job its stages, its outcome, and what it changed of the process that could not be put back.
    """
    settings = json.loads(channel.receive())
    die_with(settings["parent"])
    held = confine(settings["memory"])
    _say_nothing()
    pipes = _pipes(channel)
    channel.send(json.dumps({"pid": os.getpid()}))
    adapter, described = _adapter(settings, lambda limit: channel.send(json.dumps({"start_limit": limit})))
    channel.send(json.dumps({**described, "held": held}))
    if adapter is None:
        return
    limit_addresses(settings["memory"])

    def tell(stage: str) -> None:
        channel.send(json.dumps({"stage": stage}))

    while (text := channel.receive()) is not None:
        outcome, left = run(adapter, job_from_json(json.loads(text)), tell)
        if _pipes(channel) != pipes:
            os._exit(CUT_OFF)  # there may be a file of the library's by now where an answer would go
        channel.send(json.dumps({"outcome": to_json(outcome), "left": left}))


def run(adapter: Adapter, job: Job[O], tell: Callable[[str], None] = lambda stage: None) -> tuple[O, list[str]]:
    """Do one job, whatever it does to the process's state; its outcome, and what of the state could not be put back."""
    work: Callable[[Adapter, Job[O], JobProgress], O] = pkgutil.resolve_name(job.work)
    capture, left = Capture(), set[str]()
    progress = JobProgress(tell, lambda: guarded(capture, left))
    wall, cpu = time.perf_counter(), time.process_time()
    with contextlib.nullcontext() if isinstance(job, _OWN) else watched(left), progress.guard():
        outcome = work(adapter, job, progress)
    timing = Timing(
        seconds=time.perf_counter() - wall,
        cpu_seconds=time.process_time() - cpu,
        library_seconds=progress.library_seconds,
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        resident_bytes=_resident(),
    )
    said = replace(
        outcome,
        complaints=tuple(progress.told(each) for each in capture.complaints),
        text=progress.told(capture.text),
        memory=memory_limit() if outcome.short_of_memory else None,
        timing=timing,
    )
    return said, sorted(left)


def _pipes(channel: Any) -> list[tuple[int, int]] | None:
    """Which files the pipes to the run are; None where they are gone."""
    try:
        both = channel.gateway._io.infile, channel.gateway._io.outfile  # execnet has no public name for them
        return [(found.st_dev, found.st_ino) for found in (os.fstat(each.fileno()) for each in both)]
    except (OSError, ValueError):
        return None


def _say_nothing() -> None:
    """What is printed outside a job, by a thread that a library left for instance, is nobody's."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (1, 2):
        os.dup2(nowhere, number)
    os.close(nowhere)


def _adapter(settings: dict[str, Any], allow: Callable[[float], None]) -> tuple[Adapter | None, dict[str, Any]]:
    """The backend's adapter, its library imported, and what it says of itself; or why there is none.

    allow : told the seconds that it may take, once its module is imported
    """
    started = time.process_time()
    adapter: Adapter | None = None
    capture = Capture()
    with guarded(capture, importing=True), uncollected():
        try:
            adapter = pkgutil.resolve_name(settings["module"])()
            adapter.label = settings.get("label", "")
            allow(float(adapter.start_limit))
            adapter.prepare()
            adapter.warm_up()
            _warn_always()
            problem: dict[str, str] = {}
        except BaseException as error:
            adapter, problem = None, describe(error)
    said = {"problem": problem, "cpu_seconds": time.process_time() - started}
    if adapter is None:
        return None, said
    return adapter, said | {"described": to_json(describe_adapter(adapter)), "resident": _resident()}


def describe_adapter(adapter: Adapter) -> Described:
    """What an adapter says of itself, and the interpreter that it is in."""
    return Described(
        name=adapter.name,
        idioms={str(idiom): how for idiom, how in adapter.idioms.items()},
        fixed_dt=adapter.fixed_dt,
        python=platform.python_version(),
        needs=tuple(adapter.needs),
        script=adapter.script,
        refusals=tuple(adapter.refusals),
        ships_importer=adapter.ships_importer,
        ships_exporter=adapter.ships_exporter,
        run_limit=adapter.run_limit,
        fields=_fields(),
    )


def _fields() -> dict[str, tuple[str, ...]]:
    """What each of NIR's primitives is made of for the nir that reads files here."""
    try:
        import nir
    except Exception:
        return {}
    return {
        name: tuple(each.name for each in dataclasses.fields(kind) if each.init)
        for name, kind in sorted(vars(nir).items())
        if isinstance(kind, type) and dataclasses.is_dataclass(kind)
    }


def _warn_always() -> None:
    """Torch warns once a process; a cell's ``warned`` must not depend on the cells before it."""
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "set_warn_always"):
        torch.set_warn_always(True)


def _resident() -> int:
    """Bytes of memory in use now; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0
