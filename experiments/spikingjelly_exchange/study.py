"""The study from start to end."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from experiments.common import Options, Study
from experiments.progress import Progress
from experiments.spikingjelly_exchange.bench import LIBRARY, Bench
from experiments.spikingjelly_exchange.promises import PROMISES
from experiments.spikingjelly_exchange.report import Measured, write_report
from harness.environments import backend
from harness.errors import BackendMissing, BadInput
from harness.matrix.capture import Capture, guarded


def act(options: Options, progress: Progress) -> Sequence[Path]:
    """Measure every promise and write.

    ``quick`` changes nothing: it is short.  Raises BadInput where an option is given that has no meaning here, and
    BackendMissing without SpikingJelly.
    """
    started = time.perf_counter()
    if options.libraries not in ((), (LIBRARY,)):
        raise BadInput(f"--backend: this study is about {LIBRARY}; leave the option out")
    if options.train_only:
        raise BadInput("--train-only: nothing is trained here; leave the option out")
    known = backend(LIBRARY)
    if known.missing:
        raise BackendMissing(known.hint)
    out = options.out.resolve()
    with tempfile.TemporaryDirectory() as folder, Bench(Path(folder).resolve(), options.seed) as bench:
        # What the library prints is captured promise by promise, so that progress shows in between.
        with guarded(Capture()):
            bench.adapter.prepare()
            from experiments.spikingjelly_exchange.example import example_rows
            from experiments.spikingjelly_exchange.measures import in_package, measured
        found: list[Measured] = []
        with progress.task("promises", len(PROMISES) + 1) as advance:
            for promise in PROMISES:
                with guarded(Capture()):
                    found.append(Measured(promise, measured(bench, promise), in_package(promise)))
                advance()
            with guarded(Capture()):
                example = list(example_rows(bench))
            advance()
    return write_report(options, out, found, example, time.perf_counter() - started)


STUDY = Study("spikingjelly_exchange", "What SpikingJelly promises of its exchange with NIR: is it kept?", act)
