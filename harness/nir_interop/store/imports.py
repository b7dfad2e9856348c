"""Which sources a module runs: what it imports, and what that imports, whether at its top or inside a function.

Found in the text of the sources, without running any: an outcome that is kept is of use as long as none of them changes.  What
stands under ``if TYPE_CHECKING:`` is never run, and does not count.  Only statements are looked at, line by line, for parsing
all of a package takes a second; a line of a docstring that reads as one does no harm but a source too many.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

_CHECKING = re.compile(r"^([ \t]*)if (?:typing\.)?TYPE_CHECKING:[^\n]*\n(?:(?:\1[ \t]+[^\n]*|[ \t]*)\n)+", re.MULTILINE)
_STATEMENT = re.compile(
    r"^[ \t]*(?:from[ \t]+(\.*[\w.]*)[ \t]+import[ \t]*(\((?:[^)#]|#[^\n]*)*\)|(?:[^\n#;\\]|\\\n)*)|import[ \t]+([^\n#;]*))",
    re.MULTILINE,
)
_NAME = re.compile(r"(\w+)(?:[ \t]+as[ \t]+\w+)?")
_DOTTED = re.compile(r"([\w.]+)(?:[ \t]+as[ \t]+\w+)?")
_COMMENT = re.compile(r"#[^\n]*")

PROJECT = Path(__file__).resolve().parents[2]
"""The folder that holds this project's packages."""


class Sources:
    """The sources in some folders, each as it is when it is first asked for.

    folders : where packages lie, the first that has one counts; a package that is in none is looked for where Python would
    """

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self.folders = (*folders, PROJECT)
        self._files: dict[str, dict[str, Path]] = {}
        self._texts: dict[Path, bytes] = {}
        self._imported: dict[str, tuple[str, ...]] = {}

    def modules(self, *names: str) -> frozenset[str]:
        """These modules, and all of the same top-level packages and of this project's that they import."""
        packages = {"nir_interop", *(name.split(".")[0] for name in names)}
        found: set[str] = set()
        waiting = [name for name in names if self.file(name) is not None]
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            found.add(name)
            ours = (each for each in self.imports(name) if each.partition(".")[0] in packages and each not in found)
            waiting += [each for each in ours if self.file(each) is not None]
        return frozenset(found)

    def digest(self, *names: str) -> str:
        """SHA-256 of the sources of :meth:`modules`."""
        sha = hashlib.sha256()
        for name in sorted(self.modules(*names)):
            sha.update(f"{name}\0".encode() + hashlib.sha256(self._text(name)).digest())
        return sha.hexdigest()

    def whole(self, top: str) -> str:
        """SHA-256 of every file of a top-level package but what Python compiles; of a module that lies alone, of that."""
        places = [place for folder in (*self.folders, *_elsewhere(top)) for place in (folder / top, folder / f"{top}.py")]
        place = next((each for each in places if each.exists()), None)
        if place is None:
            return ""
        files = [place] if place.is_file() else [each for each in sorted(place.rglob("*")) if each.is_file()]
        sha = hashlib.sha256()
        for file in files:
            if "__pycache__" not in file.parts:
                sha.update(f"{file.relative_to(place)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
        return sha.hexdigest()

    def file(self, name: str) -> Path | None:
        """The source of a module; None where there is none."""
        top = name.partition(".")[0]
        if top not in self._files:
            self._files[top] = self._listed(top)
        return self._files[top].get(name)

    def _listed(self, top: str) -> dict[str, Path]:
        """Module → source, of all of a top-level package or of a module that lies alone."""
        for folder in (*self.folders, *_elsewhere(top)):
            alone = folder / f"{top}.py"
            if (folder / top).is_dir():
                return _sources(folder / top)
            if alone.is_file():
                return {top: alone}
        return {}

    def _text(self, name: str) -> bytes:
        path = self.file(name)
        if path is None:
            return b""
        if path not in self._texts:
            self._texts[path] = path.read_bytes()
        return self._texts[path]

    def imports(self, name: str) -> tuple[str, ...]:
        """What one module imports, modules or what is in them, with the packages that they lie in, and its own."""
        if name not in self._imported:
            path = self.file(name)
            package = name if path is not None and path.name == "__init__.py" else name.rpartition(".")[0]
            asked = (name, *imported(self._text(name).decode("utf-8", "replace"), package))
            every = dict.fromkeys(each for one in asked for each in _with_packages(one))
            self._imported[name] = tuple(every)
        return self._imported[name]


def imported(text: str, package: str = "") -> Iterator[str]:
    """The names of all modules that a source may import; ``from a import b`` gives ``a`` and ``a.b``, whichever there is.

    package : of the source, which relative imports count from
    """
    for module, names, plain in _STATEMENT.findall(_CHECKING.sub("", text) if "TYPE_CHECKING" in text else text):
        if plain:
            yield from (found[1] for part in plain.split(",") if (found := _DOTTED.match(part.strip())))
            continue
        dots = len(module) - len(module.lstrip("."))
        base = module.lstrip(".")
        if dots:
            parts = package.split(".")
            base = ".".join([*parts[: len(parts) - dots + 1], *([base] if base else [])])
        if base:
            yield base
            for part in _COMMENT.sub("", names).strip(" \t\n()\\").split(","):
                if found := _NAME.match(part.strip(" \t\n\\")):
                    yield f"{base}.{found[1]}"


def _sources(package: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for place, folders, files in os.walk(package):
        folders[:] = [each for each in folders if each.isidentifier() and each != "__pycache__"]
        name = ".".join([package.name, *Path(place).relative_to(package).parts])
        for file in files:
            if file == "__init__.py":
                found[name] = Path(place, file)
            elif file.endswith(".py"):
                found.setdefault(f"{name}.{file[:-3]}", Path(place, file))
    return found


def _with_packages(name: str) -> Iterator[str]:
    """A module and the packages that it lies in."""
    parts = name.split(".")
    yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


@lru_cache(maxsize=32)
def _elsewhere(top: str) -> tuple[Path, ...]:
    """The folder that Python would find a package in, where it can say."""
    try:
        found = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return ()
    places = [Path(each).parent for each in (found.submodule_search_locations or ())] if found is not None else []
    alone = [Path(found.origin).parent] if found is not None and found.origin and not places else []
    return tuple([*places, *alone])
