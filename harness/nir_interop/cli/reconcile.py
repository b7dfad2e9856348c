"""``nir-interop reconcile``: a graph rewritten so that a library computes what another computed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nir_interop.cli.inputs import check_step, inputs_of, names_in, notes_of, quiet_hint
from nir_interop.cli.options import (
    STORE,
    Json,
    MemoryLimit,
    Quiet,
    Seed,
    Store,
    TimeLimit,
    a_file,
    complete_backend,
    plain,
    print_json,
    say,
    say_line,
)
from nir_interop.memory import USUAL

if TYPE_CHECKING:
    from nir_interop.agreement.inputs import InputSet
    from nir_interop.transfer.reconciling import Reconciled


def reconcile(
    graph: Annotated[Path, typer.Argument(help="A .nir file.")],
    target: Annotated[str, typer.Option("--to", help="The library that is to run it.", autocompletion=complete_backend)],
    out: Annotated[Path, typer.Option("--out", "-o", callback=a_file("-o"), help="Where the rewritten graph goes.")],
    source: Annotated[str, typer.Option("--from", help="Whose importer has it right; nir: NIR's own meaning.")] = "nir",
    dt: Annotated[float, typer.Option("--dt", help="Time step of both sides, in seconds.")] = 1e-4,
    dt_from: Annotated[float | None, typer.Option("--dt-from", help="The source's, where it is another.")] = None,
    dt_to: Annotated[float | None, typer.Option("--dt-to", help="The target's, where it is another.")] = None,
    from_rule: Annotated[str, typer.Option("--from-rule", help="A source of axis=value pairs instead: start=leak,…")] = "",
    from_recording: Annotated[
        Path | None, typer.Option("--from-recording", help="What the source computed: npz with 'input' and 'output'.")
    ] = None,
    input: Annotated[Path | None, typer.Option("--input", help="npz with 'input', axes (T, B, *shape).")] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Of the seeded inputs, if not as the graph suggests.")
    ] = None,
    seed: Seed = 0,
    store: Store = STORE,
    time_limit: TimeLimit = 20.0,
    memory_limit: MemoryLimit = USUAL,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Rewrite a graph so that a library's own importer computes what the source computed; exit 1 where that cannot be.

    What the rules of the two sides say differs is rewritten, whatever an input shows. Nothing is written unless every output is
    the source's, rounding apart, on the input given or on a seeded set of inputs made for the graph.
    """
    from nir_interop.backends.environments import backend as find
    from nir_interop.backends.environments import backends
    from nir_interop.errors import BackendMissing, BadInput
    from nir_interop.graphs import with_safe_names, write
    from nir_interop.recording import Recording
    from nir_interop.stimuli import load_output
    from nir_interop.store.store import Store as Cells
    from nir_interop.transfer.readings.natives import natives_of
    from nir_interop.transfer.reconciling import NIR, reconcile_graph, side_from_rule, side_of

    check_step(dt)
    before, after = dt if dt_from is None else dt_from, dt if dt_to is None else dt_to
    check_step(before, "--dt-from")
    check_step(after, "--dt-to")
    if out.exists() and graph.exists() and out.samefile(graph):
        raise BadInput(f"-o {out}: that is the graph itself; name another file")
    known = {each.name: each for each in backends()}
    for name in (target, *([] if source == NIR else [source])):
        if not find(name).installed:
            raise BackendMissing(find(name).hint)
    if from_recording is not None and input is not None:
        raise BadInput("--input: the recording has an input of its own; give one of the two")
    inputs = inputs_of(graph, from_recording or input, before, seed, steps, time_limit=time_limit)
    wanted = Recording({"output": load_output(from_recording, inputs.input)}) if from_recording else None
    cells = Cells(store)
    left = side_from_rule(from_rule, before) if from_rule else side_of(source, before, cells, known)
    right = side_of(target, after, cells, known)
    natives = natives_of(known.values(), cells, lambda told: None if quiet else typer.echo(plain(told), err=True))
    options: dict[str, Any] = {"wanted": wanted, "natives": natives, "limit": time_limit}
    found = reconcile_graph(graph, inputs.input, left, right, known[target], **options)
    made, called = with_safe_names(found.plan.graph)  # whoever is given the file need not be nir-interop
    if found.plan.right:
        write(out, made)
    if json:
        written = {"inputs": inputs.as_dict(), "written": str(out) if found.plan.right else None}
        print_json({"read_as": notes_of(graph), "renamed": called} | found.as_dict() | written)
    elif not quiet:
        there = names_in(graph)  # what passes put in has no other name that a user knows
        _show(found, inputs, out, {old: new for old, new in called.items() if old in there})
    if not found.plan.right:
        raise typer.Exit(1)


def _show(found: Reconciled, inputs: InputSet, out: Path, called: Mapping[str, str]) -> None:
    from nir_interop.graphs import listed
    from nir_interop.printable import printable, shown
    from nir_interop.vocabulary import Status

    plan, sides = found.plan, f"{found.source.name} at {found.source.dt:g} s → {found.target.name} at {found.target.dt:g} s"
    before = "gives no output that could be compared" if found.before is None else f"{found.before} of {plan.outputs} differ"
    if found.read is not None and found.read.fits and not found.read.plain:
        say("\n".join(map(printable, found.read.lines())))
    say_line(f"{sides}: {before} as it is.")
    for number, each in enumerate(plan.passes, start=1):
        say_line(f"{number}. {each.name} at {listed(each.nodes)}: {each.why} (preserves {each.preserves})")
    if plan.right:
        how = "its own importer gives" if plan.asked else "its rules predict"
        rounding = f" ({plan.agreement.rounding()})" if not plan.exact else ""
        now = "Rewritten" if plan.passes else "As it is"
        say_line(f"{now}, {how} every one of the {plan.outputs} outputs{rounding} → {out}")
        if called:
            say(f"In it, as a library can take it: {listed(f'{shown(old)} is {new}' for old, new in called.items())}.")
        for rest in plan.remaining:
            say_line(f"- {rest.cause} at {listed(rest.nodes)}, which no input shows: {rest.why}")
    else:
        after = "no output that could be compared" if plan.wrong is None else f"{plan.wrong} of {plan.outputs} differ"
        say_line(f"Not reconciled: {after}; nothing is written.")
        for left in found.remaining:
            where = f" at {listed(left.nodes)}" if left.nodes else ""
            say_line(f"- {left.cause}{where}: {left.says}")
    say_line(f"On {inputs.says()}.")
    hint = quiet_hint(inputs, plan.agreement.status is Status.VACUOUS)
    if hint:
        say(hint)
