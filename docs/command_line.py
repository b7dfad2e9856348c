"""The page of the command line, made from the program."""

from __future__ import annotations

import re
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from docstrings import markdown, table
from typer.main import get_command

import nir_interop.cli

TAKES = {str: "text", int: "whole number", float: "number", Path: "path", bool: ""}


def cli() -> str:
    """Every verb with its arguments, options, defaults, and what its exit status says."""
    command: Any = get_command(nir_interop.cli.app)
    lines = ["# Command line", "", command.help, "", "`nir-interop` alone says what to do first:", ""]
    lines += ["```text", nir_interop.cli.FIRST.rstrip(), "```", "", *_options(command), "", "## Exit status", ""]
    lines += [*table(("status", "means"), _exit_statuses(command)), ""]
    for name, verb in command.commands.items():
        lines += _verb(f"nir-interop {name}", verb, "##")
    return "\n".join(lines)


def _exit_statuses(command: Any) -> list[tuple[str, str]]:
    """What the command line's docstring lists; of status 1, what each verb and option says of it."""
    listed = (nir_interop.cli.__doc__ or "").split("Exit status:")[1].split(". ")[0]
    found = dict(each.split(" ", 1) for each in re.split(r"; (?=\d)", " ".join(listed.split())))
    ones = []
    for name, verb in command.commands.items():
        says = {f"`{name}`": verb.help or ""} | {
            f"`{name} {each.opts[0]}`": getattr(each, "help", "") or "" for each in verb.params
        }
        ones += [
            f"{what} {when[1]}" for what, text in says.items() if (when := re.search(r"[Ee]xit 1 ((?:if|where) [^.]+)", text))
        ]
    found["1"] = "; ".join(ones)
    return [(f"`{status}`", markdown(means)) for status, means in found.items()]


def _verb(path: str, verb: Any, level: str) -> list[str]:
    arguments = [each for each in verb.params if each.param_type_name == "argument"]
    usage = " ".join([path, *(_argument(each) for each in arguments), "[OPTIONS]"])
    lines = [f"{level} {path}", "", markdown(verb.help or ""), "", "```text", usage, "```", ""]
    if arguments:
        rows = [(f"`{_argument(each)}`", each.help or "") for each in arguments]
        lines += [*table(("argument", "is"), rows), ""]
    lines += [*_options(verb), ""]
    for name, below in getattr(verb, "commands", {}).items():
        lines += _verb(f"{path} {name}", below, level + "#")
    return lines


def _argument(argument: Any) -> str:
    name = argument.name.upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _options(verb: Any) -> list[str]:
    rows = []
    for each in verb.params:
        if each.param_type_name != "option":
            continue
        names = ", ".join(f"`{name}`" for name in (*each.opts, *each.secondary_opts))
        takes = "" if each.is_flag else TAKES[_plain(each.type_descriptor.annotation)]
        rows.append((names, takes, each.help or "", _default(each)))
    return table(("option", "takes", "does", "default"), rows)


def _plain(annotation: Any) -> type[Any]:
    """The type of one value of an option: without its list, and without None."""
    inner = [each for each in get_args(annotation) if each is not NoneType]
    return _plain(inner[0]) if inner else annotation


def _default(option: Any) -> str:
    value = option.default
    if option.required:
        return "must be given"
    if option.is_flag:
        return f"`{option.opts[0]}`" if value and option.secondary_opts else ""
    return "" if value in (None, "", (), []) or option.name.startswith(("install_", "show_")) else f"`{value}`"
