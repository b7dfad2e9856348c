"""The study from start to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nir_interop.backends.environments import Backend, backends
from nir_interop.errors import BadInput
from nir_interop.graphs import Array
from nir_interop.store.store import Store
from nir_interop.transfer.deployment import identifying
from nir_interop.transfer.evaluation import Evaluator
from nir_interop.vocabulary import CONTINUOUS, REFERENCE, Mode
from nir_interop.workers.live import LiveBackend
from nir_interop_studies.common import Progress, Study
from nir_interop_studies.nir_paper import (
    braille,
    cnn,
    crossing,
    figures,
    lif,
    live_traces,
    page,
    similarity,
    substitute_networks,
)
from nir_interop_studies.nir_paper.crossing import BATCH, LIMIT, Crossed, Task
from nir_interop_studies.nir_paper.inputs import Held, letters, published_digits, test_recordings
from nir_interop_studies.nir_paper.paper import PUBLISHED_COLUMNS, VARIABLE, Paper, PaperOptions, find_paper, published_row
from nir_interop_studies.tables import write_table

Rows = list[dict[str, Any]]
Tables = dict[str, tuple[Sequence[str], Rows]]
OURS = (CONTINUOUS, REFERENCE)


@dataclass(frozen=True, eq=False)
class Given:
    """What the study runs on.

    paper : None where it is not there; then everything is our own
    digits : on which first layers of the published convolutional network are compared
    """

    paper: Paper | None
    digits: Held | None
    tasks: Mapping[str, Task]
    neuron: lif.PaperNeuron
    traces: Mapping[str, Array]


@dataclass
class Found:
    """What the backends made of it, by backend, by trace or by task."""

    made: dict[str, lif.Made] = field(default_factory=dict)
    traced: dict[str, list[live_traces.Ran]] = field(default_factory=dict)
    crossed: dict[str, list[Crossed]] = field(default_factory=dict)
    gains: Rows = field(default_factory=list)
    layers: dict[str, Array] = field(default_factory=dict)


def act(options: PaperOptions, progress: Progress) -> Sequence[Path]:
    """Run the three tasks and write tables, figures, rewritten graphs and the page.

    Raises BadInput, before anything is run, where the paper's folder, the data or a backend cannot be used.
    """
    started = time.perf_counter()
    if options.train_only:
        raise BadInput("--train-only: nothing is trained here; leave the option out")
    chosen = _backends(options)
    given = _given(options, progress)
    runner, found = Evaluator(Store(options.store), BATCH), Found()
    others = [each for each in chosen if each.name not in OURS]
    total = sum(crossing.parts(task, chosen) for task in given.tasks.values())
    with progress.task("import, explain, rewrite, run", total) as advance:
        with identifying({}, [each.name for each in others], Store(options.store)) as wait:
            # Of these nothing has to be found out first, so they run while the others' rules are.
            for each in chosen:
                if each.name in OURS:
                    _backend(options, each, given, runner, found, advance)
            progress.say("waiting until the libraries' rules are known")
            wait()
        for each in others:
            _backend(options, each, given, runner, found, advance)
    with progress.task("single rules", 2) as advance:
        tables = dict(_tables(given, found, chosen, runner, advance))
    written = [write_table(options.out / f"{name}.csv", *table) for name, table in tables.items()]
    rows = {name: table for name, (_, table) in tables.items()}
    written += [
        figures.lif_traces(given.traces, found.made, options.out / "lif_traces.png"),
        figures.accuracies(rows, options.out / "accuracy.png"),
        figures.cosines(rows["first_layers"], options.out / "first_layers.png"),
    ]
    return [page.write_page(options, rows, chosen, given.digits, time.perf_counter() - started), *written]


def _given(options: PaperOptions, progress: Progress) -> Given:
    """What was published where it is there, networks of our own where not."""
    paper, recordings, read_letters = find_paper(options), test_recordings(options), letters(options)
    traces = {} if paper is None else paper.traces()
    if paper is None or read_letters is None:
        published = f"the published files (--paper-dir, or {VARIABLE})"
        absent = published if paper is None else "Braille letters (a data folder that holds Braille/braille7.npz)"
        progress.say(f"without {absent}: networks of our own on the embedded digits as events")
    graphs, digits = options.out / "graphs", None
    if paper is None:
        convolutional = substitute_networks.convolutional(options, graphs)
        neuron = substitute_networks.neuron(options.seed)
        traces = substitute_networks.traces(neuron)
    else:
        digits = published_digits(options, recordings)
        convolutional, neuron = cnn.task_of(options, paper, recordings, digits), lif.published(paper)
    if paper is None or read_letters is None:
        recurrent = substitute_networks.recurrent(options, graphs)
    else:
        recurrent = braille.task_of(paper, read_letters)
    return Given(paper, digits, {task.name: task for task in (convolutional, recurrent)}, neuron, traces)


def _backend(
    options: PaperOptions, backend: Backend, given: Given, runner: Evaluator, found: Found, advance: Callable[[], None]
) -> None:
    """Everything of one backend, in one process of its own."""
    with LiveBackend(backend, limit=LIMIT) as live:
        made = found.made[backend.name] = lif.run_backend(given.neuron, live)
        for trace, ran in live_traces.run_traces(given.neuron, live, made).items():
            found.traced.setdefault(trace, []).append(ran)
        for task in given.tasks.values():
            crossed = list(crossing.cross(task, live, runner, options.out / "graphs", advance))
            found.crossed.setdefault(task.name, []).extend(crossed)
            if given.digits is not None and task.name == "cnn":
                found.gains += cnn.gain_rows(task, given.digits, live, runner)
                layer = cnn.first_spikes(task, given.digits, crossed, live, runner)
                if layer is not None:
                    found.layers[backend.name] = layer


def _tables(
    given: Given, found: Found, chosen: Sequence[Backend], runner: Evaluator, advance: Callable[[], None]
) -> Iterator[tuple[str, tuple[Sequence[str], Rows]]]:
    """Name → columns and rows; ``advance`` is called twice."""
    paper, tasks = given.paper, given.tasks
    versions = {each.name: each.version for each in chosen}
    yield "lif_backends", (lif.BACKEND_COLUMNS, list(lif.backend_rows(given.neuron, given.traces, found.made, versions)))
    for name, task in tasks.items():
        yield name, (crossing.COLUMNS, crossing.rows(task, found.crossed[name]))
    pairs: Rows = []
    if paper is not None and given.digits is not None:
        exact = found.made.get(CONTINUOUS, lif.Made())
        yield "published", (PUBLISHED_COLUMNS, [published_row(each) for each in paper.accuracies()])
        yield "lif_rules", (lif.RULE_COLUMNS, list(lif.rule_rows(given.neuron, given.traces, exact)))
        if any(each.apart for each in chosen):
            yield "lif_live", (live_traces.COLUMNS, list(live_traces.rows(given.neuron, given.traces, found.traced)))
        yield "cnn_gain", (cnn.GAIN_COLUMNS, found.gains)
        yield "cnn_rules", (cnn.RULE_COLUMNS, list(cnn.rule_rows(tasks["cnn"], given.digits, paper.speck_activity(), runner)))
        pairs += similarity.pair_rows("cnn", given.digits.name, str(Mode.RECONCILED), found.layers)
    advance()
    if "braille" in tasks:
        yield "braille_rules", (braille.COLUMNS, list(braille.change_rows(tasks["braille"], runner)))
    advance()
    for task in tasks.values():
        for mode in (Mode.NATIVE, Mode.RECONCILED) if task.keep else ():
            layers = crossing.first_layers(found.crossed[task.name], mode)
            pairs += similarity.pair_rows(task.name, task.inputs.name, str(mode), layers)
    if paper is not None:
        # On a sample that is not available.
        layers = {name: (spikes[:, None] > 0).astype("uint8") for name, spikes in paper.braille_activity().items()}
        pairs += similarity.pair_rows("braille", "the paper's first test sample", "published", layers)
    yield "first_layers", (similarity.COLUMNS, pairs)


def _backends(options: PaperOptions) -> list[Backend]:
    """Those that are installed, or those of them that were asked for, with the reference.

    Raises BadInput for one that is not there.
    """
    installed = {each.name: each for each in backends() if each.installed}
    unknown = [name for name in options.libraries if name not in installed]
    if unknown:
        raise BadInput(f"--backend {unknown[0]}: not installed; there are {', '.join(installed)}")
    wanted = {*options.libraries, *OURS} if options.libraries else set(installed)
    return [each for name, each in installed.items() if name in wanted]


STUDY = Study(
    "nir_paper",
    "The paper's three tasks: what makes its platforms differ, and does anything differ once reconciled?",
    act,
    PaperOptions,
)
