"""Checkpoints: tensors and plain data, read with weights only, written whole or not at all, and of one run alone."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch

from nir_interop.errors import BadInput

State = dict[str, Any]

_SUM = "sum"
_KEYS = frozenset({"fingerprint", "about", "updates", "parameters"})


def fingerprint(about: Any) -> str:
    """Of what a checkpoint is of (network, settings, seed, data), given as plain data."""
    return hashlib.sha256(json.dumps(about, sort_keys=True, allow_nan=False).encode()).hexdigest()


def save(path: Path, about: Any, state: State) -> None:
    """Write a checkpoint of ``about``; a reader sees the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    passing = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        written = {"fingerprint": fingerprint(about), "about": json.dumps(about, sort_keys=True), **state}
        torch.save({**written, _SUM: _sum(written)}, passing)
        os.replace(passing, path)
    finally:
        passing.unlink(missing_ok=True)


def load(path: Path, about: Any) -> State | None:
    """The checkpoint at ``path``, its tensors on the CPU; None where there is none.

    Raises BadInput where the file is no checkpoint, or one of another network, seed, setting or data set.
    """
    if not path.exists():
        return None
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # What a damaged file makes of torch's reader is not a list that ends.
        raise BadInput(
            f"{path}: not a checkpoint ({type(error).__name__}); remove it, or name another --checkpoints"
        ) from error
    if not isinstance(found, dict) or not found.keys() >= _KEYS:
        raise BadInput(f"{path}: not a checkpoint of a study; remove it, or name another --checkpoints")
    if found.pop(_SUM, None) not in (None, _sum(found)):  # those of earlier versions have none
        raise BadInput(f"{path}: a checkpoint that is damaged; remove it, or name another --checkpoints")
    if found["fingerprint"] != fingerprint(about):
        other = _difference(found["about"], about)
        raise BadInput(f"{path}: a checkpoint of another run ({other}); remove it, or name another --checkpoints")
    return found


def _sum(value: Any) -> str:
    """Of nested plain data and tensors: torch reads a file in which a number is damaged."""
    sha = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            sha.update(f"{value.dtype} {tuple(value.shape)}".encode())
            sha.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        elif isinstance(value, dict):
            sha.update(f"{len(value)}".encode())
            for key in sorted(value, key=repr):
                add(key)
                add(value[key])
        elif isinstance(value, (list, tuple)):
            sha.update(f"{len(value)}".encode())
            for each in value:
                add(each)
        else:
            sha.update(f"{value!r};".encode())

    add(value)
    return sha.hexdigest()


def _difference(text: Any, about: Any) -> str:
    """What the other run had otherwise, in a few words."""
    try:
        theirs, ours = _flat(json.loads(text)), _flat(json.loads(json.dumps(about)))
    except (TypeError, ValueError):
        return "its settings cannot be read"
    names = [name for name in sorted({*theirs, *ours}) if theirs.get(name) != ours.get(name)]
    return ", ".join(f"its {name} is {theirs.get(name)}, not {ours.get(name)}" for name in names[:3]) or "it says so itself"


def _flat(document: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(document, dict):
        return {prefix: document}
    found: dict[str, Any] = {}
    for name, value in document.items():
        found |= _flat(value, f"{prefix}.{name}" if prefix else name)
    return found
