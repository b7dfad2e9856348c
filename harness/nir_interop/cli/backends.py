"""``nir-interop backends``: what is installed, without importing any of it; and other versions beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nir_interop.cli.options import Json, Quiet, print_json, say

backends = typer.Typer(invoke_without_command=True, pretty_exceptions_enable=False)


@backends.callback()
def show(context: typer.Context, json: Json = False) -> None:
    """List the backends, their versions and whether they are installed; or install another version of one."""
    from nir_interop.interface.functions import backends as every

    if context.invoked_subcommand is not None:
        return
    found = every()
    if json:
        print_json(found.to_dict())
    else:
        say(str(found))


@backends.command()
def install(
    what: Annotated[str, typer.Argument(help="NAME==VERSION, a wheel, a folder with a checkout; or NAME alone.")],
    label: Annotated[str, typer.Option("--label", help="Name it NAME==LABEL; the version by default.")] = "",
    find_links: Annotated[list[str] | None, typer.Option("--find-links", help="Passed to pip (repeatable).")] = None,
    no_index: Annotated[bool, typer.Option("--no-index", help="Passed to pip: look in --find-links alone.")] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Put another version of a library beside the installed one, in .envs/: one more exporter and importer of the matrix.

    With NAME alone, a library that is not installed, as what its extra asks for.  One that does not start is said to be so.
    """
    from nir_interop.backends.environments import places
    from nir_interop.backends.installing import install as put
    from nir_interop.errors import BackendMissing
    from nir_interop.workers.live import LiveBackend

    options = [*(["--no-index"] if no_index else []), *(f"--find-links={each}" for each in find_links or ())]
    place = places()[0]
    made = put(what, place, options, label)
    folder = (place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place) / made.name
    try:
        with LiveBackend(made) as live:
            live.start()
    except BackendMissing as error:
        so = f"it lies in {folder} and does not start: remove that, or install another version"
        raise BackendMissing(f"{error}; {so}") from None
    if json:
        print_json({"name": made.name, "versions": made.versions, "folder": str(folder)})
    elif not quiet:
        say(f"{made.name}: {made.library} {made.version} in {folder}")
        if made.name == made.library:
            say(f"now a backend: nir-interop matrix --importer {made.name}")
        else:
            say(f"now a backend beside {made.library}: nir-interop matrix --importer {made.library} --importer {made.name}")
