"""Error messages that are the same from run to run: no addresses, no paths, no chance order."""

from __future__ import annotations

import ast
import re
import sysconfig
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nir_interop.backends.adapter import Adapter
from nir_interop.errors import CannotBuild, NirInteropError, NoAnswer, NotExpressible, OwnFailure, ReadFailed
from nir_interop.vocabulary import Stage, Status
from nir_interop.workers.environment import MEMORY
from nir_interop.workers.jobs import Outcome

OWN = OwnFailure.__name__
"""The ``error_type`` of a failure of the harness itself."""
LONGEST = 300
"""Characters of a message that are kept."""

SHORT_OF_MEMORY = f"it wants more memory than a worker may take ({MEMORY} raises it)"
_NO_MEMORY = re.compile(r"bad_alloc|MemoryError|out of memory|can't allocate memory|cannot allocate memory", re.IGNORECASE)
_NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded")
_LONGEST_READ = 100_000
"""Characters of a message that are looked at."""

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{4,}")
_PATH = re.compile(r"(?<![\w.:/])/(?:[\w.+@~-]+/)+([\w.+@~-]*)")
_GENERATED = re.compile(r"<eval_with_key>\.\d+")
"""What torch.fx calls the code that it generates, with a number that grows from model to model."""
_FROZEN = ("<frozen ", "<__array_function__")
"""Code without a file that is nobody's: the import system's, and NumPy's."""
_TEMPORARY = re.compile(r"\b(?:tmp|pytest-)[a-z0-9_]{6,}\b")
_BRACES = re.compile(r"\{[^{}]*\}")
_OURS = ("nir_interop", "nir_interop_adapters")
_STANDS_ON = ("torch", "numpy", "h5py")
BENEATH = (*_STANDS_ON, *_OURS)
"""Packages that a library stands on, or that call it: a failure inside them is shown where the library called them."""


_CALLERS = ("nir_interop_adapters/", "nir_interop/workers/", "nir_interop/transfer/")
"""Ours that only call: the fault is in what they were given."""


def one_line(text: str, known: Mapping[str, str] | None = None) -> str:
    """Normalise a message; ``known`` maps texts to what stands for them (paths of this run, for instance)."""
    text = text[:_LONGEST_READ]
    for found, meant in sorted((known or {}).items(), key=lambda pair: -len(pair[0])):
        text = text.replace(found, meant)
    text = text.encode("utf-8", "backslashreplace").decode()
    text = _PATH.sub(r"\1", text)
    text = _GENERATED.sub("<eval_with_key>", _TEMPORARY.sub("tmp", _ADDRESS.sub("0x", text)))
    text = _BRACES.sub(lambda match: _in_order(match.group()), text)
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _in_order(text: str) -> str:
    """A set or dictionary with its members sorted; other text in braces as it is."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        inner = text[1:-1]
        if ":" in inner or "(" in inner or "," not in inner:
            return text
        return "{" + ", ".join(sorted(part.strip() for part in inner.split(","))) + "}"
    if isinstance(value, set):
        return "{" + ", ".join(sorted(map(repr, value))) + "}"
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(f"{key!r}: {item!r}" for key, item in value.items())) + "}"
    return text


def describe(error: BaseException, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """The columns ``error_type``, ``error_message`` and ``error_at`` of an exception.

    The reader's own error stands for a ReadFailed; what an adapter says itself has no place in the library.
    """
    if isinstance(error, ReadFailed) and error.__cause__ is not None:
        error = error.__cause__
    where = "" if isinstance(error, (CannotBuild, NotExpressible)) else place(error)
    return {"error_type": type(error).__name__, "error_message": one_line(text_of(error), known), "error_at": where}


def own_failure(error: BaseException, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """The same columns where the harness failed and not the library: see :func:`is_ours`."""
    said = one_line(f"{type(error).__name__}: {text_of(error)}", known)
    where = one_line(_own_place(error))
    return {"error_type": OWN, "error_message": f"nir-interop's own failure, not the library's: {said}", "error_at": where}


def is_ours(error: BaseException) -> bool:
    """Whether an exception came of the harness's or an adapter's own code, and not of a library's.

    The deepest frame that lies neither in the standard library nor in what libraries stand on tells.  What happens inside a
    call of a module, or in code that torch generated for one, is the model's, which is the library's.
    """
    if isinstance(error, NirInteropError):
        return False
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.startswith("<") and not frame.filename.startswith(_FROZEN):
            return False
        shown = _relative(frame.filename)
        if shown == "torch/nn/modules/module.py" and frame.name in ("_call_impl", "_wrapped_call_impl"):
            return False
        package = shown.split("/")[0]
        if shown and package not in _STANDS_ON:
            return package in _OURS
    return False


def _own_place(error: BaseException) -> str:
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if (shown := _relative(frame.filename)).split("/")[0] in _OURS:
            return f"{shown}:{frame.lineno}"
    return ""


def short_of_memory(error: BaseException) -> bool:
    """Whether an exception says that there was no memory left, be it NumPy's, torch's or C++'s."""
    return isinstance(error, MemoryError) or says_no_memory(text_of(error))


def says_no_memory(text: str) -> bool:
    """Whether a text says that there was no memory left."""
    return _NO_MEMORY.search(text) is not None


def says_no_space(text: str) -> bool:
    """Whether a text says that a disk is full."""
    return _NO_SPACE.search(text) is not None


def text_of(error: BaseException) -> str:
    """``str(error)``, for errors that cannot even be printed too."""
    try:
        return str(error)
    except BaseException as second:
        return f"(its message failed: {type(second).__name__})"


def place(error: BaseException) -> str:
    """The deepest frame in a library's package as ``package/file.py:line``; else the deepest one in any package, else ''."""
    fallback = ""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        shown = _relative(frame.filename)
        if not shown:
            continue
        where = f"{shown}:{frame.lineno}"
        if shown.startswith(_CALLERS):
            continue
        if shown.split("/")[0] not in BENEATH:
            return where
        fallback = fallback or where
    return fallback


def _relative(filename: str) -> str:
    """A source file from its top-level package on; empty for the standard library and for code without a file."""
    if filename.startswith("<") or not filename.endswith(".py"):
        return ""
    path = Path(filename)
    if "site-packages" in path.parts:
        return "/".join(path.parts[len(path.parts) - path.parts[::-1].index("site-packages") :])
    if filename.startswith(sysconfig.get_paths()["stdlib"]):
        return ""
    top = path.parent
    while (top / "__init__.py").exists() and top.parent != top:
        top = top.parent
    return path.relative_to(top).as_posix()


def failure(error: BaseException, status: Status, stage: Stage, known: Mapping[str, str] | None = None) -> Outcome:
    """The outcome that an exception makes of a job; one of our own is not put into the library's mouth."""
    short = short_of_memory(error)
    described = own_failure(error, known) if not short and is_ours(error) else describe(error, known)
    if short:
        described["error_message"] = one_line(f"{SHORT_OF_MEMORY}: {described['error_message']}".removesuffix(": "))
    full = not short and says_no_space(described["error_message"])
    words: dict[str, Any] = described
    return Outcome(status=str(status), stage=str(stage), short_of_memory=short, no_space=full, **words)


def import_failure(
    adapter: Adapter, error: BaseException, stage: Stage, known: Mapping[str, str], path: Path | None = None
) -> Outcome:
    """The outcome of an import or a run that raised; what nir's own reader raises of the file at ``path`` is no importer's."""
    if isinstance(error, ReadFailed) or (stage in _LOADING and path is not None and _reader_raises(path, error)):
        return failure(error, Status.READ_ERROR, Stage.READ, known)
    if isinstance(error, NoAnswer):
        return failure(error, Status.RUN_ERROR, stage, known)
    if isinstance(error, NirInteropError) or adapter.refuses(text_of(error)):
        return failure(error, Status.REFUSED, stage, known)
    return failure(error, Status.IMPORT_ERROR if stage in _LOADING else Status.RUN_ERROR, stage, known)


_LOADING = (Stage.READ, Stage.IMPORT)


def _reader_raises(path: Path, error: BaseException) -> bool:
    """Whether ``nir.read`` alone fails at a file in the same words."""
    if isinstance(error, NirInteropError):
        return False
    import nir

    try:
        nir.read(path)
    except Exception as alone:
        return type(alone) is type(error) and text_of(alone) == text_of(error)
    return False
