"""The study from start to end."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from nir_interop.backends.environments import backend
from nir_interop.errors import BackendMissing, BadInput
from nir_interop.workers.capture import Capture, guarded
from nir_interop_studies.common import Options, Progress, Study
from nir_interop_studies.spikingjelly_exchange.bench import LIBRARY, Bench
from nir_interop_studies.spikingjelly_exchange.promises import PROMISES
from nir_interop_studies.spikingjelly_exchange.report import Measured, write_report


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
            from nir_interop_studies.spikingjelly_exchange.example import example_rows
            from nir_interop_studies.spikingjelly_exchange.measures import in_package, measured
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
