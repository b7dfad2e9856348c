"""How a user's module is run: found by what its neurons do in trial runs, not by names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nir_interop.backends.own_modules import Run
from nir_interop.errors import CannotRecord, NirInteropError
from nir_interop_adapters.own_library import OwnLibrary, layers_in, neurons_in

Array = NDArray[Any]
GIVE = "give run, a function of the module and of the input, axes (T, B, *shape), that returns the output, axes (T, B, *shape)"

STEPS, WHOLE, FRAME = "step by step", "whole sequence", "one frame"
"""Time is outside of the module; in it; or the module repeats its one frame."""


@dataclass(frozen=True, eq=False)
class Way:
    """One way of running a module.

    name : STEPS, WHOLE or FRAME, or that it is as was asked
    run : (module, input with axes (T, B, \\*shape)) → what the module returns, over time where it gives that
    steps : how many it runs at most, where its own code says that
    notes : what a reader should know of it
    """

    name: str
    run: Run
    steps: int | None = None
    notes: tuple[str, ...] = ()


@dataclass
class _Seen:
    """What neurons did in a trial, by path.

    calls : shapes of what they were given, in order of the first call; given, returned : which states and what came back
    handed : which states the module itself was handed; result : what it gave; last : what the layer gave that was called last
    """

    calls: dict[str, list[tuple[int, ...]]] = field(default_factory=dict)
    given: dict[str, list[list[int]]] = field(default_factory=dict)
    returned: dict[str, list[list[int]]] = field(default_factory=dict)
    handed: list[int] = field(default_factory=list)
    result: Any = None
    last: list[torch.Tensor] = field(default_factory=list)
    alive: list[Any] = field(default_factory=list)

    @property
    def counts(self) -> set[int]:
        """How often neurons were called."""
        return {len(shapes) for shapes in self.calls.values()}


@dataclass(frozen=True, eq=False)
class _Data:
    """What a trial was given."""

    tensor: torch.Tensor


def kind_of(module: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Where a module's numbers are, and of what type."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point() and tensor.numel():
            return tensor.device, tensor.dtype
    return torch.device("cpu"), torch.float32


def as_tensor(stimulus: Array, module: nn.Module) -> torch.Tensor:
    """Input as the module takes it."""
    device, dtype = kind_of(module)
    return torch.from_numpy(np.array(stimulus, dtype=np.float64)).to(device=device, dtype=dtype)


@contextmanager
def deployed(module: nn.Module, library: OwnLibrary) -> Iterator[None]:
    """From zero state, in evaluation mode, without gradients."""
    module.eval()
    library.reset(module)
    with torch.no_grad():
        yield


def way_of(module: nn.Module, frames: torch.Tensor, library: OwnLibrary, run: Run | None = None) -> Way:
    """The way in which a module is run; found on frames, axes (T, B, \\*shape).

    Raises CannotRecord where there is none.
    """
    if run is not None:
        return Way("as asked", run)
    neurons = neurons_in(module, library)
    if not neurons:
        raise CannotRecord(f"{type(module).__name__} has no neurons of this library; {GIVE}")
    frame = frames[0]
    trials = [_tried(module, neurons, frame[:1].expand(batch, *frame.shape[1:]).clone(), library) for batch in (2, 5)]
    small, large = trials
    sequence = all(library.is_sequence(neuron) for neuron in neurons.values())
    if isinstance(small, _Seen) and isinstance(large, _Seen):
        lengths = [{shapes[0][0] for shapes in seen.calls.values()} for seen in (small, large)]
        if sequence and small.counts == large.counts == {1}:
            if lengths[0] == lengths[1] and len(lengths[0]) == 1:
                return _one_frame(lengths[0].pop())
        elif small.counts == large.counts and 1 in small.counts:
            return _step_by_step(module, neurons, small, library)
        elif small.counts == large.counts and len(small.counts) == 1:
            louder = (_tried(module, neurons, scale * frame[:1].expand(2, *frame.shape[1:]), library) for scale in LOUD)
            told = next((each for each in louder if isinstance(each, _Seen) and any(part.any() for part in each.last)), small)
            if _gives_all(told, 2):
                return _one_frame(small.counts.pop())
    whole = _whole(module, neurons, frames, library)
    if isinstance(whole, Way):
        return whole
    # A module whose code names the size of a batch takes no other.
    own = _tried(module, neurons, frame, library)
    if isinstance(own, _Seen) and not sequence and own.counts == {1}:
        return _step_by_step(module, neurons, own, library)
    if isinstance(small, Exception):
        said = f"{type(module).__name__} takes neither one step ({_line(small)}) nor a whole sequence ({_line(whole)})"
        raise CannotRecord(f"{said}; {GIVE}")
    raise CannotRecord(f"{_line(whole)}; {GIVE}")


def _gives_all(seen: _Seen, batch: int) -> bool:
    """Whether a module that runs several steps gives all of them, or their sum or average."""
    output = seen.result
    while isinstance(output, (tuple, list)) and output:
        if isinstance(output, list) and len(output) in seen.counts:
            return True
        output = output[0]
    steps = next(iter(seen.counts))
    if not isinstance(output, torch.Tensor):
        return False
    return output.shape[:2] == (steps, batch) or is_reduced(output, in_time(seen.last, steps, batch), steps)


LOUD = (1.0, 10.0, 100.0, -10.0)
"""What a trial's input is multiplied with until something fires."""
LONG = (8, 64, 512)
"""Lengths of input that show how many steps a module runs whose own code says that."""


def _whole(module: nn.Module, neurons: Mapping[str, nn.Module], frames: torch.Tensor, library: OwnLibrary) -> Way | Exception:
    """All steps at once; what stands in its way, where something does."""

    batch = frames.shape[1]

    def runs(seen: _Seen, steps: int) -> bool:
        return all(
            shapes[0][0] == steps and len(shapes) == 1
            if library.is_sequence(neurons[path])
            else len(shapes) % steps == 0 and all(shape[:1] == (batch,) for shape in shapes)
            for path, shapes in seen.calls.items()
        )

    seen = _tried(module, neurons, frames, library)
    if isinstance(seen, _Seen) and runs(seen, len(frames)):
        return Way(WHOLE, lambda net, x: net(x))
    for length in LONG:
        if length == batch:
            continue
        longer = frames[:1].expand(length, *frames.shape[1:]).clone()
        trial = _tried(module, neurons, longer, library)
        if isinstance(trial, _Seen) and 1 < (steps := min(trial.counts)) <= length and runs(trial, steps):
            return _so_many(steps)
    if isinstance(seen, Exception):
        return seen
    called = ", ".join(f"{path or 'it'} {len(shapes)} times" for path, shapes in seen.calls.items())
    return CannotRecord(f"{type(module).__name__} runs its neurons neither once a step nor once in all: {called}")


def _so_many(steps: int) -> Way:
    """A whole sequence, of a length that the module itself says; to a shorter one, steps of zeros are added."""

    def run(module: Any, x: Any) -> Any:
        if len(x) > steps:
            raise CannotRecord(f"the module runs {steps} steps by itself; give an input of at most {steps} steps")
        return module(torch.cat([x, x.new_zeros(steps - len(x), *x.shape[1:])]) if len(x) < steps else x)

    return Way(WHOLE, run, steps, (f"the module runs {steps} steps, whatever it is given",))


def _line(error: Exception) -> str:
    said = str(error) if isinstance(error, NirInteropError) else f"{type(error).__name__}: {error}"
    return " ".join(said.split())[:160]


def _tried(
    module: nn.Module, neurons: Mapping[str, nn.Module], data: torch.Tensor, library: OwnLibrary, states: Sequence[Any] = ()
) -> _Seen | Exception:
    """What neurons do when the module is given some data, and states if there are any; the error, where it fails."""
    seen = _Seen()

    def watch(path: str) -> Callable[[nn.Module, Any, Any, Any], None]:
        def after(child: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            tensors = [each for each in (*args, *kwargs.values()) if isinstance(each, torch.Tensor)]
            seen.calls.setdefault(path, []).append(tuple(tensors[0].shape) if tensors else (0,))
            states = [_marks(each) for each in (*args, *kwargs.values())][1:]
            seen.given.setdefault(path, []).append([mark for group in states for mark in group])
            seen.returned.setdefault(path, []).append(_marks(output))
            seen.alive += [args, kwargs, output]

        return after

    outputs: dict[nn.Module, list[torch.Tensor]] = {}

    def keep(child: nn.Module, _: Any, output: Any) -> None:
        first = output[0] if isinstance(output, (tuple, list)) and output else output
        if isinstance(first, torch.Tensor):
            seen.last = outputs.setdefault(child, [])
            seen.last.append(first)

    handles = [neuron.register_forward_hook(watch(path), with_kwargs=True) for path, neuron in neurons.items()]
    handles += [child.register_forward_hook(keep) for child in layers_in(module, library).values()]
    try:
        library.reset(module)
        handed = list(states) or [library.start() for _ in _states(module)[0]]
        seen.alive += [*handed, _Data(data)]
        seen.result = module(data, *handed)
        seen.handed = [id(state) for state in handed]
    except NirInteropError:
        raise
    except Exception as error:
        return error
    finally:
        for handle in handles:
            handle.remove()
    return seen if seen.calls else CannotRecord("no neuron was called")


def _marks(value: Any) -> list[int]:
    if isinstance(value, torch.Tensor):
        return [id(value)]
    return [mark for each in value for mark in _marks(each)] if isinstance(value, (tuple, list)) else []


def _states(module: nn.Module) -> tuple[list[str], list[str]]:
    """Parameters of forward behind the input: those that have to be given, and those that may be."""
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())[1:]
    except (TypeError, ValueError):
        return [], []
    plain = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    needed = [each.name for each in plain if each.default is each.empty]
    return needed, [each.name for each in plain if each.default is None]


def states_needed(module: nn.Module) -> list[str]:
    """Names of what forward has to be given besides its input."""
    return _states(module)[0]


def _one_frame(steps: int) -> Way:
    def run(module: Any, x: Any) -> Any:
        if len(x) > steps:
            raise CannotRecord(f"the module runs {steps} steps by itself; give an input of at most {steps} steps")
        if any(not torch.equal(frame, x[0]) for frame in x):
            raise CannotRecord(
                f"the module takes one frame and repeats it for {steps} steps; give an input that is the same at each step"
            )
        return module(x[0])

    return Way(FRAME, run, steps, (f"the module repeats its input for {steps} steps",))


def _step_by_step(module: nn.Module, neurons: Mapping[str, nn.Module], seen: _Seen, library: OwnLibrary) -> Way:
    needed, optional = _states(module)
    result = seen.result
    if not isinstance(result, (tuple, list)):
        if needed:
            raise CannotRecord(f"forward takes {', '.join(needed)} and gives back no states; {GIVE}")
        return Way(STEPS, lambda net, x: torch.stack([net(frame) for frame in x]))
    names = [*needed, *optional]
    if optional and not needed and not _hands_on(module, neurons, seen, library):
        names = []
    if not names:
        return Way(STEPS, lambda net, x: torch.stack([net(frame)[0] for frame in x]), None, _first(result))
    output, order = _order(seen, len(needed), len(names))
    first = [library.start() for _ in needed]

    def run(net: Any, x: Any) -> Any:
        states: list[Any] = list(first)
        outputs = []
        for frame in x:
            returned = net(frame, *states)
            outputs.append(returned[output])
            states = [returned[number] for number in order]
        return torch.stack(outputs)

    return Way(STEPS, run, None, () if output == 0 else (f"the output is value {output + 1} of those that forward gives",))


def _first(result: Any) -> tuple[str, ...]:
    return (f"forward gives {len(result)} values, the first of which is taken for the output",) if len(result) > 1 else ()


def _hands_on(module: nn.Module, neurons: Mapping[str, nn.Module], seen: _Seen, library: OwnLibrary) -> bool:
    """Whether what came back reaches the neurons when it is handed over: parameters of forward need not be states."""
    _, optional = _states(module)
    states = list(seen.result[1:])
    if len(states) != len(optional):
        return False
    data = next(each for each in seen.alive if isinstance(each, _Data)).tensor
    # Taken before: a list of states is changed in place by Norse's SequentialState.
    marks = {mark for state in states for mark in _marks(state)}
    again = _tried(module, neurons, data, library, states)
    return isinstance(again, _Seen) and any(mark in marks for calls in again.given.values() for mark in calls[0])


def _order(seen: _Seen, needed: int, names: int) -> tuple[int, list[int]]:
    """Which of the returned values is the output, and which goes back for each state.

    A state that was given to a neuron comes back as what this neuron returned in the same place, counted from the end.
    """
    result = [id(each) for each in seen.result]
    if needed == names:
        found: dict[int, int] = {}
        for path, calls in seen.given.items():
            returned = seen.returned[path][0]
            for mark, after in zip(reversed(calls[0]), reversed(returned), strict=False):
                if mark in seen.handed and after in result:
                    found[seen.handed.index(mark)] = result.index(after)
        if found and len(result) >= needed:
            left = [number for number in range(len(result)) if number not in found.values()]
            last = seen.returned[list(seen.calls)[-1]][0][:1]
            output = next((number for number in left or range(len(result)) if result[number] in last), left[0] if left else 0)
            spare = iter([number for number in left if number != output])
            return output, [found[number] if number in found else next(spare, output) for number in range(needed)]
    if len(result) == names + 1:
        return 0, list(range(1, names + 1))
    raise CannotRecord(f"forward takes {names} states and gives back {len(result)} values: which is which is not plain; {GIVE}")


def is_reduced(output: torch.Tensor, last: torch.Tensor | None, steps: int) -> bool:
    """Whether an output is the sum or the average over time of what a layer gave, axes (T, B, \\*shape)."""
    if last is None or last.shape[1:] != output.shape:
        return False
    total = last.sum(0)
    return any(torch.allclose(wanted, output, rtol=1e-4, atol=1e-5) for wanted in (total, total / steps))


def in_time(parts: Sequence[torch.Tensor], steps: int, batch: int) -> torch.Tensor | None:
    """What was seen of a layer, axes (T, B, \\*shape): once a step, or once in all; None where it was something else."""
    if len({part.shape for part in parts}) != 1:
        return None
    if len(parts) == 1 and parts[0].ndim >= 2 and parts[0].shape[:2] == (steps, batch):
        return parts[0]
    if len(parts) == 1 and parts[0].ndim >= 1 and parts[0].shape[0] == steps * batch:
        return parts[0].reshape(steps, batch, *parts[0].shape[1:])
    if len(parts) == steps and parts[0].ndim >= 1 and parts[0].shape[0] == batch:
        return torch.stack(list(parts))
    return None
