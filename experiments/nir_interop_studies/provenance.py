"""How a study's results were made: the end of its page."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Iterable, Iterator, Mapping

from nir_interop.backends.environments import Backend, backends, installed_versions
from nir_interop.training import Trained


def how_made(
    command: str,
    seconds: float,
    trained: Mapping[str, Trained] | None = None,
    *,
    used: Iterable[Backend] | None = None,
    packages: tuple[str, ...] = ("torch", "nir"),
    also: str = "",
) -> Iterator[str]:
    """The command, wall time, machine, what training took, and versions, line by line.

    used : the backends that took part, None for all; packages : whose versions are told beside their own; also : said behind
    """
    yield "## How this was made"
    yield ""
    yield f"`{command}`: {seconds:.0f} s, beside what an earlier run had left, on {platform.machine()} with"
    yield f"{os.cpu_count()} cores, Python {platform.python_version()}; the largest process took {_peak()} MB of memory."
    yield ""
    if trained:
        for name, found in trained.items():
            yield f"- {name}: trained in {found.seconds:.0f} s on {found.device}"
        yield ""
    told = backends() if used is None else used
    versions = {name: value for each in told for name, value in each.versions.items()} | installed_versions(packages)
    yield ", ".join(f"{name} {value}" for name, value in sorted(versions.items())) + f"{also}."


def _peak() -> int:
    """Resident memory of the largest process of this run, in MB."""
    used = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(used) * 1024 // 10**6
