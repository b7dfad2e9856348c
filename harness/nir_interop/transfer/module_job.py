"""What a library's process does with a user's module: run the file that it is in, and read, record or export it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from nir_interop.arrays import Array, save_arrays
from nir_interop.backends.adapter import Adapter
from nir_interop.backends.own_modules import document_of
from nir_interop.errors import BadInput, CannotBuild, CannotRecord, NotExpressible
from nir_interop.printable import shown
from nir_interop.transfer.job_files import stimulus_at
from nir_interop.vocabulary import Stage, Status
from nir_interop.workers.error_messages import failure, text_of
from nir_interop.workers.jobs import GRAPH, RECORDING, Module, ModuleRead, Outcome, ended
from nir_interop.workers.progress import JobProgress, reseed

DESCRIPTION = "description.npz"
"""The arrays of what an adapter read from a module."""


def work(adapter: Adapter, job: Module, progress: JobProgress) -> ModuleRead:
    """Run the file, find the module, and do what is asked; recordings and files go to the job's folder."""
    try:
        reseed(job.seed)
        with progress.library(Stage.BUILD):
            module, run = _made(job)
            if not adapter.neurons_of(module):
                raise BadInput(f"{shown(job.name)} has no neurons of {adapter.name}; say whose it has with --from")
        stimulus = stimulus_at(Path(job.stimulus))["input"]
        if job.ask == "step":
            return ModuleRead(step=adapter.step_of(module))
        if job.ask == "describe":
            with progress.library(Stage.BUILD):
                document, arrays = document_of(adapter.describe(module, stimulus[0], job.dt, run))
            save_arrays(job.left(DESCRIPTION), arrays)
            return ModuleRead(document=document)
        if job.ask == "record":
            with progress.library(Stage.NATIVE):
                adapter.record(module, stimulus, run).save(job.left(RECORDING))
            return ModuleRead()
        failed = written(adapter, module, stimulus[0], job.dt, job.left(GRAPH))
        return ModuleRead() if failed is None else ended(ModuleRead, failed)
    except BaseException as error:
        return ended(ModuleRead, failure(error, Status.RUN_ERROR, progress.stage))


def written(adapter: Adapter, module: Any, sample: Array, dt: float, path: Path) -> Outcome | None:
    """Write a module's file by the library's own exporter; how that failed, where it did."""
    stage = Stage.EXPORT
    try:
        graph = adapter.export_own(module, sample, dt)
        stage = Stage.WRITE
        import nir

        nir.write(path, graph)
        return None
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        path.unlink(missing_ok=True)
        if stage is Stage.WRITE:
            return failure(error, Status.WRITE_ERROR, stage, {str(path): GRAPH})
        declined = isinstance(error, (CannotBuild, CannotRecord, NotExpressible)) or adapter.refuses(text_of(error))
        return failure(error, Status.REFUSED if declined else Status.EXPORT_ERROR, stage)


def _made(job: Module) -> tuple[Any, Any]:
    """The module, with its weights, and the function that runs it, None where none is named.

    Raises BadInput.
    """
    file = Path(job.file)
    namespace = _ran(file)
    module = _named(namespace, job.name, file)
    if not _is_module(module) and callable(module):
        try:
            module = module()
        except TypeError as error:
            how = "name a module, or what makes one without arguments"
            raise BadInput(f"{job.name}() of {file.name}: {text_of(error)}; {how}") from error
    if not _is_module(module):
        raise BadInput(
            f"{job.name} of {file.name} is {shown(type(module).__name__)}; name a torch.nn.Module, or what makes one"
        )
    if job.weights:
        _load(module, Path(job.weights), job.name)
    run = _named(namespace, job.run, file) if job.run else None
    if run is not None and not callable(run):
        raise BadInput(f"{job.run} of {file.name} is {shown(type(run).__name__)}; --run names a function run(module, x)")
    return module, run


def _ran(file: Path) -> dict[str, Any]:
    """The names of a file that was run as a module, with its folder in the path."""
    name = "nir_interop_users_module"
    specification = importlib.util.spec_from_file_location(name, file)
    if specification is None or specification.loader is None:
        raise BadInput(f"{file.name}: it is no Python file; give FILE.py:NAME")
    module = importlib.util.module_from_spec(specification)
    sys.path.insert(0, str(file.parent))
    sys.modules[name] = module  # what is defined in it is looked for there
    try:
        specification.loader.exec_module(module)
    except BaseException as error:
        line = _line(error, file)
        raise BadInput(f"{file.name}{line}: {type(error).__name__}: {text_of(error)}; the file must run by itself") from error
    finally:
        sys.path.remove(str(file.parent))
    return vars(module)


def _line(error: BaseException, file: Path) -> str:
    """The line of the file at which it failed."""
    trace, found = error.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            found = trace.tb_lineno
        trace = trace.tb_next
    return f", line {found}" if found else ""


def _named(namespace: dict[str, Any], name: str, file: Path) -> Any:
    found: Any = namespace
    for part in name.split("."):
        try:
            found = found[part] if isinstance(found, dict) else getattr(found, part)
        except (KeyError, AttributeError):
            there = ", ".join(each for each, value in namespace.items() if _is_module(value))
            raise BadInput(f"{file.name}: there is no {shown(name)}; modules in it: {there or 'none'}") from None
    return found


def _is_module(value: Any) -> bool:
    import torch

    return isinstance(value, torch.nn.Module)


def _load(module: Any, weights: Path, name: str) -> None:
    """Load a state_dict, weights only: a file of weights must not run code."""
    import torch

    how = "save it with torch.save(module.state_dict(), FILE)"
    if not weights.is_file():
        raise BadInput(f"{weights.name}: there is no such file of weights; {how}")
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except Exception as error:
        raise BadInput(f"{weights.name}: it holds no weights ({type(error).__name__}); {how}") from error
    if not isinstance(state, dict):
        raise BadInput(f"{weights.name}: it holds {shown(type(state).__name__)} and no weights; {how}")
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        why = " ".join(text_of(error).split())
        raise BadInput(f"{weights.name}: these are not the weights of {name}: {why}") from error
