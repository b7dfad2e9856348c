"""What the reference does for a source: run the intended graph, and hold the library's own recording against it.

Needs the whole of the reference, which a library's own environment may lack.
"""

from __future__ import annotations

from dataclasses import replace

from nir_interop.backends.adapter import Adapter
from nir_interop.errors import NotExpressible
from nir_interop.networks import Network
from nir_interop.recording import Recording
from nir_interop.transfer.job_files import network_of, stimulus_at
from nir_interop.vocabulary import Stage, Status
from nir_interop.workers.error_messages import failure, import_failure
from nir_interop.workers.jobs import GRAPH, Compared, Intended, ended
from nir_interop.workers.progress import JobProgress, reseed


def intended(adapter: Adapter, job: Intended, progress: JobProgress) -> Compared:
    """Compare a source's recording with the reference's on the intended graph; runs in the reference's environment.

    Where the source was exported, ``graph_status`` is the reference on that graph against the reference on the intended one.
    """
    from nir_interop.compare import compare

    path = job.left(GRAPH)
    stage = Stage.BUILD
    stimulus = stimulus_at(job.path(job.stimulus))
    try:
        import nir

        network = network_of(job.network, job.seed, job.path(job.parameters) if job.parameters else None)
        graph = network.to_nir()
        reseed(job.seed)
        nir.write(path, graph)
        with progress.library(stage := Stage.IMPORT):
            model = adapter.load(path, job.dt)
        with progress.library(stage := Stage.RUN):
            recording = adapter.run(model, stimulus["input"].copy())
        progress.enter(stage := Stage.COMPARE)
        native = Recording.load(job.path(job.native))
        order = [layer.name for layer in network.layers]
        compared = compare(recording, native, readout=network.readout, labels=stimulus.get("labels"), order=order)
    except NotExpressible as error:
        return ended(Compared, failure(error, Status.REFUSED, Stage.BUILD))
    except BaseException as error:
        status = Status.RUN_ERROR if stage is not Stage.IMPORT else Status.IMPORT_ERROR
        return ended(Compared, failure(error, status, stage, {str(path): GRAPH}))
    if compared.status is Status.MISMATCH:
        compared = replace(compared, status=_held(network, job, recording, native))
    return Compared(
        status=str(compared.status),
        stage=str(Stage.COMPARE),
        comparison=compared,
        margin=recording.margin,
        graph_status=str(_exported(adapter, job, recording, network, progress)) if job.graph else None,
    )


def _held(network: Network, job: Intended, meant: Recording, made: Recording) -> Status:
    """The status of outputs that are not the same numbers as those of the intended graph: rounding, where it is that."""
    from nir_interop.agreement.status import agreement
    from nir_interop.graphs import from_nir

    stimulus = stimulus_at(job.path(job.stimulus))["input"]
    return agreement(from_nir(network.to_nir()), job.dt, {}, stimulus, meant, made).status


def _exported(adapter: Adapter, job: Intended, meant: Recording, network: Network, progress: JobProgress) -> Status:
    """The status of an exported graph, run by the reference, against the intended one."""
    from nir_interop.compare import compare

    stage = Stage.IMPORT
    try:
        with progress.library(stage):
            model = adapter.load(job.path(job.graph or ""), job.dt)
        with progress.library(stage := Stage.RUN):
            recording = adapter.run(model, stimulus_at(job.path(job.stimulus))["input"].copy())
        compared = compare(meant, recording, readout=network.readout, labels=None, order=())
        return compared.status if compared.status is not Status.MISMATCH else _held(network, job, meant, recording)
    except BaseException as error:
        return Status(import_failure(adapter, error, stage, {}).status)
