"""What a worker of the reference does for a check: makes the inputs, and holds recordings against what was meant."""

from __future__ import annotations

from nir_interop.arrays import save_arrays
from nir_interop.backends.adapter import Adapter
from nir_interop.errors import NirInteropError
from nir_interop.rule import Comparison
from nir_interop.transfer.job_files import recording_at, stimulus_at
from nir_interop.vocabulary import Stage, Status
from nir_interop.workers.error_messages import failure
from nir_interop.workers.jobs import InputsMade, Judge, Judged, MakeInputs, ended
from nir_interop.workers.progress import JobProgress


def make_inputs(adapter: Adapter, job: MakeInputs, progress: JobProgress) -> InputsMade:
    """Inputs for a graph; where it has none, why, in the words of :func:`nir_interop.agreement.inputs.inputs_for`."""
    from nir_interop.agreement.inputs import inputs_for
    from nir_interop.graphs import read

    progress.enter(Stage.RUN)
    try:
        made = inputs_for(read(job.path(job.graph)), job.dt, job.seed, time_limit=job.time_limit)
    except NirInteropError as error:
        return InputsMade(status=str(Status.REFUSED), error_type=type(error).__name__, error_message=str(error))
    except Exception as error:
        return ended(InputsMade, failure(error, Status.RUN_ERROR, Stage.RUN))
    save_arrays(job.path(job.save), {"input": made.input})
    return InputsMade(kinds=made.kinds, scale=made.scale, quiet=made.quiet, names=made.names)


def judge(adapter: Adapter, job: Judge, progress: JobProgress) -> Judged:
    """The status of a recording, rounding apart; ``open`` where that depends on the target's own comparison."""
    from nir_interop.agreement.status import agreement
    from nir_interop.graphs import inline, read

    progress.enter(Stage.COMPARE)
    asked = False

    def compares() -> Comparison | None:
        nonlocal asked
        asked = True
        return None

    try:
        graph, stimulus = inline(read(job.path(job.graph))), stimulus_at(job.path(job.stimulus))["input"]
        meant, made = recording_at(job.path(job.meant)), recording_at(job.path(job.made))
        found = agreement(graph, job.dt, {}, stimulus, meant, made, compares)
    except Exception as error:
        return ended(Judged, failure(error, Status.RUN_ERROR, Stage.COMPARE))
    return Judged(agreed=str(found.status), rounding=found.rounding(), open=asked)
