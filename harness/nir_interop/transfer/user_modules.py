r"""Where a user's module is: an object in this process, or a name in a Python file, which a process of its library's runs."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from nir_interop.arrays import Array, load_arrays, save_arrays
from nir_interop.backends.adapter import Adapter, available, load_adapter
from nir_interop.backends.environments import Backend
from nir_interop.backends.own_modules import OwnModule, Run, module_from
from nir_interop.errors import BadInput, CannotRecord, NotExpressible, RunFailed
from nir_interop.printable import listed, shown
from nir_interop.recording import Recording
from nir_interop.transfer.module_job import DESCRIPTION, written
from nir_interop.workers.jobs import GRAPH, OK, RECORDING, STIMULUS, Module, ModuleRead
from nir_interop.workers.live import LiveBackend


def library_of(module: Any) -> Adapter:
    """The adapter of the library whose neurons a module has; no other library is imported.

    Raises BadInput for what is no torch module, for one without neurons of a library that there is an adapter for, and for one
    with neurons of several.
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(module, torch.nn.Module):
        raise BadInput(f"the network is {shown(type(module).__name__)}; give the torch.nn.Module itself")
    packages = {cls.__module__.partition(".")[0] for child in module.modules() for cls in type(child).__mro__}
    adapters = [load_adapter(name) for name in available() if name in packages]
    found = {adapter.name: (adapter, neurons) for adapter in adapters if (neurons := adapter.neurons_of(module))}
    if len(found) > 1:
        whose = "; ".join(f"{name}: {listed(neurons)}" for name, (_, neurons) in found.items())
        raise BadInput(f"the network has neurons of several libraries ({whose}); give the part of one library at a time")
    if not found:
        known = ", ".join(available())
        raise BadInput(
            f"the network has no neurons of a library that there is an adapter for ({known}); export it, and give the file"
        )
    ((adapter, _),) = found.values()
    return adapter


@dataclass
class LiveModule:
    r"""A module in this process, which is left as it was.

    sample : one step of input, axes (B, \*shape)
    run : how it is run, where its library's users run none so
    """

    adapter: Adapter
    module: Any
    sample: Array
    how: Run | None = None

    @property
    def library(self) -> str:
        return self.adapter.name

    def step(self) -> float | None:
        return self.adapter.step_of(self.module)

    def describe(self, dt: float) -> OwnModule:
        return self.adapter.describe(self.module, self.sample, dt, self.how)

    def record(self, stimulus: Array) -> Recording:
        return self.adapter.record(self.module, stimulus, self.how)

    def export(self, dt: float, path: Path) -> None:
        # What an exporter prints, nobody asked for; that the caller takes warnings for errors is no failure of the exporter's.
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            failed = written(self.adapter, self.module, self.sample, dt, path)
        if failed is not None:
            raise RunFailed(failed.status, failed.error_type, failed.error_message)


@dataclass
class FileModule:
    r"""A module that a name in a Python file stands for, or that a function or class of that name makes; its file is run in a
    process of its library's.

    weights : a file of a ``state_dict``, loaded as weights only; None for those that it is made with
    sample : one step of input, axes (B, \*shape)
    run : a function of the file, ``run(module, x)``; empty where its library's users run it so
    """

    live: LiveBackend
    file: Path
    name: str
    weights: Path | None
    sample: Array
    folder: Path
    run: str = ""

    @property
    def library(self) -> str:
        return self.live.backend.name

    def step(self) -> float | None:
        return self._asked("step").step

    def describe(self, dt: float) -> OwnModule:
        found = self._asked("describe", dt=dt)
        return module_from(found.document, load_arrays(self.folder / DESCRIPTION))

    def record(self, stimulus: Array) -> Recording:
        self._asked("record", stimulus)
        return Recording.load(self.folder / RECORDING)

    def export(self, dt: float, path: Path) -> None:
        self._asked("export", dt=dt)
        (self.folder / GRAPH).replace(path)

    def _asked(self, ask: str, stimulus: Array | None = None, dt: float = 0.0) -> ModuleRead:
        """What the process answers.  Raises what it raised: of bad input, of a module that cannot be read or run, RunFailed."""
        number = len(list(self.folder.glob(f"*{STIMULUS}")))  # a worker remembers the stimuli it has read, by their paths
        path = self.folder / f"{number}{STIMULUS}"
        save_arrays(path, {"input": self.sample[None] if stimulus is None else stimulus})
        weights = "" if self.weights is None else str(self.weights.resolve())
        found = self.live.ask(
            Module(
                file=str(self.file.resolve()), name=self.name, weights=weights, run=self.run, ask=ask, stimulus=str(path),
                dt=dt, seed=self.live.seed, folder=str(self.folder),
            )
        )  # fmt: skip
        if found.status == OK:
            return found
        for kind in (BadInput, CannotRecord, NotExpressible):
            if found.error_type == kind.__name__:
                raise kind(found.error_message)
        raise RunFailed(found.status, found.error_type, found.error_message)


def library_in(file: Path, backends: Mapping[str, Backend]) -> Backend:
    """The library that a Python file imports, told without running it.

    Raises BadInput where the file cannot be read, and where it imports none or several of those that there are adapters for.
    """
    try:
        tree = ast.parse(file.read_bytes(), filename=file.name)
    except OSError as error:
        raise BadInput(f"{shown(file.name)}: {error.strerror}; give FILE.py:NAME") from error
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise BadInput(f"{shown(file.name)}: it is no Python{line}; give FILE.py:NAME") from error
    imported = {name.partition(".")[0] for name in _imports(ast.walk(tree))}
    found = [name for name in sorted(backends) if name in imported and backends[name].installed]
    if len(found) == 1:
        return backends[found[0]]
    what = f"it imports {' and '.join(found)}" if found else f"it imports none of {', '.join(sorted(backends))}"
    raise BadInput(f"{shown(file.name)}: {what}; say of which library the module is with --from")


def _imports(nodes: Iterable[ast.AST]) -> Iterable[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def as_sample(sample: Any) -> Array:
    r"""One step of input, axes (B, \*shape), as an array.  Raises BadInput for what is none."""
    try:
        array = np.asarray(sample.detach().cpu() if hasattr(sample, "detach") else sample, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise BadInput(f"the sample is {shown(type(sample).__name__)}; give one step of input, axes (B, *shape)") from error
    if array.ndim < 2:
        raise BadInput(
            f"the sample has {array.ndim} axes; give one step of input, axes (B, *shape): sample[None] for one sample"
        )
    return array
