"""Environments of their own: another version of a library, as a backend beside the installed one; or a library that is not
installed, as the backend of its name.

An environment holds the library and what that brings.  Everything else comes from the environment this runs in, through a
``.pth`` file: torch is not installed again, and the library alone differs between the two backends.  Where the library asks
for another version of something (``nir<=1.0.4``, say), pip puts that version in, where it comes first.  Where it asks for
another Python, the environment is made with that one and holds everything itself.

It is made in a hidden folder, started there, and moved to its name when it is complete: one that was there is replaced by a
complete one or not at all, and what fails leaves nothing.  Its interpreter finds its packages by where it lies, so moving does
no harm.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from nir_interop.backends.environments import BESIDE, COMMON, LABEL, Backend, backends, backends_in, canonical, requirements
from nir_interop.backends.interpreters import other_interpreter
from nir_interop.backends.locks import lock_of
from nir_interop.backends.pip import Tell, pip
from nir_interop.errors import BackendMissing, BadInput, UnknownName

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?P<rest>(?:[=<>!~].*|@.*)?)")
_REFERENCE = re.compile(r"[A-Za-z0-9._-]+\s*@")
_ARCHIVES = (".whl", ".tar.gz", ".zip")
_MAKING = ".making-"


@dataclass(frozen=True)
class Wish:
    """What somebody wants installed.

    backend : the backend whose adapter it goes with
    target : what pip is given for the library itself
    local : whether it is a folder, whose version may be that of a release
    bare : whether it is the backend's name alone: not another version of it, but what its extra asks for
    """

    backend: Backend
    target: str
    local: bool = False
    bare: bool = False


@dataclass(frozen=True)
class How:
    """How an environment is made.

    options : for pip, ``--find-links`` and the like
    label : what stands behind ``==`` in its name; the version by default, with ``+local`` for a folder; none for a name alone
    python : the interpreter to make it with, which then holds everything itself; None: this one, where it fits
    unlocked : whether a name alone is what its extra asks for as pip finds it today, and not what its lock says
    beside : requirements that are put in last, whatever the library says that it goes with
    tell : told what pip says
    """

    options: tuple[str, ...] = ()
    label: str = ""
    python: Path | None = None
    unlocked: bool = False
    beside: tuple[str, ...] = ()
    tell: Tell = lambda line: None


def install(text: str, place: Path, how: How = How(), starts: Callable[[Backend], None] = lambda backend: None) -> Backend:
    """Make an environment and give the backend that lives there.

    text : ``norse==1.0.0`` or what else pip takes for a requirement, a wheel, or a folder with a checkout; the name alone of
        a backend that is not installed
    place : the folder of environments
    starts : given the backend before it gets its place, raises BackendMissing where its library does not start

    Raises UnknownName for what is no library of a backend, BadInput for a file that is not there or a label that cannot be one,
    BackendMissing with pip's last word where it fails; nothing is left then, and one that was there stays.
    """
    if how.label and not LABEL.fullmatch(how.label):
        raise BadInput(
            f"--label {how.label!r}: letters, digits and . _ - + ! may stand in it, the first is a letter or a digit"
        )
    wish = wished(text)
    own = wish.backend.own or wish.backend.library
    other = other_interpreter(wish.backend.library, requirements(wish.backend.library), how.python)
    place = place.resolve()
    place.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=_MAKING, dir=place))
    try:
        found = _filled(draft / "new", wish, own, text, other, how)
        version = found + "+local" * (wish.local and "+" not in found)
        name = wish.backend.library if wish.bare and not how.label else f"{wish.backend.library}=={how.label or version}"
        (draft / "new").rename(draft / name)
        starts(_named(name, draft))
        if (place / name).exists():
            (place / name).rename(draft / "old")
        (draft / name).rename(place / name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return _named(name, place)


def _filled(home: Path, wish: Wish, own: str, text: str, other: Path | None, how: How) -> str:
    """Make an environment and install into it; the version of the library in it."""
    python, site = _bare(home) if other is None else _bare_with(other, home)
    lock = lock_of(wish.backend) if wish.bare and not how.unlocked else None
    options = [*how.options, *(["--constraint", str(lock)] if lock is not None and lock.is_file() else [])]
    pip(python, [*options, "--no-deps", "--ignore-installed", wish.target], text, how.tell)
    found = next(iter(distributions(name=own, path=[str(site)])), None)
    if found is None:
        raise BackendMissing(f"{text}: what pip installed is not {own}; name a version, a wheel or a checkout of that")
    pip(python, [*options, f"{own}=={found.version}", *_others(wish, own)], text, how.tell)
    if how.beside:
        pip(python, [*how.options, "--no-deps", *how.beside], f"{text} with {', '.join(how.beside)}", how.tell)
    return found.version


def _named(name: str, place: Path) -> Backend:
    return next(each for each in backends_in([place]) if each.name == name)


def wished(text: str) -> Wish:
    """Which backend a text is about, and what it is.

    Raises UnknownName, and BadInput also for the name alone of a backend that is installed.
    """
    path = Path(text).expanduser()
    if (text.endswith(_ARCHIVES) or os.sep in text) and not _REFERENCE.match(text):
        if not path.exists():
            raise BadInput(f"{text}: no such file or folder; give a wheel, a folder with a checkout, or NAME==VERSION")
        name = _name_of_checkout(path) if path.is_dir() else re.split(r"-\d", path.name)[0]
        return Wish(_backend_of(name), str(path.resolve()), local=path.is_dir())
    requirement = _REQUIREMENT.fullmatch(text.strip())
    if requirement is None:
        raise BadInput(f"{text!r}: is no requirement, wheel or folder; norse==1.0.0 would be one")
    found = _backend_of(requirement["name"])
    if requirement["rest"]:
        return Wish(found, text.strip(), local=requirement["rest"].startswith("@"))
    if found.installed and found.own_interpreter:
        raise BadInput(
            f"{found.name}: {found.own} {found.version} is installed already; {found.name}==VERSION, a wheel or a folder with "
            "a checkout is put beside it"
        )
    return Wish(found, _asked(found, found.own or ""), bare=True)


def _backend_of(name: str) -> Backend:
    there = [each for each in backends() if each.name == each.library and each.own is not None]
    for each in there:
        if canonical(name) in (canonical(each.library), canonical(each.own or "")):
            return each
    raise UnknownName(
        f"no backend {name!r} whose library could be installed; there are {', '.join(_names(there)) or 'none'}. "
        f"Another library needs an adapter first: nir-interop backends new {name}"
    )


def _asked(backend: Backend, distribution: str) -> str:
    """What a backend asks of one of its distributions, as pip takes it."""
    for each in requirements(backend.library):
        name = _REQUIREMENT.match(each)
        if name is not None and canonical(name["name"]) == canonical(distribution):
            return each
    return distribution


def _names(there: Iterable[Backend]) -> list[str]:
    return [each.name for each in there]


def _name_of_checkout(folder: Path) -> str:
    """The name of the distribution that a folder would be built into, as far as it says so itself."""
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        name = project.get("project", {}).get("name") or project.get("tool", {}).get("poetry", {}).get("name")
    except (OSError, ValueError, AttributeError):
        name = None
    if not name:
        for file in ("setup.cfg", "setup.py"):
            text = (folder / file).read_text(encoding="utf-8", errors="replace") if (folder / file).is_file() else ""
            said = re.search(r"""^\s*name\s*=\s*["']?([A-Za-z0-9._-]+)""", text, re.MULTILINE)
            name = name or (said and said[1])
    if not isinstance(name, str):
        raise BadInput(f"{folder}: does not say which distribution it is; write it as 'norse @ file:///the/folder'")
    return name


def _bare(home: Path) -> tuple[Path, Path]:
    """An environment that sees the packages of this one behind its own; its interpreter and its site-packages."""
    venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(home)
    site = next(iter(sorted(home.glob("lib*/python3*/site-packages"))))
    here = [each for each in sys.path if Path(each).name in ("site-packages", "dist-packages") and Path(each).is_dir()]
    (site / BESIDE).write_text("".join(f"{Path(each).resolve()}\n" for each in here), encoding="utf-8")
    return home / "bin" / "python", site


def _bare_with(python: Path, home: Path) -> tuple[Path, Path]:
    """An environment of another interpreter, whose packages are all its own; as :func:`_bare` gives it.

    Raises BackendMissing where that cannot make one.
    """
    done = subprocess.run([str(python), "-m", "venv", "--without-pip", str(home)], capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no word"]
        raise BackendMissing(f"{python} makes no environment: {last[0]}; name another interpreter with --python")
    return home / "bin" / "python", next(iter(sorted(home.glob("lib*/python3*/site-packages"))))


def _others(wish: Wish, own: str) -> list[str]:
    """What the adapter needs beside the library: there already, as a rule.  Another version may go with others of it."""
    names = [name for name in (*wish.backend.distributions, *COMMON) if name != own]
    return [_asked(wish.backend, name) if wish.bare else name for name in names]
