"""One environment a backend: finding it, and the versions in it, without importing any library.

A backend's environment is the interpreter this runs in, or ``.envs/<name>`` where somebody made one.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions, entry_points, requires
from pathlib import Path
from typing import Any

from harness.errors import UnknownName

SUITE = "nir-interop"
"""This project's distribution."""
ENTRY_POINT_GROUP = "nir_interop.adapters"
COMMON = ("nir", "numpy", "h5py")
"""What every backend reads graphs with; recorded beside its own distributions."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Backend:
    """A library, and where it lives.

    name : as on the command line
    module : ``module:Class`` of its adapter, resolved in the worker
    distributions : what it is made of, its own first
    versions : distribution → version, of those that are installed, and of COMMON
    python : the interpreter of its environment
    installed : whether all its distributions are there
    search : folders that the adapter's module needs on ``sys.path``, where it is not beside the harness
    """

    name: str
    module: str
    distributions: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    python: Path = Path(sys.executable)
    installed: bool = True
    search: tuple[Path, ...] = ()

    @property
    def version(self) -> str:
        """The version of the library itself; the suite's own for a backend of our own."""
        own = next((name for name in self.distributions if _canonical(name) == _canonical(self.name)), None)
        return suite_version() if own is None else self.versions.get(own, "")

    @property
    def missing(self) -> tuple[str, ...]:
        """Its distributions that are not installed."""
        return tuple(name for name in self.distributions if name not in self.versions)

    @property
    def hint(self) -> str:
        """What is missing and what to do, in a line."""
        return f"{self.name}: {', '.join(self.missing)} not installed; run pip install '{SUITE}[{self.name}]'"

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for another process."""
        return {**vars(self), "python": str(self.python), "search": [str(folder) for folder in self.search]}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Backend:
        """The backend that :meth:`as_dict` wrote."""
        folders = {"python": Path(document["python"]), "search": tuple(Path(folder) for folder in document["search"])}
        return cls(**{**document, "distributions": tuple(document["distributions"]), **folders})

    @property
    def own_interpreter(self) -> bool:
        """Whether it shares this process's interpreter."""
        return self.python == Path(sys.executable)


def backends(folders: Sequence[Path] | None = None) -> tuple[Backend, ...]:
    """Every backend that has an adapter, sorted by name; nothing is imported.

    folders : where ``.envs`` is looked for; the working directory and the project's root by default
    """
    points = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    needed = _extras()
    looked = folders if folders is not None else (Path.cwd(), Path(__file__).resolve().parents[1])
    found = []
    for name, point in sorted(points.items()):
        wanted = tuple(dict.fromkeys(one for extra in point.extras for one in needed.get(extra, ())))
        python, site = _environment(name, looked)
        versions = installed_versions((*wanted, *COMMON), site)
        found.append(
            Backend(
                name=name,
                module=f"{point.module}:{point.attr}",
                distributions=wanted,
                versions=versions,
                python=python,
                installed=all(one in versions for one in wanted),
            )
        )
    return tuple(found)


def backend(name: str) -> Backend:
    """The backend of that name.

    Raises UnknownName where there is none.
    """
    found = {one.name: one for one in backends()}
    if name not in found:
        raise UnknownName(f"no backend {name!r}; there are {', '.join(found) or 'none'}")
    return found[name]


def suite_version() -> str:
    """The version of this project; empty where it runs from an uninstalled checkout."""
    return installed_versions((SUITE,)).get(SUITE, "")


def installed_versions(names: Iterable[str], site: Sequence[Path] = ()) -> dict[str, str]:
    """Distribution → version of those that are installed, here or in other site-packages folders.

    A distribution that came from a repository has ``+g<commit>`` behind its version: releases do not tell such apart.
    """
    found: dict[str, str] = {}
    elsewhere = (
        {_canonical(one.metadata["Name"]): one for one in distributions(path=[str(folder) for folder in site])}
        if site
        else None
    )
    for name in dict.fromkeys(names):
        if elsewhere is not None:
            one = elsewhere.get(_canonical(name))
        else:
            try:
                one = distribution(name)
            except PackageNotFoundError:
                one = None
        if one is not None:
            found[name] = one.version + _commit(one)
    return found


def _environment(name: str, folders: Sequence[Path]) -> tuple[Path, tuple[Path, ...]]:
    """The interpreter of a backend and its site-packages, none for this process's own."""
    for folder in folders:
        home = folder / ".envs" / name
        python = home / "bin" / "python"
        if python.exists():
            return python, tuple(sorted(home.glob("lib*/python3*/site-packages")))
    return Path(sys.executable), ()


def _extras() -> dict[str, tuple[str, ...]]:
    """Extra → names of the distributions it asks for, in the order of pyproject.toml."""
    try:
        lines = requires(SUITE) or []
    except PackageNotFoundError:
        return {}
    found: dict[str, list[str]] = {}
    for line in lines:
        name = _NAME.match(line)
        for extra in re.findall(r"""extra\s*==\s*["']([^"']+)["']""", line):
            if name:
                found.setdefault(extra, []).append(name.group())
    return {extra: tuple(names) for extra, names in found.items()}


def _commit(found: Distribution) -> str:
    try:
        origin = json.loads(found.read_text("direct_url.json") or "{}")
    except (OSError, ValueError):
        return ""
    commit = origin.get("vcs_info", {}).get("commit_id", "")
    return f"+g{commit[:8]}" if commit else ""


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
