"""``nir-interop backends``: what is installed, without importing any of it; and other versions beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nir_interop.cli.options import Json, Quiet, complain, complete_backend, print_json, say, say_line

if TYPE_CHECKING:
    from nir_interop.backends.environments import Backend
    from nir_interop.backends.installing import How

PARTIAL = 3
"""The exit status where some of several things failed."""

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
    what: Annotated[str | None, typer.Argument(help="NAME==VERSION, a wheel, a folder with a checkout; or NAME alone.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every backend that is not installed.")] = False,
    label: Annotated[str, typer.Option("--label", help="Name it NAME==LABEL; the version by default.")] = "",
    find_links: Annotated[list[str] | None, typer.Option("--find-links", help="Passed to pip (repeatable).")] = None,
    no_index: Annotated[bool, typer.Option("--no-index", help="Passed to pip: look in --find-links alone.")] = False,
    python: Annotated[
        Path | None,
        typer.Option("--python", help="The interpreter to make it with; it then shares no package with this one."),
    ] = None,
    unlocked: Annotated[
        bool, typer.Option("--unlocked", help="With NAME alone: the newest versions that fit, not those it was tried with.")
    ] = False,
    beside: Annotated[
        list[str] | None,
        typer.Option("--with", help="Put this in last, nir==1.0.8 say, whatever the library goes with (repeatable)."),
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Put another version of a library beside the installed one, in .envs/: one more exporter and importer of the matrix.

    With NAME alone, a library that is not installed, as what its extra asks for, in the versions that it was tried with.
    What does not start is said to be so, and leaves nothing.
    """
    from nir_interop.backends.environments import backends as known
    from nir_interop.backends.environments import places
    from nir_interop.backends.installing import How
    from nir_interop.cli.progress import InstallProgress
    from nir_interop.errors import BadInput, NirInteropError

    if every is (what is not None) or (every and (label or beside)):
        raise BadInput("name one to install, or give --all alone, without --label and --with")
    options = (*(["--no-index"] if no_index else []), *(f"--find-links={each}" for each in find_links or ()))
    place = places()[0]
    progress = InstallProgress(quiet=quiet or json)

    def put(each: str) -> Backend:
        with progress.of(each) as tell:
            made = _put(each, place, How(options, label, python, unlocked, (*(beside or ()),), tell))
        if not (json or quiet):
            _say_where(made, place)
        return made

    if what is not None:
        made = put(what)
        if json:
            print_json(_document(made, place))
        return
    done, failed = [], {}
    for name in [each.name for each in known() if each.own is not None and not each.installed]:
        try:
            done.append(put(name))
        except NirInteropError as error:
            failed[name] = str(error)
            if not json:
                complain(str(error))
    if json:
        print_json({"installed": [_document(made, place) for made in done], "failed": failed})
    elif not (done or failed or quiet):
        say("every backend is installed")
    if failed:
        raise typer.Exit(PARTIAL)


@backends.command()
def new(
    name: Annotated[str, typer.Argument(help="The library's name, as pip knows it.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The folder; nir-interop-NAME by default.")] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write a package for a library's adapter: pyproject, adapter and test; nothing of it lies in this project."""
    from nir_interop.backends.template_package import new_package
    from nir_interop.printable import path_word

    written = new_package(name, output)
    folder = written[0].parent
    if json:
        print_json({"folder": str(folder), "files": [str(path.relative_to(folder)) for path in written]})
    elif not quiet:
        say(f"{folder}: {', '.join(str(path.relative_to(folder)) for path in written)}")
        say(f"write {written[1]}, then: pip install -e {path_word(folder)} && nir-interop backends check {name}")


@backends.command()
def check(
    name: Annotated[str, typer.Argument(help="A backend.", autocompletion=complete_backend)],
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Hold a backend to the contract of adapters, with a line for each fault; exit 1 where there is one.

    How its package declares it, whether it starts in its environment, each method on small graphs, the same answer twice, and
    how long it took. What the library computes is not judged: nir-interop check and rules do that.
    """
    from nir_interop.conformance.contract import check_backend

    found = check_backend(name)
    if json:
        print_json({"name": found.name, "faults": found.faults, "notes": found.notes})
    elif not quiet:
        for line in found.notes:
            say_line(line)
        for line in found.faults:
            say_line(f"fault: {line}")
        say_line(f"{name}: {f'faults: {len(found.faults)}' if found.faults else 'keeps the contract'}")
    if found.faults:
        raise typer.Exit(1)


@backends.command()
def lock(
    name: Annotated[str, typer.Argument(help="A backend with an environment of its own.", autocompletion=complete_backend)],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file; by default beside its adapter.")] = None,
    quiet: Quiet = False,
) -> None:
    """Write down the versions that a backend's environment holds: what 'backends install NAME' then installs."""
    from nir_interop.backends.environments import backend
    from nir_interop.backends.locks import lock_of, locked
    from nir_interop.errors import BadInput
    from nir_interop.interface.places import check_file

    found = backend(name)
    text, file = locked(found), output or lock_of(found)
    if file is None:
        raise BadInput(f"{name}: its adapter is a module alone, beside which no lock can lie; name a file with --output")
    file.parent.mkdir(parents=True, exist_ok=True)
    check_file(file, "--output")
    file.write_text(text, encoding="utf-8")
    if not quiet:
        say(f"{name}: {len(text.splitlines()) - 1} versions in {file}")


def _put(what: str, place: Path, how: How) -> Backend:
    from nir_interop.backends.installing import install as made_of
    from nir_interop.errors import BackendMissing
    from nir_interop.workers.live import LiveBackend

    def starts(made: Backend) -> None:
        how.tell("starting it")
        try:
            with LiveBackend(made) as live:
                live.start()
        except BackendMissing as error:
            raise BackendMissing(f"{error}; it does not start and is not kept: install another version") from None

    return made_of(what, place, how, starts)


def _folder(made: Backend, place: Path) -> Path:
    return (place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place) / made.name


def _document(made: Backend, place: Path) -> dict[str, Any]:
    return {"name": made.name, "versions": made.versions, "folder": str(_folder(made, place))}


def _say_where(made: Backend, place: Path) -> None:
    say(f"{made.name}: {made.library} {made.version} in {_folder(made, place)}")
    if made.name == made.library:
        say(f"now a backend: nir-interop matrix --importer {made.name}")
    else:
        say(f"now a backend beside {made.library}: nir-interop matrix --importer {made.library} --importer {made.name}")
