"""What the arguments of both functions do, and what the imported model gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.nir_exchange import export_to_nir, import_from_nir
from torch import fx, nn

from nir_interop.graphs import digest, from_nir, read
from nir_interop.recording import Recording
from nir_interop_studies.spikingjelly_exchange.bench import (
    DT,
    IMPORTED,
    ORIGINAL,
    STEPS,
    Array,
    Bench,
    Trial,
    compared,
    recorded,
    verdict,
)
from nir_interop_studies.spikingjelly_exchange.nodes import LINE, affine, dense, lif
from nir_interop_studies.spikingjelly_exchange.running import (
    advanced,
    beside,
    crossed,
    imported,
    in_mode,
    native,
    seeded,
    stepped,
    taken,
)

HALF = STEPS // 2

MEASURES: dict[str, Callable[[Bench, str], Iterator[Trial]]] = {}
"""Key of a promise → what measures it."""


def _measures(promise: str) -> Callable[[Callable[[Bench], Iterator[Trial]]], None]:
    def keep(measure: Callable[[Bench], Iterator[Trial]]) -> None:
        MEASURES[promise] = lambda bench, _promise: measure(bench)

    return keep


def _net(bench: Bench, node: Callable[[], nn.Module] = neuron.LIFNode, mode: str = "s") -> nn.Module:
    """A dense layer and neurons; the same weights whatever the neurons."""
    return in_mode(seeded(nn.Sequential(layer.Linear(12, 20), node()), bench.numbers("arguments")), mode)


def _stimulus(bench: Bench) -> Array:
    return bench.stimulus("arguments", LINE)


def _step(bench: Bench) -> torch.Tensor:
    return torch.from_numpy(_stimulus(bench)[0])


def _written(bench: Bench) -> Path:
    path = bench.file()
    export_to_nir(_net(bench), _step(bench), save_path=path)
    return path


def _same(bench: Bench, name: str, makers: Mapping[str, Callable[[], Recording]], baseline: Recording | None = None) -> Trial:
    """Kept where every recording, by step mode, is the original's, or ``baseline``."""
    first = native(_net(bench), _stimulus(bench)) if baseline is None else baseline
    return verdict(name, ORIGINAL, {IMPORTED[mode]: bench.attempt(first, make) for mode, make in makers.items()})


def _told(name: str, said: bool, remark: str) -> Trial:
    return Trial(name, said, remark=remark)


@_measures("argument example_input")
def _example_input(bench: Bench) -> Iterator[Trial]:
    one, sequence = _step(bench), torch.from_numpy(_stimulus(bench))
    written = digest(from_nir(export_to_nir(_net(bench), one)))
    for name, mode, example in (("one step, batch of 1", "s", one[:1]), ("a sequence", "m", sequence)):
        same = digest(from_nir(export_to_nir(_net(bench, mode=mode), example))) == written
        yield _told(f"one step, batch of 4; {name}", same, "the same graph is exported")
    graph = export_to_nir(_net(bench).double(), one.double())
    found = next(node.weight.dtype for node in graph.nodes.values() if hasattr(node, "weight"))
    yield _told("float64", found == np.float64, f"weights of the graph are {found}")


@_measures("argument save_path")
def _save_path(bench: Bench) -> Iterator[Trial]:
    for name, kind in (("a str", str), ("a Path", Path)):
        path = bench.file()
        graph = export_to_nir(_net(bench), _step(bench), save_path=kind(path))
        same = path.is_file() and digest(read(path)) == digest(from_nir(graph))
        yield _told(name, same, "the file holds the graph that is returned")
    before = {*bench.folder.iterdir(), *Path().iterdir()}
    export_to_nir(_net(bench), _step(bench))
    yield _told("None", {*bench.folder.iterdir(), *Path().iterdir()} == before, "no file is written")


@_measures("argument dt of export")
def _dt_of_export(bench: Bench) -> Iterator[Trial]:
    for node in (neuron.LIFNode, neuron.IFNode, neuron.CUBALIFNode):
        yield crossed(bench, f"1e-3, {node.__name__}", _net(bench, node), _stimulus(bench), 1e-3)
    plain, given = (digest(from_nir(export_to_nir(_net(bench), _step(bench), **more))) for more in ({}, {"dt": 1e-4}))
    yield _told("none given", plain == given, "the graph is that of dt=1e-4")


@_measures("argument graph")
def _graph(bench: Bench) -> Iterator[Trial]:
    path, stimulus = _written(bench), _stimulus(bench)
    for name, given in (("a nir.NIRGraph", nir.read(path)), ("a str", str(path)), ("a Path", path)):
        yield _same(bench, name, {mode: partial(imported, given, stimulus, mode=mode) for mode in IMPORTED})


@_measures("argument dt of import")
def _dt_of_import(bench: Bench) -> Iterator[Trial]:
    stimulus, path = _stimulus(bench), _written(bench)
    for dt, tau in ((1e-3, 4e-3), (5e-5, 4 * DT)):
        yield taken(bench, f"{dt:g}", dense(lif(tau=tau), affine)(bench.numbers("dt")), stimulus, dt)
    yield _same(bench, "none given", {"s": partial(stepped, import_from_nir(path), stimulus)})


@_measures("argument dtype")
def _dtype(bench: Bench) -> Iterator[Trial]:
    path = _written(bench)
    for kind, cast in ((torch.float32, np.float32), (torch.float64, np.float64)):
        stimulus, name = _stimulus(bench).astype(cast), str(kind)
        model = import_from_nir(path, dtype=kind)
        kinds = {value.dtype for value in (*model.parameters(), *model.buffers(), model(torch.from_numpy(stimulus[0]))[0])}
        if kinds == {kind}:
            makers = {mode: partial(imported, path, stimulus, mode=mode, dtype=kind) for mode in IMPORTED}
            yield _same(bench, name, makers, native(_net(bench).to(kind), stimulus))
        else:
            yield _told(name, False, f"parameters and output are {', '.join(sorted(map(str, kinds)))}")


def _device(name: str, bench: Bench) -> Iterator[Trial]:
    path, stimulus = _written(bench), _stimulus(bench)
    where = {value.device.type for value in import_from_nir(path, device=name).parameters()}
    if where == {name}:
        yield _same(bench, name, {mode: partial(imported, path, stimulus, mode=mode, device=name) for mode in IMPORTED})
    else:
        yield _told(name, False, f"parameters are on {', '.join(sorted(where))}")


_measures("argument device cpu")(partial(_device, "cpu"))


@_measures("argument device cuda")
def _cuda(bench: Bench) -> Iterator[Trial]:
    if torch.cuda.is_available():
        yield from _device("cuda", bench)
    else:
        yield Trial("cuda", None, remark="this machine has no CUDA device")


@_measures("argument step_mode")
def _step_mode(bench: Bench) -> Iterator[Trial]:
    stimulus, path = _stimulus(bench), _written(bench)
    sides = beside(bench, native(_net(bench), stimulus), path, stimulus)
    for mode, side in IMPORTED.items():
        model = import_from_nir(path, step_mode=mode)
        modes = {module.step_mode for module in model.modules() if hasattr(module, "step_mode")}
        if modes == {mode}:
            yield verdict(repr(mode), ORIGINAL, sides, (side,))
        else:
            yield _told(repr(mode), False, f"the modules' step modes are {sorted(modes)}")


@_measures("result")
def _result(bench: Bench) -> Iterator[Trial]:
    model = import_from_nir(_written(bench))
    yield _told("its type", isinstance(model, fx.GraphModule), "an fx.GraphModule")
    found = model(_step(bench))
    yield _told("what it gives", isinstance(found, tuple) and len(found) == 2, "a tuple of two: the output and the state")


@_measures("result state None")
def _state_none(bench: Bench) -> Iterator[Trial]:
    model, stimulus = import_from_nir(_written(bench)), _stimulus(bench)
    stepped(model, stimulus)
    yield _same(bench, "after another sequence", {"s": partial(stepped, model, stimulus)})


@_measures("result state")
def _state(bench: Bench) -> Iterator[Trial]:
    path, stimulus = _written(bench), _stimulus(bench)
    single, multi = (import_from_nir(path, step_mode=mode) for mode in IMPORTED)

    def each_alone(run: Callable[[Array], Recording]) -> Recording:
        return recorded(np.concatenate([run(frame[None]).output for frame in stimulus]))

    yield _same(bench, "passed on, step by step", {"s": partial(stepped, single, stimulus)})
    yield _same(bench, "passed on, half of the sequence at a time", {"m": partial(_in_halves, multi, stimulus, "m")})
    makers = {"s": lambda: each_alone(partial(stepped, single))}
    yield _same(bench, "left out: every step is a first one", makers, each_alone(partial(native, _net(bench))))


def _in_halves(model: Any, stimulus: Array, mode: str, between: Callable[[Any], object] = lambda model: None) -> Recording:
    first, state = advanced(model, stimulus[:HALF], mode)
    between(model)
    return recorded(np.concatenate((first, advanced(model, stimulus[HALF:], mode, state)[0])))


@_measures("result explicit state")
def _explicit_state(bench: Bench) -> Iterator[Trial]:
    for mode, side in IMPORTED.items():
        model, stimulus = import_from_nir(_written(bench), step_mode=mode), _stimulus(bench)
        _, state = advanced(model, stimulus[:1], mode)
        once, twice = (stepped(model, stimulus[1:], mode, state) for _ in range(2))
        yield verdict(f"the same state given twice, {mode!r}", "the first time", {side: compared(once, twice)})


@_measures("result reset_net")
def _reset_net(bench: Bench) -> Iterator[Trial]:
    model, stimulus = import_from_nir(_written(bench)), _stimulus(bench)
    yield _same(bench, "called half way", {"s": partial(_in_halves, model, stimulus, "s", functional.reset_net)})
