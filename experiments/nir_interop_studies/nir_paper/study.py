"""The study from start to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nir_interop.backends.environments import Backend, backends
from nir_interop.errors import BadInput
from nir_interop.graphs import Array
from nir_interop.store.store import Store
from nir_interop.transfer.deployment import identifying
from nir_interop.vocabulary import CONTINUOUS, REFERENCE, Mode
from nir_interop_studies.common import Study
from nir_interop_studies.nir_paper import braille, cnn, crossing, figures, lif, report, similarity
from nir_interop_studies.nir_paper import substitute_networks as own
from nir_interop_studies.nir_paper.inputs import Held, letters, published_digits, test_recordings
from nir_interop_studies.nir_paper.paper import Paper, PaperOptions, find_paper
from nir_interop_studies.nir_paper.running import Runner, live_backend
from nir_interop_studies.progress import Progress
from nir_interop_studies.tables import write_table

Tables = dict[str, tuple[Sequence[str], list[dict[str, Any]]]]


@dataclass(frozen=True, eq=False)
class Given:
    """What the study runs on.

    paper : None where it is not there; then everything is our own
    digits : on which first layers of the published convolutional network are compared
    """

    paper: Paper | None
    digits: Held | None
    tasks: Mapping[str, crossing.Task]
    neuron: lif.Neuron
    traces: Mapping[str, Array]


@dataclass
class Found:
    """What the backends made of it, by backend or by task."""

    made: dict[str, lif.Made] = field(default_factory=dict)
    crossed: dict[str, list[crossing.Crossed]] = field(default_factory=dict)
    gains: list[dict[str, Any]] = field(default_factory=list)
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
    runner, found = Runner(options.work / "runs"), Found()
    # Of these nothing has to be found out first, so they run while the others' rules are.
    ours = [each for each in chosen if each.name in (CONTINUOUS, REFERENCE)]
    others = [each for each in chosen if each not in ours]
    total = sum(crossing.steps(task, chosen) for task in given.tasks.values())
    with progress.task("import, explain, rewrite, run", total) as advance:
        with identifying({}, [each.name for each in others], Store(options.store)) as wait:
            for each in ours:
                _backend(options, each, given, runner, found, advance)
            progress.say("waiting until the libraries' rules are known")
            wait()
        for each in others:
            _backend(options, each, given, runner, found, advance)
    tables = _tables(given, found, chosen, runner, progress)
    return _write(options, tables, given, found, chosen, lambda: time.perf_counter() - started)


def _given(options: PaperOptions, progress: Progress) -> Given:
    """What was published where it is there, networks of our own where not."""
    paper, recordings, read_letters = find_paper(options), test_recordings(options), letters(options)
    traces = {} if paper is None else paper.traces()
    if paper is None or read_letters is None:
        progress.say(f"without {report.absent(paper)}: networks of our own on the embedded digits as events")
    graphs, digits, tasks = options.out / "graphs", None, []
    if paper is not None:
        digits = published_digits(options, recordings)
        tasks.append(cnn.task_of(options, paper, recordings, digits))
    else:
        tasks.append(own.convolutional(options, graphs))
    if paper is not None and read_letters is not None:
        tasks.append(braille.task_of(paper, read_letters))
    else:
        tasks.append(own.recurrent(options, graphs))
    named = {task.name: task for task in tasks}
    if paper is None:
        neuron = own.neuron(options.seed)
        return Given(None, digits, named, neuron, own.traces(neuron))
    return Given(paper, digits, named, lif.published(paper), traces)


def _backend(
    options: PaperOptions, backend: Backend, given: Given, runner: Runner, found: Found, advance: Callable[[], None]
) -> None:
    """Everything of one backend, in one process of its own."""
    with live_backend(backend) as live:
        found.made[backend.name] = lif.run_backend(given.neuron, live)
        for task in given.tasks.values():
            crossed = crossing.cross(task, live, options.store, runner, options.out / "graphs", advance)
            found.crossed.setdefault(task.name, []).extend(crossed)
            if given.digits is not None and task.name == "cnn":
                found.gains += cnn.gain_rows(task, given.digits, live, options.store, runner)
                layer = cnn.first_spikes(task, given.digits, crossed, live, runner)
                if layer is not None:
                    found.layers[backend.name] = layer


def _tables(given: Given, found: Found, chosen: Sequence[Backend], runner: Runner, progress: Progress) -> Tables:
    versions = {each.name: each.version for each in chosen}
    rows = lif.backend_rows(given.neuron, given.traces, found.made, versions)
    tables: Tables = {"lif_backends": (lif.BACKEND_COLUMNS, list(rows))}
    for name, task in given.tasks.items():
        tables[name] = (crossing.COLUMNS, crossing.rows(task, found.crossed[name]))
    pairs: list[dict[str, Any]] = []
    with progress.task("single rules", 2) as advance:
        if given.paper is not None and given.digits is not None:
            exact = found.made.get(CONTINUOUS, lif.Made(None, None))
            accuracies = [*given.paper.cnn_accuracies(), *given.paper.braille_accuracies()]
            tables["published"] = (report.PUBLISHED_COLUMNS, list(report.published_rows(accuracies)))
            tables["lif_rules"] = (lif.RULE_COLUMNS, list(lif.rule_rows(given.neuron, given.traces, exact)))
            tables["cnn_gain"] = (cnn.GAIN_COLUMNS, found.gains)
            ruled = cnn.rule_rows(given.tasks["cnn"], given.digits, given.paper.speck_activity(), runner)
            tables["cnn_rules"] = (cnn.RULE_COLUMNS, list(ruled))
            pairs += similarity.pair_rows("cnn", given.digits.name, str(Mode.RECONCILED), found.layers)
        advance()
        if "braille" in given.tasks:
            tables["braille_rules"] = (braille.COLUMNS, list(braille.change_rows(given.tasks["braille"], runner)))
        advance()
    for task in given.tasks.values():
        for mode in (Mode.NATIVE, Mode.RECONCILED) if task.keep else ():
            layers = braille.first_layers(found.crossed[task.name], mode)
            pairs += similarity.pair_rows(task.name, task.inputs.name, str(mode), layers)
    tables["first_layers"] = (similarity.COLUMNS, [*pairs, *_published_pairs(given.paper)])
    return tables


def _backends(options: PaperOptions) -> list[Backend]:
    """Those that are installed, or those of them that were asked for, with the reference.

    Raises BadInput for one that is not there.
    """
    installed = {each.name: each for each in backends() if each.installed}
    unknown = [name for name in options.libraries if name not in installed]
    if unknown:
        raise BadInput(f"--backend {unknown[0]}: not installed; there are {', '.join(installed)}")
    wanted = {*options.libraries, "reference", CONTINUOUS} if options.libraries else set(installed)
    return [each for name, each in installed.items() if name in wanted]


def _published_pairs(paper: Paper | None) -> Iterable[dict[str, Any]]:
    """The paper's own first layers, on a sample that is not available."""
    if paper is None:
        return ()
    layers = {name: (spikes[:, None] > 0).astype("uint8") for name, spikes in paper.braille_activity().items()}
    return similarity.pair_rows("braille", "the paper's first test sample", "published", layers)


def _write(
    options: PaperOptions, tables: Tables, given: Given, found: Found, chosen: Sequence[Backend], seconds: Callable[[], float]
) -> list[Path]:
    written = [write_table(options.out / f"{name}.csv", columns, rows) for name, (columns, rows) in tables.items()]
    rows = {name: table for name, (_, table) in tables.items()}
    written += [
        figures.lif_traces(given.traces, found.made, options.out / "lif_traces.png"),
        figures.accuracies(rows, options.out / "accuracy.png"),
        figures.cosines(rows["first_layers"], options.out / "first_layers.png"),
    ]
    return [report.write_page(options, rows, chosen, given.digits, seconds()), *written]


STUDY = Study(
    "nir_paper",
    "The paper's three tasks: what makes its platforms differ, and does anything differ once reconciled?",
    act,
    PaperOptions,
)
