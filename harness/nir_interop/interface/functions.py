r"""Check, explain, reconcile, upgrade, simulate, and what is known of backends: what a user and the command line call.

Common to all: a graph is the path of a ``.nir`` file or a ``nir.NIRGraph``; an input is a NumPy array or a torch tensor of real
numbers, axes (T, B, \*shape), or the path of an npz file that holds one under ``input``; of several Inputs it is a mapping or a
file with an array for each by its name; without one a seeded set of inputs is made for the graph; ``dt`` is a step in seconds.
Libraries run in processes of their own.  What goes wrong raises an exception of :mod:`nir_interop.errors`, in one line.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nir_interop.backends.environments import installed
from nir_interop.errors import BadInput
from nir_interop.interface.arguments import (
    MOST_JOBS,
    MOST_SEED,
    check_limit,
    check_step,
    check_whole,
    graph_file,
    inputs_given,
    inputs_of,
    memory,
    names_in,
    notes_of,
    output_of,
    path_of,
    renamed_of,
    store_of,
    untold,
)
from nir_interop.interface.places import check_folder
from nir_interop.interface.results import Backends, Check, Explanation, Reconciliation, Rules, Upgrade, quiet_hint
from nir_interop.printable import path_word, printable
from nir_interop.vocabulary import CONTINUOUS, REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nir_interop.backends.own_modules import Run
    from nir_interop.interface.arguments import GivenArray, GivenGraph, GivenInput, GivenPath, Tell
    from nir_interop.interface.transfers import Transfer
    from nir_interop.recording import Recording
    from nir_interop.transfer.check import Checked
    from nir_interop.transfer.own_modules import Moved

DT = 1e-4
"""The step [s] where none is asked for."""
LIMIT = 20.0
"""Seconds that one run of a library may take where nothing is asked for."""


def check(
    graph: GivenGraph,
    *,
    input: GivenInput | None = None,
    dt: float = DT,
    backends: Iterable[str] | None = None,
    seed: int = 0,
    jobs: int = 0,
    store: GivenPath | None = None,
    time_limit: float = LIMIT,
    memory_limit: float | None = None,
    save: GivenPath | None = None,
    tell: Tell = untold,
    answered: Callable[[Checked], object] = untold,
) -> Check:
    r"""Run a graph in every library, and compare each with NIR's own meaning in steps.

    graph : path of a ``.nir`` file, or a ``nir.NIRGraph``
    input : axes (T, B, \*shape), of several Inputs name → such an array; by default a seeded set made to show differences
    dt : the step [s]
    backends : names; by default every installed one
    seed : of the inputs that are made
    jobs : worker processes at a time; 0 for one a core
    store : where what is known is kept; by default ``NIR_INTEROP_STORE``, else ``.nir-interop``
    time_limit : seconds that one run may take
    memory_limit : GiB that one run may hold; by default ``NIR_INTEROP_MEMORY_LIMIT``, else 1
    save : a folder for the recordings, an npz each
    tell : told each line about how the graph was read, as soon as it is known
    answered : told what each backend made of the graph as soon as that is known, of the reference first

    Returns what each backend made of it, by name: its ``status``, ``mismatched`` of ``outputs``, ``recording``, ``error``.

    Raises BadInput (UnreadableGraph, InvalidGraph, BadStimulus, UnknownName), TooSlow, BackendMissing and OwnFailure.

    >>> import nir_interop as ni
    >>> checked = ni.check(graph, backends=["norse", "snntorch"])
    >>> checked["snntorch"].status, checked["snntorch"].mismatched
    (<Status.EXACT: 'exact'>, 0)
    >>> int((checked["norse"].recording.output != checked.meant.output).sum()) == checked["norse"].mismatched
    True
    """
    from nir_interop.backends.environments import backend  # fmt: skip
    from nir_interop.backends.environments import backends as every
    from nir_interop.workers.fork_server import fork_server

    check_step(dt)
    names, known = _names(backends), {each.name: each for each in every()}
    asked = known if names is None else {name: known.get(name) or backend(name) for name in names}
    chosen = [each for each in asked.values() if names is not None or each.installed]
    reference = known.get(REFERENCE) or backend(REFERENCE)
    folder = _folder(save)
    most = check_whole(jobs, "jobs", 0, MOST_JOBS) or os.cpu_count() or 1
    with _called(graph, seed, time_limit, memory_limit) as file, fork_server([*chosen, reference]) as server:
        from nir_interop.transfer.check import Recordings, run_graph  # while the server imports

        inputs = inputs_given(file, input, dt, time_limit=time_limit, tell=tell)
        kept = Recordings()
        found = run_graph(
            file, None if inputs is None else inputs.input, dt, chosen, reference, store_of(store), jobs=most,
            time_limit=time_limit, seed=seed, save=folder, kept=kept, server=server, answered=answered,
        )  # fmt: skip
        inputs, meant = inputs or kept.inputs, kept.of(REFERENCE)
        assert inputs is not None and meant is not None, "run_graph raises where the reference gives nothing"
        name = str(file) if isinstance(graph, (str, os.PathLike)) else file.name
        read_as, renamed = tuple(notes_of(file)), renamed_of(file)
        return Check(name, dt, inputs, tuple(found), meant, read_as, renamed, _upgrading(graph, file))


def explain(
    graph: GivenGraph,
    *,
    backend: str,
    input: GivenInput | None = None,
    dt: float = DT,
    seed: int = 0,
    store: GivenPath | None = None,
    time_limit: float = LIMIT,
    memory_limit: float | None = None,
    tell: Tell = untold,
) -> Explanation:
    r"""Run a graph in one library, and say who makes it differ from NIR's own meaning in steps, and why.

    graph : path of a ``.nir`` file, or a ``nir.NIRGraph``
    backend : the library's name
    input : axes (T, B, \*shape), of several Inputs name → such an array; by default a seeded set made to show differences
    dt : the step [s]
    seed : of the inputs that are made
    store : where what is known is kept; by default ``NIR_INTEROP_STORE``, else ``.nir-interop``
    time_limit : seconds that one run may take
    memory_limit : GiB that one run may hold; by default ``NIR_INTEROP_MEMORY_LIMIT``, else 1
    tell : told each line about how the graph was read, as soon as it is known

    The first call probes the library, which takes some seconds; what is found is kept in the store.

    Returns ``status``, ``blame``, ``causes`` and ``text``, with both recordings.

    Raises BadInput (UnreadableGraph, InvalidGraph, BadStimulus, UnknownName), TooSlow, BackendMissing and OwnFailure.

    >>> import nir_interop as ni
    >>> why = ni.explain(graph, backend="norse")
    >>> why.blame, [(cause.cause, cause.nodes) for cause in why.causes]
    (<Blame.IMPORTER: 'importer'>, [(<Cause.RESISTANCE_IGNORED: 'resistance_ignored'>, ('lif1',))])
    >>> why.text.splitlines()[1]
    'Blame: importer (the importer changed the meaning).'
    """
    from nir_interop.backends.environments import backend as find
    from nir_interop.workers.fork_server import fork_server

    check_step(dt)
    (chosen,) = installed([backend])
    reference = find(REFERENCE)
    with _called(graph, seed, time_limit, memory_limit) as file, fork_server([chosen, reference]) as server:
        from nir_interop.report.explanation import command_of, paragraphs  # while the server imports
        from nir_interop.transfer.graph_explanation import explain_graph
        from nir_interop.vocabulary import Status

        inputs = inputs_of(file, input, dt, seed, time_limit=time_limit, tell=tell)
        options: dict[str, Any] = {"time_limit": time_limit, "seed": seed, "server": server}
        found = explain_graph(file, inputs.input, dt, chosen, reference, store_of(store), **options)
        fed = Path(input) if isinstance(input, (str, os.PathLike)) else None
        if isinstance(graph, (str, os.PathLike)) and (input is None or fed is not None):
            command = command_of(chosen.name, file, dt, fed)
        else:
            step = "" if dt == DT else f", dt={dt:g}"
            command = f"nir_interop.reconcile(graph, to={chosen.name!r}{'' if input is None else ', input=input'}{step})"
        said = [*paragraphs(found, file.name, command, _upgrading(graph, file)), f"On {inputs.text}."]
        hint = quiet_hint(inputs, found.verdict.status is Status.VACUOUS)
        lines = "\n".join([*said, *filter(None, [hint])]).split("\n")
        return Explanation(found, inputs, "\n".join(map(printable, lines)), renamed_of(file))


def reconcile(
    graph: GivenGraph,
    *,
    to: str,
    source: str = "nir",
    input: GivenInput | None = None,
    output: GivenArray | None = None,
    rule: str = "",
    dt: float = DT,
    dt_from: float | None = None,
    dt_to: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    store: GivenPath | None = None,
    time_limit: float = LIMIT,
    memory_limit: float | None = None,
    tell: Tell = untold,
    progress: Tell = untold,
) -> Reconciliation:
    r"""Rewrite a graph so that a library's own importer computes what the source computed.

    graph : path of a ``.nir`` file, or a ``nir.NIRGraph``
    to : the library that is to run it
    source : the library whose importer has it right; ``nir`` for NIR's own meaning
    input : axes (T, B, \*shape), of several Inputs name → such an array; by default a seeded set made to show differences
    output : what the source computed for this input, axes (T, B, \*shape) or (T, B, n); a path is an npz file with ``output``
    rule : a source of ``axis=value`` pairs instead: ``reset=subtract,timing=late``
    dt, dt_from, dt_to : the step [s] of both sides, of the source where it is another, and of the target
    steps : of the inputs that are made, if not as the graph suggests
    seed : of the inputs that are made
    store : where what is known is kept; by default ``NIR_INTEROP_STORE``, else ``.nir-interop``
    time_limit : seconds that one run may take
    memory_limit : GiB that one run may hold; by default ``NIR_INTEROP_MEMORY_LIMIT``, else 1
    tell : told each line about how the graph was read, as soon as it is known
    progress : told what takes some seconds, before it begins

    Returns ``graph``, ``passes``, ``exact``, ``right`` and ``remaining``; ``write(path)`` writes the file.

    Raises BadInput (UnreadableGraph, InvalidGraph, BadStimulus, UnknownName), TooSlow, BackendMissing and OwnFailure.  That a
    graph cannot be reconciled raises nothing until its ``graph`` is asked for.

    >>> import nir_interop as ni
    >>> fixed = ni.reconcile(graph, to="norse")
    >>> fixed.right, [each.name for each in fixed.passes], fixed.remaining
    (True, ['fold_resistance'], ())
    >>> type(fixed.graph).__name__, ni.check(fixed.graph, backends=["norse"]).agrees
    ('NIRGraph', True)
    """
    from nir_interop.backends.environments import backends as every
    from nir_interop.recording import Recording
    from nir_interop.transfer.reconciling import NIR, reconcile_graph, side_from_rule, side_of
    from nir_interop.transfer.source_reading import natives_of

    before = check_step(dt) if dt_from is None else check_step(dt_from, "dt_from")
    after = check_step(dt) if dt_to is None else check_step(dt_to, "dt_to")
    known = {each.name: each for each in every()}
    installed([to, *([] if source == NIR else [source])])
    if output is not None and input is None:
        raise BadInput("output: that is of an input; give both")
    if steps is not None:
        check_whole(steps, "steps", 1)
    cells = store_of(store)
    with _called(graph, seed, time_limit, memory_limit) as file:
        inputs = inputs_of(file, input, before, seed, steps, time_limit=time_limit, tell=tell)
        wanted = Recording({"output": output_of(output, inputs.input)}) if output is not None else None
        left = side_from_rule(rule, before) if rule else side_of(source, before, cells, known)
        right = side_of(to, after, cells, known)
        natives = natives_of(known.values(), cells, progress)
        options: dict[str, Any] = {"wanted": wanted, "natives": natives, "limit": time_limit}
        found = reconcile_graph(file, inputs.input, left, right, known[to], **options)
        given = file if isinstance(graph, (str, os.PathLike)) else None
        return Reconciliation(found, inputs, given, frozenset(names_in(file)), tuple(notes_of(file)))


def upgrade(
    graph: GivenGraph,
    *,
    input: GivenInput | None = None,
    dt: float = DT,
    seed: int = 0,
    time_limit: float = LIMIT,
    memory_limit: float | None = None,
) -> Upgrade:
    r"""Write a graph as today's NIR has it, so that nir.read and the libraries' importers take it; what it computes stays.

    graph : path of a ``.nir`` file of any version of NIR, or a ``nir.NIRGraph``
    input : axes (T, B, \*shape), on which old and new are compared; by default a seeded set of inputs made for the graph
    dt : the step [s] at which they are
    seed : of the inputs that are made
    time_limit : seconds that a run may be expected to take most of
    memory_limit : GiB that a run may hold; by default ``NIR_INTEROP_MEMORY_LIMIT``, else 1

    Returns ``changes``, a line each, and ``graph``; ``write(path)`` writes the file.  The reference has run both, and every
    output, spike and membrane is the same, bit for bit.

    Raises BadInput (UnreadableGraph, InvalidGraph, BadStimulus), TooSlow and OwnFailure.

    >>> import nir_interop as ni
    >>> new = ni.upgrade(graph)
    >>> [each.text for each in new.changes], new.readable
    ([], True)
    """
    from nir_interop.transfer.upgrading import upgrade_graph

    check_step(dt)
    with _called(graph, seed, time_limit, memory_limit) as file:
        inputs = inputs_of(file, input, dt, seed, time_limit=time_limit / 2)
        given = file if isinstance(graph, (str, os.PathLike)) else None
        return Upgrade(upgrade_graph(file, inputs.input, dt), inputs, given)


def simulate(
    graph: GivenGraph,
    input: GivenInput | None = None,
    *,
    dt: float = DT,
    seed: int = 0,
    time_limit: float = LIMIT,
    memory_limit: float | None = None,
    tell: Tell = untold,
) -> Recording:
    r"""What NIR means by a graph in steps: the reference's recording, made in this process.

    graph : path of a ``.nir`` file, or a ``nir.NIRGraph``
    input : axes (T, B, \*shape), of several Inputs name → such an array; by default a seeded set that is made for the graph
    dt : the step [s]
    seed : of the inputs that are made
    time_limit : seconds that the run may be expected to take most of
    memory_limit : GiB that the run may hold; by default ``NIR_INTEROP_MEMORY_LIMIT``, else 1
    tell : told each line about how the graph was read

    Returns ``outputs`` by Output node, ``spikes`` and ``membranes`` [V] by neuron, axes (T, B, \*shape), and ``output``, all
    outputs side by side, (T, B, n).  Membranes are those of :func:`check` to the last bits, which this processor may round
    otherwise.

    Raises BadInput (UnreadableGraph, InvalidGraph, BadStimulus) and TooSlow.

    >>> import nir_interop as ni
    >>> recording = ni.simulate(graph, x)
    >>> x.shape, recording.output.shape, recording.spikes["lif1"].shape
    ((100, 4, 8), (100, 4, 4), (100, 4, 4))
    """
    check_step(dt)
    with _called(graph, seed, time_limit, memory_limit) as file:
        from nir_interop.graphs import read_corrected
        from nir_interop.reference import Simulator

        inputs = inputs_of(file, input, dt, seed, time_limit=time_limit, tell=tell)
        return Simulator(read_corrected(file)[0], dt).run(inputs.input)[0]


def transfer(
    module: Any,
    sample: Any = None,
    *,
    to: str | Iterable[str],
    input: GivenArray | None = None,
    labels: Any = None,
    run: Run | str | None = None,
    dt: float | None = None,
    weights: GivenPath | None = None,
    source: str | None = None,
    seed: int = 0,
    store: GivenPath | None = None,
    time_limit: float = LIMIT,
    memory_limit: float | None = None,
    progress: Tell = untold,
    moved: Callable[[Moved], None] = lambda one: None,
) -> Transfer:
    r"""Move a network that was trained in one library to others, so that they compute what it computes.

    module : the live torch module, which is left as it was; or ``file.py:name`` of one in a Python file, which a process of its
        library's runs (``name`` may be a function or class that makes it)
    sample : one step of input, axes (B, \*shape), with which it is exported; by default of ``input``
    to : the libraries
    input : the user's own input, axes (T, B, \*shape), on which every target is checked besides the inputs that are made
    labels : the right class of each of its samples, (B,): accuracies are given, too
    run : how the module is run, where it is run as none of its library's users runs one: ``run(module, x)`` with x of axes
        (T, B, \*shape) → output of axes (T, B, …); of a module in a file, the name of such a function there
    dt : the step [s] that it is meant at; by default what its library means by it
    weights : of a module in a file: its ``state_dict``, loaded as weights only
    source : of a module in a file: its library, where the file imports several
    seed : of the inputs that are made
    store : where what is known is kept; by default ``NIR_INTEROP_STORE``, else ``.nir-interop``
    time_limit : seconds that one run may take
    memory_limit : GiB that one run may hold; by default ``NIR_INTEROP_MEMORY_LIMIT``, else 1
    progress : told what takes some seconds, before it begins
    moved : told each target as it is done

    Returns each target by name: ``right``, ``status``, ``passes``, ``write(path)``, and ``model``, the library's own module.

    Raises BadInput (BadStimulus, UnknownName), CannotRecord where no known way of running the module gives an output for each
    step, NotExpressible where NIR has no words for it, TooSlow, BackendMissing and RunFailed.

    >>> import nir_interop as ni
    >>> found = ni.transfer(net, sample, to=["norse"])
    >>> found["norse"].right, found.exported_by
    (True, 'nir-interop')
    """
    import tempfile

    from nir_interop.backends.environments import backends as every
    from nir_interop.interface.arguments import given_input, given_labels
    from nir_interop.interface.transfers import Transfer
    from nir_interop.transfer.own_modules import moved as moved_to
    from nir_interop.transfer.own_modules import understand
    from nir_interop.transfer.source_reading import natives_of
    from nir_interop.transfer.user_modules import FileModule, LiveModule, as_sample, library_in, library_of
    from nir_interop.workers.live import LiveBackend
    from nir_interop.workers.scheduler import TIME_LIMIT

    if dt is not None:
        check_step(dt)
    check_whole(seed, "seed", 0, MOST_SEED)
    check_limit(time_limit)
    targets = installed([to] if isinstance(to, str) else list(to))
    if not targets:
        raise BadInput("to: name at least one library")
    stimulus = None if input is None else given_input(input)
    if sample is None and stimulus is None:
        raise BadInput("sample: give one step of input, axes (B, *shape), or an input")
    given = as_sample(sample if sample is not None or stimulus is None else stimulus[0, :1])
    if stimulus is not None and stimulus.shape[2:] != given.shape[1:]:
        raise BadInput(f"input: a sample has axes {given.shape[1:]}, the input's {stimulus.shape[2:]}; give the same")
    known = {each.name: each for each in every()}
    cells = store_of(store)
    options: dict[str, Any] = {"dt": dt, "input": stimulus, "seed": seed, "time_limit": time_limit}
    options["natives"] = natives_of(known.values(), cells, progress)
    right = given_labels(labels, stimulus)
    with memory(memory_limit), tempfile.TemporaryDirectory(prefix="nir-interop-") as temporary:
        folder = Path(temporary)
        if isinstance(module, (str, os.PathLike)):
            file, _, name = os.fspath(module).rpartition(":")
            if not file or not name:
                raise BadInput(f"{printable(os.fspath(module))}: give FILE.py:NAME, the name of the module in the file")
            library = library_in(Path(file), known) if source is None else installed([source])[0]
            with LiveBackend(library, limit=time_limit, seed=seed, option=TIME_LIMIT) as live:
                held = None if weights is None else path_of(weights)
                there = FileModule(live, Path(file), name, held, given, folder, str(run or ""))
                found = understand(there, library, cells, folder=folder, **options)
        else:
            adapter = library_of(module)
            if run is not None and not callable(run):
                raise BadInput("run: give a function run(module, x) → output with axes (T, B, …)")
            here = LiveModule(adapter, module, given, run)
            found = understand(here, known[adapter.name], cells, folder=folder, **options)
        done = moved_to(found, targets, cells, known, labels=right, time_limit=time_limit, progress=progress, told=moved)
    return Transfer(found, done)


def rules(*backends: str, store: GivenPath | None = None) -> Rules:
    """The update rules of backends, identified by probing them: how their importers and their own neurons step.

    backends : names; by default every installed one that does not live apart, continuous time aside
    store : where what is known is kept; by default ``NIR_INTEROP_STORE``, else ``.nir-interop``

    The first call for a library takes some seconds to a minute; what is found is kept in the store.

    Returns fingerprints, with ``text``, ``to_dict()`` and ``to_frame()``.

    Raises UnknownName, and BackendMissing for one that is not installed.

    >>> import nir_interop as ni
    >>> found = ni.rules("norse").to_dict()["norse"]["import"]["LIF"]
    >>> found["resistance"], found["timing"]
    ('ignored', 'same_step')
    """
    from nir_interop.backends.environments import backends as every
    from nir_interop.transfer.descriptions import described
    from nir_interop.transfer.fingerprints import LIMIT, import_fingerprint, native_neurons
    from nir_interop.workers.live import LiveBackend

    usual = [each for each in every() if each.installed and not each.apart and each.name != CONTINUOUS]
    chosen = installed(backends) if backends else usual
    cells = store_of(store)
    found, own_importers = [], set()
    for each in chosen:
        with LiveBackend(each, limit=LIMIT) as live:
            if not described(each, cells, live).ships_importer:
                own_importers.add(each.name)
            imported = import_fingerprint(each, cells, live=live)
            own = [native_neurons(each, cells, recurrent=recurrent, live=live).fingerprints for recurrent in (False, True)]
        found += [(each.version, fingerprint) for fingerprint in (imported, *own[0], *own[1])]
    return Rules(tuple(found), frozenset(own_importers))


def backends() -> Backends:
    """Every backend that there is an adapter for, with its versions and whether it is installed; no library is imported.

    Returns them sorted by name; ``backends()["norse"]`` is one of them.

    >>> import nir_interop as ni
    >>> [each.name for each in ni.backends() if each.installed]
    ['exact', 'norse', 'reference', 'snntorch', 'spikingjelly']
    """
    from nir_interop.backends.environments import backends as every

    return Backends(every())


def _upgrading(graph: GivenGraph, file: Path) -> str:
    """What writes a graph as today's NIR."""
    if isinstance(graph, (str, os.PathLike)):
        return f"nir-interop upgrade {path_word(file)} -o NEW.nir"
    return "nir_interop.upgrade(graph)"


def _names(backends: Iterable[str] | None) -> list[str] | None:
    """Names of backends, each once; one name alone is one name."""
    if backends is None:
        return None
    names = [backends] if isinstance(backends, str) else list(dict.fromkeys(backends))
    if not names:
        raise BadInput("backends: none is named; leave it out for every installed one")
    return names


def _folder(save: GivenPath | None) -> Path | None:
    if save is None:
        return None
    folder = path_of(save)
    check_folder(folder, "save")
    return folder


@contextmanager
def _called(graph: GivenGraph, seed: int, time_limit: float, memory_limit: float | None) -> Iterator[Path]:
    """The file of a graph, with what a run may take being in force."""
    check_whole(seed, "seed", 0, MOST_SEED)
    check_limit(time_limit)
    with memory(memory_limit), graph_file(graph) as file:
        yield file
