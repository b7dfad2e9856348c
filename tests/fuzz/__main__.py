"""``python -m tests.fuzz --files 10000 --seed 0``: mutated files through the product; what goes wrong is kept (exit 1).

With ``--guided`` mutations follow the branches that they reach, where atheris is installed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from tests.fuzz.campaign import MOST_GIB, MOST_SECONDS, Tried, run
from tests.fuzz.targets import WHOLE


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--begin", type=int, default=0, help="the number of the first file")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--kept", type=Path, default=Path("fuzz-failures"), help="where files that go wrong are put")
    parser.add_argument(
        "--every",
        type=int,
        default=1,
        help="only every so many-th graph runs on inputs as check makes them, others on 3 steps",
    )
    parser.add_argument("--guided", action="store_true", help="guided by coverage, for as many runs as files; needs atheris")
    options = parser.parse_args()
    if options.guided:
        from tests.fuzz.guided import guided

        return guided(options.files, options.seed, options.kept)
    bounds = replace(WHOLE, every=options.every)
    began = time.monotonic()
    counts: Counter[str] = Counter()
    slowest = largest = Tried(-1, "", "", 0.0, 0.0)
    for tried in run(options.files, options.seed, bounds, options.jobs, options.kept, options.begin):
        counts[f"{tried.kind} {tried.result if tried.result in ('taken', 'refused') else 'wrong'}"] += 1
        slowest, largest = max(slowest, tried, key=lambda each: each.seconds), max(largest, tried, key=lambda each: each.gib)
        if not tried.fine:
            counts["wrong in all"] += 1
            print(tried, flush=True)
        if sum(counts.values()) % 500 == 0:
            print(f"{dict(sorted(counts.items()))}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    wrong = counts.pop("wrong in all", 0)
    took = f"{time.monotonic() - began:.0f} s"
    print(f"{sum(counts.values())} files of seed {options.seed} in {took}: {dict(sorted(counts.items()))}")
    print(f"slowest: {slowest}; largest: {largest}; allowed {MOST_SECONDS:g} s of processor time and {MOST_GIB:g} GiB")
    print(f"{wrong} went wrong" + (f"; they are kept in {options.kept}" if wrong else ""))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
