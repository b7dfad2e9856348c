"""One environment a backend: finding it, and the versions in it, without importing any library.

A backend's environment is the interpreter this runs in, or ``.envs/<name>`` where somebody made one.  ``.envs/<name>==<label>``
is a further backend beside it, of that name: the same adapter with another version of the library
(:mod:`nir_interop.backends.installing` makes them).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution, distributions, entry_points
from pathlib import Path
from typing import Any

from nir_interop.errors import BackendMissing, UnknownName

SUITE = "nir-interop"
"""This project's distribution."""
ENTRY_POINT_GROUP = "nir_interop.adapters"
ALL = "all"
"""Its extra that brings the libraries which go with each other."""
COMMON = ("nir", "numpy", "h5py")
"""What every backend reads graphs with; recorded beside its own distributions."""

ENVIRONMENTS = ".envs"
"""The folder of environments, in the working directory or a checkout's root."""
PLACE = "NIR_INTEROP_ENVIRONMENTS"
"""The variable that names another folder of environments, in place of all those."""
BESIDE = "_beside.pth"
"""In an environment's site-packages: the folders that give what it does not hold itself."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_OF_EXTRA = re.compile(r"""(?:\s*and\s+)?extra\s*==\s*["']([^"']+)["']""")
_PYTHON = ("version", "version_info")
_EXTRAS = re.compile(r"\[([^]]*)\]")
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_-]*")
"""What may stand behind ``==`` in a backend's name."""


@dataclass(frozen=True)
class Backend:
    """A library, and where it lives.

    name : as on the command line; ``<library>==<label>`` where it is another version beside the installed one
    module : ``module:Class`` of its adapter, resolved in the worker
    distributions : what it is made of, its own first
    versions : distribution → version, of those that are installed, and of COMMON
    python : the interpreter of its environment
    installed : whether all its distributions are there
    search : folders that the adapter's module needs on ``sys.path``, where it is not beside the harness
    apart : whether nir-interop brings its adapter and not the library, which lives in an environment of its own: it takes part
        where it is named, or where all are asked for
    package : the distribution that brings the adapter
    fault : what is wrong with how the adapter's package declares it; empty where nothing is
    """

    name: str
    module: str
    distributions: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    python: Path = Path(sys.executable)
    installed: bool = True
    search: tuple[Path, ...] = ()
    apart: bool = False
    package: str = SUITE
    fault: str = ""

    @property
    def library(self) -> str:
        """Its name without a label."""
        return self.name.partition("==")[0]

    @property
    def label(self) -> str:
        """What stands behind ``==`` in its name; empty where nothing does."""
        return self.name.partition("==")[2]

    @property
    def own(self) -> str | None:
        """The distribution of the library itself; None for a backend of our own."""
        return next((name for name in self.distributions if canonical(name) == canonical(self.library)), None)

    @property
    def version(self) -> str:
        """The version of the library itself; the suite's own for a backend of our own."""
        return suite_version() if self.own is None else self.versions.get(self.own, "")

    @property
    def missing(self) -> tuple[str, ...]:
        """Its distributions that are not installed."""
        return tuple(name for name in self.distributions if name not in self.versions)

    @property
    def hint(self) -> str:
        """What is missing and what to do, in a line."""
        if self.fault:
            return f"{self.name}: {self.fault}"
        labelled = f"nir-interop backends install {self.name}"
        how = (
            labelled
            if self.apart or self.name != self.library or self.package != SUITE
            else f"pip install '{SUITE}[{self.name}]'"
        )
        return f"{self.name}: {', '.join(self.missing)} not installed; run {how}"

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

    folders : where ``.envs`` is looked for; by default the working directory and the root of a checkout that this runs from, or
        the folder alone that the variable NIR_INTEROP_ENVIRONMENTS names
    """
    return backends_in(places() if folders is None else [folder / ENVIRONMENTS for folder in folders])


def backends_in(homes: Sequence[Path]) -> tuple[Backend, ...]:
    """Every backend that has an adapter, sorted by name, with folders of environments."""
    points = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    names = {name: name for name in points} | _labelled(points, homes)
    return tuple(_backend(name, points[library], homes) for name, library in sorted(names.items()))


def places() -> list[Path]:
    """Folders of environments, the first of which is where a new one goes."""
    named = os.environ.get(PLACE)
    return [Path(named)] if named else [folder / ENVIRONMENTS for folder in (Path.cwd(), *_checkout())]


def _checkout() -> tuple[Path, ...]:
    """The root of the checkout that these sources lie in; none where they are installed."""
    root = Path(__file__).resolve().parents[3]
    return (root,) if (root / "pyproject.toml").is_file() else ()


def _backend(name: str, point: EntryPoint, folders: Sequence[Path]) -> Backend:
    wanted = tuple(dict.fromkeys(found.group() for line in _requirements(point) if (found := _NAME.match(line))))
    python, site = _environment(name, folders)
    versions = installed_versions((*wanted, *COMMON), site)
    extras = _extras(point.value)
    empty = (
        f"its adapter names the extra {', '.join(extras)}, for which its package asks for nothing: have it ask for the library"
    )
    return Backend(
        name=name,
        module=f"{point.module}:{point.attr}",
        distributions=wanted,
        versions=versions,
        python=python,
        installed=all(one in versions for one in wanted) and (bool(wanted) or not extras),
        apart=_apart(point),
        package=SUITE if point.dist is None else canonical(point.dist.name),
        fault=empty if extras and not wanted else "",
    )


def _apart(point: EntryPoint) -> bool:
    """Whether an adapter of this project's is of a library that the extra ``all`` does not bring."""
    if point.dist is None or canonical(point.dist.name) != SUITE:
        return False
    lines = (line.partition(";") for line in point.dist.requires or [])
    brought = {each for what, _, marker in lines if ALL in _OF_EXTRA.findall(marker) for each in _extras(what)}
    return brought.isdisjoint(_extras(point.value))


def _extras(text: str) -> tuple[str, ...]:
    """The canonical names in brackets; those that importlib.metadata gives an entry point end at a hyphen."""
    found = _EXTRAS.search(text)
    return () if found is None else tuple(canonical(each.strip()) for each in found[1].split(","))


def _labelled(libraries: Iterable[str], folders: Sequence[Path]) -> dict[str, str]:
    """Name → library of the environments that hold another version."""
    found = {}
    known = set(libraries)
    for python in (each for folder in folders for each in folder.glob("*==*/bin/python")):
        name = python.parents[1].name
        library, _, label = name.partition("==")
        if library in known and LABEL.fullmatch(label):
            found[name] = library
    return found


def backend(name: str) -> Backend:
    """The backend of that name.

    Raises UnknownName where there is none.
    """
    found = {one.name: one for one in backends()}
    if name not in found:
        raise UnknownName(f"no backend {name!r}; there are {', '.join(found) or 'none'}{_meant(name, found)}")
    return found[name]


def _meant(name: str, there: Iterable[str]) -> str:
    alike = [each for each in there if canonical(each) == canonical(name)]
    return f"; {alike[0]} is meant, perhaps" if alike else ""


def installed(names: Iterable[str]) -> list[Backend]:
    """The backends of these names, each once.

    Raises UnknownName where there is none of a name, BackendMissing where one is not installed.
    """
    found = [backend(name) for name in dict.fromkeys(names)]
    for each in found:
        if not each.installed:
            raise BackendMissing(each.hint)
    return found


def suite_version() -> str:
    """The version of this project; empty where it runs from an uninstalled checkout."""
    return installed_versions((SUITE,)).get(SUITE, "")


def installed_versions(names: Iterable[str], site: Sequence[Path] = ()) -> dict[str, str]:
    """Distribution → version of those that are installed, here or in other site-packages folders.

    A distribution that came from a repository has ``+g<commit>`` behind its version: releases do not tell such apart.  Neither
    do they tell builds of a checkout apart: in other site-packages folders, one that came from a file or a folder has
    ``+d<digest>`` of what was installed.
    """
    found: dict[str, str] = {}
    elsewhere: dict[str, Distribution] = {}
    for each in distributions(path=[str(folder) for folder in site]) if site else ():
        elsewhere.setdefault(canonical(each.metadata["Name"]), each)
    for name in dict.fromkeys(names):
        if site:
            one = elsewhere.get(canonical(name))
        else:
            try:
                one = distribution(name)
            except PackageNotFoundError:
                one = None
        if one is not None:
            found[name] = _version(one) + _origin(one, built=bool(site))
    return found


def dependencies(backend: Backend) -> dict[str, str]:
    """Distribution → version of all that a backend's environment has of what it asks for, and of what these ask for in turn."""
    site = () if backend.own_interpreter else sites(backend.python)
    path = [str(folder) for folder in site] if site else sys.path
    found: dict[str, str] = {}
    waiting = [canonical(name) for name in (*backend.distributions, *COMMON)]
    while waiting:
        name = waiting.pop()
        one = None if name in found else next(iter(distributions(name=name, path=path)), None)
        if one is not None:
            found[name] = _version(one) + _origin(one, built=bool(site))
            asked = (each for each in _said(one, "Requires-Dist") if not _OF_EXTRA.search(each))
            waiting += [canonical(each.group()) for line in asked if (each := _NAME.match(line))]
    return dict(sorted(found.items()))


def _version(found: Distribution) -> str:
    said = _said(found, "Version")
    return said[0] if said else found.version


def _said(found: Distribution, what: str) -> list[str]:
    """What the head of its metadata says; to parse all of that, whole READMEs in it, takes longer than all else here."""
    head, _, _ = (found.read_text("METADATA") or "").partition("\n\n")
    return [line.partition(":")[2].strip() for line in head.splitlines() if line.startswith(f"{what}:")]


def python_version(backend: Backend) -> str:
    """The version of a backend's interpreter, as its environment says; empty where it does not."""
    if backend.own_interpreter:
        return platform.python_version()
    about = backend.python.parents[1] / "pyvenv.cfg"
    lines = about.read_text(encoding="utf-8", errors="replace").splitlines() if about.is_file() else []
    said = [value.strip() for name, _, value in (line.partition("=") for line in lines) if name.strip() in _PYTHON]
    return said[0] if said else ""


def _environment(name: str, folders: Sequence[Path]) -> tuple[Path, tuple[Path, ...]]:
    """The interpreter of a backend and its site-packages in the order of its path, none for this process's own."""
    for folder in folders:
        python = folder.resolve() / name / "bin" / "python"
        if python.exists():
            return python, sites(python)
    return Path(sys.executable), ()


def sites(python: Path) -> tuple[Path, ...]:
    """Folders of the distributions that an environment's interpreter sees: its own first, then those that lie beside it."""
    own = sorted(python.parents[1].glob("lib*/python3*/site-packages"))
    lines = [line for each in own if (each / BESIDE).is_file() for line in (each / BESIDE).read_text().splitlines()]
    return (*own, *map(Path, lines))


def requirements(library: str) -> tuple[str, ...]:
    """What a backend asks for, as pip takes it: the extras that the entry point of its adapter names.

    Raises UnknownName where there is no such backend.
    """
    for point in entry_points(group=ENTRY_POINT_GROUP, name=library):
        return _requirements(point)
    raise UnknownName(f"no backend {library!r}")


def _requirements(point: EntryPoint) -> tuple[str, ...]:
    """In the order in which the adapter's own distribution has them, without the condition that makes them an extra's."""
    lines = (point.dist.requires or []) if point.dist is not None else []
    return tuple(
        f"{what.strip()}; {condition}" if (condition := _OF_EXTRA.sub("", marker).strip()) else what.strip()
        for extra in _extras(point.value)
        for what, _, marker in (line.partition(";") for line in lines)
        if extra in map(canonical, _OF_EXTRA.findall(marker))
    )


def _origin(found: Distribution, built: bool) -> str:
    """What to add to a version; ``built``: also where it was built from files."""
    try:
        origin = json.loads(found.read_text("direct_url.json") or "{}")
    except (OSError, ValueError):
        return ""
    commit = origin.get("vcs_info", {}).get("commit_id", "")
    if commit:
        return f"+g{commit[:8]}"
    if not built or not origin or origin.get("dir_info", {}).get("editable"):
        return ""
    lines = sorted(
        line for line in (found.read_text("RECORD") or "").splitlines() if ".dist-info/" not in line and "sha256" in line
    )
    return f"+d{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()[:8]}"


def canonical(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
