"""What the reference does for a source: run the intended graph, and hold the library's own recording against it.

Needs the whole of the reference, which a library's own environment may lack.
"""

from __future__ import annotations

from pathlib import Path

from nir_interop.backends.adapter import Adapter
from nir_interop.errors import NotExpressible
from nir_interop.networks import Network
from nir_interop.recording import Recording
from nir_interop.vocabulary import Stage, Status
from nir_interop.workers.job import GRAPH, Job, Outcome, Progress, failure, import_failure, network_of, reseed, stimulus_at


def intended(adapter: Adapter, job: Job, progress: Progress) -> Outcome:
    """Compare a source's recording with the reference's on the intended graph; runs in the reference's environment.

    Where the source was exported, ``graph_status`` is the reference on that graph against the reference on the intended one.
    """
    from nir_interop.compare import compare

    path = Path(job["folder"]) / GRAPH
    known = {str(path): GRAPH}
    stage = Stage.BUILD
    try:
        import nir

        network = network_of(job)
        graph = network.to_nir()
        reseed(job["seed"])
        nir.write(path, graph)
        with progress.library(stage := Stage.IMPORT):
            model = adapter.load(path, job["dt"])
        with progress.library(stage := Stage.RUN):
            recording = adapter.run(model, stimulus_at(job["stimulus"])["input"].copy())
        progress.enter(stage := Stage.COMPARE)
        native = Recording.load(Path(job["source"]))
        order = [layer.name for layer in network.layers]
        labels = stimulus_at(job["stimulus"]).get("labels")
        compared = compare(recording, native, readout=network.readout, labels=labels, order=order)
    except NotExpressible as error:
        return failure(error, Status.REFUSED, Stage.BUILD)
    except BaseException as error:
        return failure(error, Status.RUN_ERROR if stage is not Stage.IMPORT else Status.IMPORT_ERROR, stage, known)
    comparison = compared.as_dict()
    status = comparison["status"] if compared.status is not Status.MISMATCH else _held(network, job, recording, native)
    comparison["status"] = status
    found = {"status": status, "stage": str(Stage.COMPARE), "comparison": comparison, "margin": recording.margin}
    if job.get("graph"):
        found["graph_status"] = _exported(adapter, job, recording, network, progress)
    return found


def _held(network: Network, job: Job, meant: Recording, made: Recording) -> str:
    """The status of outputs that are not the same numbers as those of the intended graph: rounding, where it is that."""
    from nir_interop.agreement.status import agreement
    from nir_interop.graphs import from_nir

    stimulus = stimulus_at(job["stimulus"])["input"]
    return str(agreement(from_nir(network.to_nir()), job["dt"], {}, stimulus, meant, made).status)


def _exported(adapter: Adapter, job: Job, meant: Recording, network: Network, progress: Progress) -> str:
    """The status of an exported graph, run by the reference, against the intended one."""
    from nir_interop.compare import compare

    stage = Stage.IMPORT
    try:
        with progress.library(stage):
            model = adapter.load(Path(job["graph"]), job["dt"])
        with progress.library(stage := Stage.RUN):
            recording = adapter.run(model, stimulus_at(job["stimulus"])["input"].copy())
        compared = compare(meant, recording, readout=network.readout, labels=None, order=())
        return str(compared.status) if compared.status is not Status.MISMATCH else _held(network, job, meant, recording)
    except BaseException as error:
        return str(import_failure(adapter, error, stage, {})["status"])
