"""Names that no library can take for anything but a name.

nirtorch writes the names of nodes into Python source and runs it, and PyTorch's modules have attributes that a node of the same
name hides, or that hide it.  Whoever checks a downloaded file is open to the first and misled by the second.  So a library is
given safe names: those that are not are replaced, in the same order, and whatever it answers is put back under the file's own.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise

LONGEST = 100
"""Letters of a safe name."""

_RESERVED = """
T_destination add_module add_submodule append apply bfloat16 buffers call_super_init children clear code compile cpu
cuda delete_all_unused_submodules delete_submodule device double dump_patches eval execution_order extend extra_repr
float forward forward_state_hooks get_buffer get_execution_order get_extra_state get_input_nodes get_parameter
get_submodule graph half initialized_state insert instantiate_modules ipu is_none items keys load_state_dict meta
modules mtia named_buffers named_children named_modules named_parameters parameters pop print_readable recompile
register_backward_hook register_buffer register_forward_hook register_forward_pre_hook register_forward_state_hooks
register_full_backward_hook register_full_backward_pre_hook register_load_state_dict_post_hook
register_load_state_dict_pre_hook register_module register_parameter register_state_dict_post_hook
register_state_dict_pre_hook remove_forward_state_hooks requires_grad_ return_hidden return_state self set_extra_state
set_submodule setdefault shape_env share_memory state state_dict stateful_layers stateful_modules to to_empty to_folder
torch train training type update values xpu zero_grad
"""
RESERVED = frozenset(_RESERVED.split())
"""Attributes of the modules that libraries build of a graph (``torch.nn.Module``, ``ModuleDict``, ``Sequential``,
``torch.fx.GraphModule``, nirtorch's ``GraphExecutor``, Norse's ``SequentialState``), and the variables of the functions that
nirtorch generates; a test holds them against the classes themselves.  Those with an underscore in front are safe in no name."""

_PART = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_HARMLESS = re.compile(r"[A-Za-z0-9_.]+")
_FURTHER = ("_raw", "_prev_output")
"""What nirtorch keeps beside a node's output, under the node's name and this."""
_SHORTENED = 24
"""Letters of a replaced part of a name that are kept."""
_PREFIXES = ("", "n", "N", "A")


def is_safe(name: str) -> bool:
    """Whether a name is parts between dots, each of letters, digits and underscores behind a letter, and means nothing else."""
    return len(name) <= LONGEST and all(map(_is_safe_part, name.split("."))) and _is_free(mangled(name))


def is_harmless(name: str) -> bool:
    """Whether a name cannot be code: letters, digits, underscores and dots; a library may yet stumble over it."""
    return len(name) <= 2 * LONGEST and _HARMLESS.fullmatch(name) is not None


def is_numbered(name: str) -> bool:
    """Whether a name is not safe for nothing but a digit in front: what ``torch.nn.Sequential`` calls its modules."""
    if is_safe(name) or not is_harmless(name):
        return False
    return is_safe(".".join(f"n{part}" if part[:1].isdigit() else part for part in name.split(".")))


def mangled(name: str) -> str:
    """What nirtorch makes of a name: a module's name has no dots."""
    return name.replace(".", "_")


def unsafe(names: Iterable[str]) -> set[str]:
    """Of the names of one graph, those that a library is not given: not safe, or the same as another once mangled."""
    known = sorted(set(names))
    found = {name for name in known if not is_safe(name)}
    taken: set[str] = set()
    for name in sorted((name for name in known if name not in found), key=lambda name: ("." in name, name)):
        if mangled(name) in taken:
            found.add(name)
        taken.add(mangled(name))
    for name in known:
        if any(mangled(name) == other + further for further in _FURTHER for other in _without(mangled(name), further, taken)):
            found.add(name)
    return found


def replacements(names: Iterable[str]) -> dict[str, str]:
    """Name → safe name, of the names of one graph that are replaced; none where all are safe.

    All names together, those that stay and those that are replaced, have the order that they had, are distinct, and stay
    distinct once mangled.  What can be kept of a name is kept, its dots too, and so is a part that it shares with others before
    a dot.  Where no safe name fits between two that would stay, all are replaced.
    """
    known = sorted(set(names))
    bad = unsafe(known)
    if not bad:
        return {}
    parts = _by_parts([(tuple(name.split(".")), name) for name in known], bad)
    called = {} if parts is None else {name: ".".join(found) for name, found in parts.items()}
    if parts is None or not _is_sound(known, called):
        wide = len(str(len(known)))
        called = {name: f"n{number:0{wide}}_{_cleaned(name)}".rstrip("_") for number, name in enumerate(known)}
    return {name: new for name, new in called.items() if name != new}


def _is_safe_part(part: str) -> bool:
    return _PART.fullmatch(part) is not None and _is_free(part)


def _is_free(name: str) -> bool:
    return name not in RESERVED and not keyword.iskeyword(name)


def _without(name: str, ending: str, among: Collection[str]) -> list[str]:
    bare = name.removesuffix(ending)
    return [bare] if bare != name and bare in among else []


def _is_sound(names: Sequence[str], called: Mapping[str, str]) -> bool:
    new = [called[name] for name in names]
    return all(a < b for a, b in pairwise(new)) and not unsafe(new)


def _by_parts(names: list[tuple[tuple[str, ...], str]], bad: set[str]) -> dict[str, list[str]] | None:
    """Every name by its safe parts, part by part; None where there is no safe part that fits."""
    heads: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for parts, name in names:
        heads.setdefault(parts[0], []).append((parts[1:], name))
    called = _fitted(sorted(heads), {head for head, below in heads.items() if _is_replaced(head, below, bad)})
    if called is None:
        return None
    found: dict[str, list[str]] = {}
    for head, below in heads.items():
        found |= {name: [called[head]] for rest, name in below if not rest}
        deeper = [(rest, name) for rest, name in below if rest]
        inner = _by_parts(deeper, bad) if deeper else {}
        if inner is None:
            return None
        found |= {name: [called[head], *rest] for name, rest in inner.items()}
    return found


def _is_replaced(head: str, below: list[tuple[tuple[str, ...], str]], bad: set[str]) -> bool:
    """Whether a part is another in the new names: not safe, the last of a name that is not, or a long part of one too long."""
    if not _is_safe_part(head) or any(not rest and name in bad for rest, name in below):
        return True
    return len(head) > _SHORTENED and any(len(name) > LONGEST for _, name in below)


def _fitted(parts: Sequence[str], replaced: set[str]) -> dict[str, str] | None:
    """New words for some of the sorted parts, which fit between those that stay."""
    called: dict[str, str] = {}
    position = 0
    while position < len(parts):
        if parts[position] not in replaced:
            called[parts[position]] = parts[position]
            position += 1
            continue
        end = position
        while end < len(parts) and parts[end] in replaced:
            end += 1
        low, high = (parts[position - 1] if position else ""), (parts[end] if end < len(parts) else None)
        words = _between(low, parts[position:end], high)
        if words is None:
            return None
        called |= dict(zip(parts[position:end], words, strict=True))
        position = end
    return called


def _between(low: str, parts: Sequence[str], high: str | None) -> list[str] | None:
    """Safe words in the order of the parts, all behind one word and before another; the first of several ways that fits."""
    wide = len(str(len(parts)))
    for prefix in (*_PREFIXES, *([f"{low}_"] if low else [])):
        for numbered in (False, True) if prefix else (False,):
            words = [f"{prefix}{f'{number:0{wide}}_' if numbered else ''}{_cleaned(part)}" for number, part in enumerate(parts)]
            words = [word if _is_free(word) else f"{word}_" for word in words]
            row = [low, *words, *([] if high is None else [high])]
            if all(map(_is_safe_part, words)) and all(a < b for a, b in pairwise(row)):
                return words
    return None


def _cleaned(text: str) -> str:
    """What of a text may stand in a name."""
    return re.sub(r"[^A-Za-z0-9]+", "_", text[: 2 * _SHORTENED]).strip("_")[:_SHORTENED]
