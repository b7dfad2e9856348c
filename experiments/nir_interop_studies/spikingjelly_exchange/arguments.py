"""What the arguments of both functions do, and what the imported model gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from numpy.typing import NDArray
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.nir_exchange import export_to_nir, import_from_nir
from torch import fx, nn

from nir_interop.graphs import digest, from_nir, read
from nir_interop.recording import Recording
from nir_interop.vocabulary import Stage
from nir_interop_studies.spikingjelly_exchange.bench import (
    DT,
    IMPORTED,
    ORIGINAL,
    STEPS,
    Bench,
    Case,
    compared,
    recorded,
    verdict,
)
from nir_interop_studies.spikingjelly_exchange.nodes import LINE, affine, chain, lif
from nir_interop_studies.spikingjelly_exchange.running import (
    beside,
    crossed,
    imported,
    native,
    seeded,
    set_mode,
    stepped,
    taken,
)

Array = NDArray[Any]
Measure = Callable[[Bench], Iterator[Case]]


def _net(bench: Bench, node: Callable[[], nn.Module] = neuron.LIFNode, mode: str = "s") -> nn.Module:
    """A dense layer and neurons; the same weights whatever the neurons."""
    return set_mode(seeded(nn.Sequential(layer.Linear(12, 20), node()), bench.numbers("arguments")), mode)


def _stimulus(bench: Bench) -> Array:
    return bench.stimulus("arguments", LINE)


def _written(bench: Bench) -> Path:
    path = bench.file()
    export_to_nir(_net(bench), torch.from_numpy(_stimulus(bench)[0]), save_path=path)
    return path


def _same(bench: Bench, name: str, makers: Mapping[str, Callable[[], Recording]], baseline: Recording | None = None) -> Case:
    """Kept where every recording is the original's, or ``baseline``."""
    first = native(_net(bench), _stimulus(bench)) if baseline is None else baseline
    sides = {side: bench.attempt(first, Stage.RUN, make) for side, make in makers.items()}
    return verdict(name, ORIGINAL, sides, tuple(sides))


def _told(name: str, said: bool, remark: str) -> Case:
    return Case(name, said, remark=remark)


def _example_input(bench: Bench) -> Iterator[Case]:
    stimulus = _stimulus(bench)
    digests = {}
    for name, mode, example in (
        ("one step, batch of 4", "s", stimulus[0]),
        ("one step, batch of 1", "s", stimulus[0, :1]),
        ("a sequence", "m", stimulus),
    ):
        digests[name] = digest(from_nir(export_to_nir(_net(bench, mode=mode), torch.from_numpy(example))))
    first, *others = digests
    for other in others:
        yield _told(f"{first}; {other}", digests[other] == digests[first], "the same graph is exported")
    graph = export_to_nir(_net(bench).double(), torch.from_numpy(stimulus[0].astype(np.float64)))
    found = next(node.weight.dtype for node in graph.nodes.values() if hasattr(node, "weight"))
    yield _told("float64", found == np.float64, f"weights of the graph are {found}")


def _save_path(bench: Bench) -> Iterator[Case]:
    stimulus = _stimulus(bench)
    for kind in (str, Path):
        path = bench.file()
        graph = export_to_nir(_net(bench), torch.from_numpy(stimulus[0]), save_path=kind(path))
        same = path.is_file() and digest(read(path)) == digest(from_nir(graph))
        yield _told("a str" if kind is str else "a Path", same, "the file holds the graph that is returned")
    before = set(bench.folder.iterdir()) | set(Path().iterdir())
    export_to_nir(_net(bench), torch.from_numpy(stimulus[0]))
    left = set(bench.folder.iterdir()) | set(Path().iterdir())
    yield _told("None", left == before, "no file is written")


def _dt_of_export(bench: Bench) -> Iterator[Case]:
    nodes: tuple[Callable[[], nn.Module], ...] = (neuron.LIFNode, neuron.IFNode, neuron.CUBALIFNode)
    for node in nodes:
        name = f"1e-3, {getattr(node, '__name__', '')}"
        yield crossed(bench, name, _net(bench, node), _stimulus(bench), 1e-3)
    example = torch.from_numpy(_stimulus(bench)[0])
    graphs = [from_nir(export_to_nir(_net(bench), example, **given)) for given in ({}, {"dt": 1e-4})]
    yield _told("none given", digest(graphs[0]) == digest(graphs[1]), "the graph is that of dt=1e-4")


def _graph(bench: Bench) -> Iterator[Case]:
    path, stimulus = _written(bench), _stimulus(bench)
    for name, given in (("a nir.NIRGraph", nir.read(path)), ("a str", str(path)), ("a Path", path)):
        yield _same(bench, name, {side: partial(imported, given, stimulus, DT, mode) for mode, side in IMPORTED.items()})


def _dt_of_import(bench: Bench) -> Iterator[Case]:
    stimulus = _stimulus(bench)
    for dt in (1e-3, 5e-5):
        graph = chain(LINE, (20,), affine(bench.numbers("dt")), lif(tau=4e-3 if dt > DT else 4 * DT))
        yield taken(bench, f"{dt:g}", graph, stimulus, dt)
    path = _written(bench)
    model = import_from_nir(path)
    yield _same(bench, "none given", {IMPORTED["s"]: lambda: stepped(model, stimulus)})


def _dtype(bench: Bench) -> Iterator[Case]:
    path = _written(bench)
    for name, kind, cast in (("torch.float32", torch.float32, np.float32), ("torch.float64", torch.float64, np.float64)):
        stimulus = _stimulus(bench).astype(cast)
        model = import_from_nir(path, dtype=kind)
        kinds = {value.dtype for value in (*model.parameters(), *model.buffers(), model(torch.from_numpy(stimulus[0]))[0])}
        if kinds != {kind}:
            yield _told(name, False, f"parameters and output are {', '.join(sorted(map(str, kinds)))}")
            continue
        yield _same(
            bench, name,
            {side: partial(imported, path, stimulus, DT, mode, dtype=kind) for mode, side in IMPORTED.items()},
            native(_net(bench).to(kind), stimulus),
        )  # fmt: skip


def _device(name: str) -> Measure:
    def measure(bench: Bench) -> Iterator[Case]:
        if name == "cuda" and not torch.cuda.is_available():
            yield Case(name, None, remark="this machine has no CUDA device")
            return
        path, stimulus = _written(bench), _stimulus(bench)
        model = import_from_nir(path, device=name)
        where = {value.device.type for value in model.parameters()}
        if where != {name}:
            yield _told(name, False, f"parameters are on {', '.join(sorted(where))}")
            return
        makers = {
            side: partial(_on, name, import_from_nir(path, device=name, step_mode=mode), stimulus, mode)
            for mode, side in IMPORTED.items()
        }
        yield _same(bench, name, makers)

    return measure


def _on(device: str, model: Any, stimulus: Array, mode: str) -> Recording:
    frames, state, outputs = torch.from_numpy(stimulus).to(device), None, []
    with torch.no_grad():
        if mode == "m":
            return recorded(model(frames)[0].cpu().numpy())
        for frame in frames:
            one, state = model(frame, state)
            outputs.append(one)
    return recorded(torch.stack(outputs).cpu().numpy())


def _step_mode(bench: Bench) -> Iterator[Case]:
    net, stimulus, path = _net(bench), _stimulus(bench), _written(bench)
    baseline = native(net, stimulus)
    sides = beside(bench, baseline, path, stimulus, DT)
    for mode, side in IMPORTED.items():
        model = import_from_nir(path, step_mode=mode)
        modes = {module.step_mode for module in model.modules() if hasattr(module, "step_mode")}
        if modes != {mode}:
            yield _told(repr(mode), False, f"the modules' step modes are {sorted(modes)}")
            continue
        yield verdict(repr(mode), ORIGINAL, sides, (side,))


def _result(bench: Bench) -> Iterator[Case]:
    model = import_from_nir(_written(bench))
    yield _told("its type", isinstance(model, fx.GraphModule), "an fx.GraphModule")
    found = model(torch.from_numpy(_stimulus(bench)[0]))
    yield _told("what it gives", isinstance(found, tuple) and len(found) == 2, "a tuple of two: the output and the state")


def _state_none(bench: Bench) -> Iterator[Case]:
    model, stimulus = import_from_nir(_written(bench)), _stimulus(bench)
    stepped(model, stimulus)
    yield _same(bench, "after another sequence", {IMPORTED["s"]: lambda: stepped(model, stimulus)})


def _state(bench: Bench) -> Iterator[Case]:
    path, stimulus, half = _written(bench), _stimulus(bench), STEPS // 2
    single, multi = (import_from_nir(path, step_mode=mode) for mode in ("s", "m"))
    yield _same(bench, "passed on, step by step", {IMPORTED["s"]: lambda: stepped(single, stimulus)})

    def halves() -> Recording:
        first, state = multi(torch.from_numpy(stimulus[:half]))
        second, _ = multi(torch.from_numpy(stimulus[half:]), state)
        return recorded(torch.cat((first, second)).detach().numpy())

    yield _same(bench, "passed on, half of the sequence at a time", {IMPORTED["m"]: halves})
    forgotten = np.concatenate([native(_net(bench), frame[None]).output for frame in stimulus])
    yield _same(
        bench, "left out: every step is a first one",
        {IMPORTED["s"]: lambda: recorded(np.concatenate([stepped(single, frame[None]).output for frame in stimulus]))},
        recorded(forgotten),
    )  # fmt: skip


def _explicit_state(bench: Bench) -> Iterator[Case]:
    for mode, side in IMPORTED.items():
        model, stimulus = import_from_nir(_written(bench), step_mode=mode), _stimulus(bench)
        with torch.no_grad():
            _, state = model(torch.from_numpy(stimulus[0] if mode == "s" else stimulus[:1]))
            once, twice = (stepped(model, stimulus[1:], mode, state) for _ in range(2))
        sides = {side: compared(once, twice)}
        yield verdict(f"the same state given twice, {mode!r}", "the first time", sides, (side,))


def _reset_net(bench: Bench) -> Iterator[Case]:
    model, stimulus = import_from_nir(_written(bench)), _stimulus(bench)
    half = STEPS // 2

    def interrupted() -> Recording:
        outputs, state = [], None
        with torch.no_grad():
            for step, frame in enumerate(torch.from_numpy(stimulus)):
                if step == half:
                    functional.reset_net(model)
                one, state = model(frame, state)
                outputs.append(one)
        return recorded(torch.stack(outputs).numpy())

    yield _same(bench, "called half way", {IMPORTED["s"]: interrupted})


_BY_PROMISE: Mapping[str, Measure] = {
    "argument example_input": _example_input,
    "argument save_path": _save_path,
    "argument dt of export": _dt_of_export,
    "argument graph": _graph,
    "argument dt of import": _dt_of_import,
    "argument dtype": _dtype,
    "argument device cpu": _device("cpu"),
    "argument device cuda": _device("cuda"),
    "argument step_mode": _step_mode,
    "result": _result,
    "result state None": _state_none,
    "result state": _state,
    "result explicit state": _explicit_state,
    "result reset_net": _reset_net,
}
"""Key of a promise → what measures it."""

MEASURES = {name: (lambda bench, _name, measure=measure: measure(bench)) for name, measure in _BY_PROMISE.items()}
