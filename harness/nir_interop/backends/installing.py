"""Environments of their own: another version of a library, as a backend beside the installed one; or a library that is not
installed, as the backend of its name.

An environment holds the library and what that brings.  Everything else comes from the environment this runs in, through a
``.pth`` file: torch is not installed again, and the library alone differs between the two backends.  Where the library asks
for another version of something (``nir<=1.0.4``, say), pip puts that version in, where it comes first.

It is made in a hidden folder and moved to its name when it is complete: one that was there is replaced by a complete one or not
at all.  Its interpreter finds its packages by where it lies, so moving does no harm.
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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from itertools import pairwise
from pathlib import Path

from nir_interop.backends.environments import BESIDE, COMMON, LABEL, Backend, backends, backends_in, canonical, requirements
from nir_interop.errors import BackendMissing, BadInput, UnknownName

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?P<rest>(?:[=<>!~].*|@.*)?)")
_REFERENCE = re.compile(r"[A-Za-z0-9._-]+\s*@")
_ARCHIVES = (".whl", ".tar.gz", ".zip")
_NOT_FOUND = re.compile(r"satisfies the requirement (?P<which>.+?) \(from versions: (?P<versions>[^)]*)\)")


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


def install(text: str, place: Path, options: Sequence[str] = (), label: str = "") -> Backend:
    """Make an environment and give the backend that lives there.

    text : ``norse==1.0.0`` or what else pip takes for a requirement, a wheel, or a folder with a checkout; the name alone of
        a backend that is not installed
    place : the folder of environments
    options : for pip, ``--find-links`` and the like
    label : what stands behind ``==`` in its name; the version by default, with ``+local`` for a folder; none for a name alone

    Raises UnknownName for what is no library of a backend, BadInput for a file that is not there or a label that cannot be one,
    BackendMissing with pip's last word where it fails.
    """
    if label and not LABEL.fullmatch(label):
        raise BadInput(f"--label {label!r}: letters, digits and . _ - + ! may stand in it, the first is a letter or a digit")
    wish = wished(text)
    own = wish.backend.own or wish.backend.library
    place = place.resolve()
    place.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".making-", dir=place))
    try:
        python, site = _bare(draft)
        _pip(python, [*options, "--no-deps", "--ignore-installed", wish.target], text)
        found = next(iter(distributions(name=own, path=[str(site)])), None)
        if found is None:
            raise BackendMissing(f"{text}: what pip installed is not {own}; name a version, a wheel or a checkout of that")
        _pip(python, [*options, f"{own}=={found.version}", *_others(wish, own)], text)
        version = found.version + "+local" * (wish.local and "+" not in found.version)
        name = wish.backend.library if wish.bare and not label else f"{wish.backend.library}=={label or version}"
        home = place / name
        shutil.rmtree(home, ignore_errors=True)
        draft.rename(home)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
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
        "Another library needs an adapter and an extra of its own first (harness/nir_interop/backends/adapter.py)"
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


def _others(wish: Wish, own: str) -> list[str]:
    """What the adapter needs beside the library: there already, as a rule.  Another version may go with others of it."""
    names = [name for name in (*wish.backend.distributions, *COMMON) if name != own]
    return [_asked(wish.backend, name) if wish.bare else name for name in names]


def _pip(python: Path, arguments: Sequence[str], what: str) -> None:
    """Have this interpreter's pip install into another environment.

    Raises BackendMissing with pip's last word.
    """
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run([*command, "--no-warn-script-location", *arguments], capture_output=True, text=True)
    if done.returncode == 0:
        return
    said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    built = [before for before, line in pairwise(said) if line.startswith("[end of output]")]  # of a build that failed
    errors = built or [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR: ")] or said or ["no word"]
    absent = _NOT_FOUND.search(done.stderr)
    if absent is not None and errors[-1].startswith("No matching distribution"):
        none = absent["versions"] == "none"
        there = "--find-links DIR names a folder with wheels" if none else f"there are {absent['versions']}"
        raise BackendMissing(f"{what}: pip finds no {absent['which']}; {there}")
    raise BackendMissing(f"{what}: pip failed: {errors[-1]}")
