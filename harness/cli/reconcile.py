"""``nir-interop reconcile``: a graph rewritten so that a library computes what another computed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.inputs import STEPS, check_step, stimulus_of
from harness.cli.options import STORE, Json, Quiet, Seed, Store, TimeLimit, complete_backend, print_json, say

if TYPE_CHECKING:
    from harness.matrix.reconciling import Reconciled


def reconcile(
    graph: Annotated[Path, typer.Argument(help="A .nir file.")],
    target: Annotated[str, typer.Option("--to", help="The library that is to run it.", autocompletion=complete_backend)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the rewritten graph goes.")],
    source: Annotated[str, typer.Option("--from", help="Whose importer has it right; nir: NIR's own meaning.")] = "nir",
    dt_from: Annotated[float, typer.Option("--dt-from", help="The source's time step, in seconds.")] = 1e-4,
    dt_to: Annotated[float, typer.Option("--dt-to", help="The target's time step, in seconds.")] = 1e-4,
    from_rule: Annotated[str, typer.Option("--from-rule", help="A source of axis=value pairs instead: start=leak,…")] = "",
    from_recording: Annotated[
        Path | None, typer.Option("--from-recording", help="What the source computed: npz with 'input' and 'output'.")
    ] = None,
    input: Annotated[Path | None, typer.Option("--input", help="npz with 'input', axes (T, B, *shape).")] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Of the seeded input.")] = STEPS,
    seed: Seed = 0,
    store: Store = STORE,
    time_limit: TimeLimit = 20.0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Rewrite a graph so that a library's own importer computes what the source computed; exit 1 where that cannot be.

    Nothing is written unless every output on the input is the source's.
    """
    from harness.environments import backend as find
    from harness.environments import backends
    from harness.errors import BackendMissing, BadInput
    from harness.graphs import write
    from harness.matrix.reconciling import NIR, reconcile_graph, side_from_rule, side_of
    from harness.matrix.store import Store as Cells
    from harness.recording import Recording
    from harness.stimuli import load_output

    check_step(dt_from, "--dt-from")
    check_step(dt_to, "--dt-to")
    if out.exists() and graph.exists() and out.samefile(graph):
        raise BadInput(f"-o {out}: that is the graph itself; name another file")
    known = {each.name: each for each in backends()}
    for name in (target, *([] if source == NIR else [source])):
        if not find(name).installed:
            raise BackendMissing(find(name).hint)
    if from_recording is not None and input is not None:
        raise BadInput("--input: the recording has an input of its own; give one of the two")
    stimulus = stimulus_of(graph, from_recording or input, seed, steps)
    wanted = Recording({"output": load_output(from_recording, stimulus)}) if from_recording else None
    cells = Cells(store)
    left = side_from_rule(from_rule, dt_from) if from_rule else side_of(source, dt_from, cells, known)
    right = side_of(target, dt_to, cells, known)
    found = reconcile_graph(graph, stimulus, left, right, known[target], wanted=wanted, limit=time_limit)
    if found.plan.exact:
        write(out, found.plan.graph)
    if json:
        print_json(found.as_dict() | {"written": str(out) if found.plan.exact else None})
    elif not quiet:
        _show(found, out)
    if not found.plan.exact:
        raise typer.Exit(1)


def _show(found: Reconciled, out: Path) -> None:
    from harness.graphs.wording import printable

    plan, sides = found.plan, f"{found.source.name} at {found.source.dt:g} s → {found.target.name} at {found.target.dt:g} s"
    before = "gives no output that could be compared" if found.before is None else f"{found.before} of {plan.outputs} differ"
    say(f"{sides}: {before} as it is.")
    for number, each in enumerate(plan.passes, start=1):
        say(f"{number}. {each.name} at {', '.join(map(printable, each.nodes))}: {each.why} (preserves {each.preserves})")
    if plan.exact:
        how = "its own importer gives" if plan.asked else "its rules predict"
        say(f"Rewritten, {how} every one of the {plan.outputs} outputs → {out}")
        return
    after = "no output that could be compared" if plan.measured is None else f"{plan.measured} of {plan.outputs} differ"
    say(f"Not reconciled: {after}; nothing is written.")
    for left in found.remaining:
        where = f" at {', '.join(map(printable, left.nodes))}" if left.nodes else ""
        say(f"- {left.cause}{where}: {left.says}")
