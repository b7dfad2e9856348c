"""A user's own module: run as the library's users run it, read layer by layer, and left as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nir_interop.backends.own_modules import OwnModule, Run
from nir_interop.errors import CannotRecord, NirInteropError, NotExpressible
from nir_interop.recording import Recording
from nir_interop_adapters.describing import described
from nir_interop_adapters.left_alone import left_alone
from nir_interop_adapters.own_library import OwnLibrary, layers_in, neurons_in, node_name
from nir_interop_adapters.running import recorded
from nir_interop_adapters.torch_support import TorchAdapter
from nir_interop_adapters.tracing import BATCH, FEATURE, ONE, TIME, Trace, Tracer
from nir_interop_adapters.ways import FRAME, WHOLE, Way, as_tensor, deployed, way_of

Array = NDArray[Any]

TRACED_STEPS = 3
"""So many that a layer's output of the step before last can be told from that of the last one."""


class OwnModules(TorchAdapter):
    """An adapter that reads and runs modules which users wrote; a library's adapter says what its layers are."""

    library: ClassVar[OwnLibrary]

    def neurons_of(self, module: Any) -> tuple[str, ...]:
        module = unwrapped(module)
        if not isinstance(module, nn.Module):
            return ()
        return tuple(node_name(path, child) for path, child in neurons_in(module, self.library).items())

    def record(self, module: Any, stimulus: Array, run: Run | None = None) -> Recording:
        module = unwrapped(module)
        with left_alone(module):
            return recorded(module, stimulus, self.library, run)

    def describe(self, module: Any, sample: Array, dt: float, run: Run | None = None) -> OwnModule:
        module = unwrapped(module)
        with left_alone(module), deployed(module, self.library):
            trace, way, steps = self._traced(module, sample, run)
            inside = not all(self.library.is_sequence(neuron) for neuron in neurons_in(module, self.library).values())
            hints = self.library.module_hints(module, inside and way.name in (WHOLE, FRAME))
            own = described(trace, self.library, steps, dt, way.notes, hints)
            return replace(own, steps=way.steps, constant=way.name == FRAME)

    def takes_sequences(self, module: Any, sample: torch.Tensor) -> bool:
        """Whether a module runs on a whole sequence, and not on one step; sample: one step, axes (B, \\*shape)."""
        try:
            way = way_of(module, sample[None].expand(TRACED_STEPS, *sample.shape).clone(), self.library)
        except CannotRecord:
            return False
        finally:
            self.library.reset(module)
        return way.name == WHOLE

    def _traced(self, module: Any, sample: Array, run: Run | None) -> tuple[Trace, Way, int]:
        """A run of a few steps on a batch of two; on the batch that was given, where the module takes no other."""
        one = as_tensor(sample, module)[None]
        two = one[:, :2] if one.shape[1] > 1 else one.expand(1, 2, *one.shape[2:])
        problem: Exception | None = None
        for frame in (two, one):
            x = frame.expand(TRACED_STEPS, *frame.shape[1:]).clone()
            try:
                way = way_of(module, x, self.library, run)
                steps = way.steps or TRACED_STEPS
                x = x[:1] if way.name == FRAME else x[:1].expand(steps, *x.shape[1:]).clone()
                return self._run(module, x, way, steps), way, steps
            except CannotRecord as error:
                problem = problem or NotExpressible(str(error))
            except NirInteropError:
                raise
            except Exception as error:
                line = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                problem = problem or NotExpressible(
                    f"{type(module).__name__} does not run on this input ({line}); give one that it takes"
                )
        assert problem is not None
        raise problem

    def _run(self, module: Any, x: torch.Tensor, way: Way, steps: int) -> Trace:
        self.library.reset(module)
        layers = layers_in(module, self.library)
        parameters = {id(each): name for name, each in module.named_parameters()}
        tracer = Tracer(layers, self._ports, parameters, steps, x.shape[1])
        tracer.give(x, (ONE if way.name == FRAME else TIME, BATCH, *[FEATURE] * (x.ndim - 2)))
        with tracer.watching():
            result = way.run(module, x)
            if isinstance(result, list) and len(result) == steps and steps == len(x):
                result = torch.stack(result)
        output = result[0] if isinstance(result, (tuple, list)) else result
        if not isinstance(output, torch.Tensor):
            raise NotExpressible(f"{type(module).__name__} gives a {type(output).__name__}, not a tensor; return a tensor")
        tracer.trace.output = tracer.known(output)
        return tracer.trace

    def _ports(self, module: nn.Module, output: Any) -> list[tuple[torch.Tensor, str]]:
        if self.library.is_neuron(module):
            return list(self.library.ports(module, output))
        return [(output, "out")] if isinstance(output, torch.Tensor) else []


def unwrapped(module: Any) -> Any:
    """The module inside of what torch.compile and DataParallel make of it: it computes the same."""
    while isinstance(module, nn.Module):
        inner = module.module if isinstance(module, nn.DataParallel) else getattr(module, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            break
        module = inner
    return module


def sample_of(sample: Array, module: nn.Module) -> torch.Tensor:
    """One step of input as the module takes it."""
    return as_tensor(np.asarray(sample), module)
