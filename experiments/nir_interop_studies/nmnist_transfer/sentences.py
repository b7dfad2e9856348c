"""Sentences of the study's page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nir_interop_studies.common import Options, markdown_table
from nir_interop_studies.nmnist_transfer.crossing import NATIVE, RECONCILED
from nir_interop_studies.nmnist_transfer.frames import Frames, Windows

Row = Mapping[str, Any]

CASE_WORDS = {
    "1e-4": "written for 1e-4 s, deployed at 1e-4 s: a frame is said to be 0.1 ms.",
    "1e-3": "written for 1e-3 s, deployed at 1e-3 s: a frame is the millisecond that it is.",
    "frames": "written for 1e-4 s, as snnTorch's exporter does whatever it is given, deployed at the frames' own 1 ms.",
}
"""What is said of a step, see :class:`~nir_interop_studies.nmnist_transfer.crossing.Case`."""

WHOLE = {"nmnist": (60_000, 10_000)}
"""Training and test recordings of the whole data set."""


def share(row: Row, name: str) -> str:
    """An accuracy with its interval and its samples."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{100 * row[name]:.1f} % ({100 * low:.1f}–{100 * high:.1f}, n = {row['samples']})"


def way(row: Row) -> str:
    """A source, and whose exporter wrote its graph."""
    return f"{row['source']} (by {row['exporter']})"


def opening(options: Options, data: tuple[Windows, Frames]) -> Iterator[str]:
    """What it is about: recordings, frames, network."""
    windows, test = data
    embedded = "the embedded digits of scikit-learn as events along N-MNIST's saccades, not N-MNIST"
    what = "N-MNIST" if test.name == "nmnist" else embedded
    size = " A quick run: few recordings, frames and updates, so its accuracies are no result." if options.quick else ""
    yield f"Data: {what}; {len(windows.frames)} training and {len(test)} test recordings.{size}"
    yield f"Through tonic: Denoise (drops {100 * test.dropped:.1f} % of the test events), ToFrame with a time window of 1 ms,"
    yield f"PadTensors; every test recording is {test.steps} frames of 2 × 34 × 34 event counts."
    yield "The network: 12 channels of 4 × 4 with stride 2, pooling, 32 of 3 × 3, pooling, 10 outputs; LIF neurons that lose an"
    yield "eighth of their membrane in a frame. Accuracies are on the test recordings, with Wilson's 95 % interval."
    yield ""


def in_short(transfer: Sequence[Row]) -> Iterator[str]:
    """The two ways in a sentence each."""
    for library, importer in (("norse", "snntorch"), ("snntorch", "norse")):
        mine = [row for row in transfer if (row["library"], row["importer"]) == (library, importer) and row["pooling"] != "max"]
        native = [row for row in mine if row["treatment"] == NATIVE]
        rewritten = [row for row in mine if row["treatment"] == RECONCILED and row["accuracy"] is not None]
        if not native or not rewritten:
            continue
        ran = sorted({row["accuracy"] for row in native if row["accuracy"] is not None})
        said = " or ".join(f"{100 * value:.1f} %" for value in ran)
        none = sum(row["accuracy"] is None for row in native)
        now = " or ".join(f"{100 * value:.1f} %" for value in sorted({row["accuracy"] for row in rewritten}))
        own = f"{100 * native[0]['accuracy_source']:.1f} %"
        yield f"- {library} → {importer}: {own} at the source; natively {said or 'nothing'} at the target, and"
        yield f"  no output in {none} of {len(native)} cases; reconciled {now}."
    yield ""


def cases(rows: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    """What a step is, in each case."""
    yield "A network does the same in a frame whatever its step is said to be: the time constants are 8 steps, 0.8 ms of 1e-4 s"
    yield "or 8 ms of 1e-3 s. What differs is which step a file is of, which is not in the file, and which the importer takes:"
    yield ""
    for case in [each for each in CASE_WORDS if each in {row["case"] for row in rows["transfer"]}]:
        yield f"- case *{case}*: {CASE_WORDS[case]}"
    yield ""
    yield "`dt_requested` among the causes is an importer at another step than the file's, asked for or by default; `dt_fixed`"
    yield "one that knows no other."
    yield ""
    heads = ("library", "its exporter called with", "step meant", "step of the file", "its importer's step")
    yield from markdown_table(heads, (_step(row) for row in rows["steps"]))
    yield ""


def _step(row: Row) -> Sequence[str]:
    own = f"{step(row['importer_default'])}{', unless a dt is given' if row['importer_takes_dt'] else ', always'}"
    return row["library"], row["exporter_call"], step(row["dt_written"]), step(row["dt_of_file"]), own


def step(value: float) -> str:
    """A step [s] in a word: ``1e-4 s``."""
    mantissa, _, exponent = f"{value:.0e}".partition("e")
    return f"{mantissa}e{int(exponent)} s"


def limits(rows: Mapping[str, Sequence[Row]], data: tuple[Windows, Frames]) -> Iterator[str]:
    """What holds, what does not, and what was not tried."""
    transfer = [row for row in rows["transfer"] if row["pooling"] != "max"]
    rewritten = [row for row in transfer if row["treatment"] == RECONCILED]
    claimed = [row for row in rewritten if row["sample_exact"]]
    same = [row for row in claimed if not row["classes_differing"] and row["right"] == row["right_source"]]
    whole = [row for row in claimed if row["mismatched"] == 0]
    yield f"- Reconciling claims exactness, from a sample of the test recordings, for {len(claimed)} of {len(rewritten)} ways;"
    yield f"  in {len(same)} of these every test recording has the source's class, in {len(whole)} every output of every"
    yield "  recording is the source's."
    for row in (each for each in rewritten if not each["sample_exact"]):
        yield f"- Not reconciled: {row['source']} in {row['importer']}, case {row['case']}: {row['causes']}."
    for row in (each for each in claimed if each["mismatched"]):
        yield f"- Differs outside the sample: {row['source']} in {row['importer']}, case {row['case']}:"
        yield f"  {row['mismatched']} outputs of {row['recordings_differing']} recordings,"
        yield f"  {row['classes_differing']} of another class (flips.csv)."
    for row in rows["training"]:
        if row["reached"] is False:
            yield f"- 85 % were not reached by {row['library']} with {row['pooling']} pooling: {share(row, 'accuracy')}."
    if not any(row["exporter"] == "norse" for row in transfer):
        yield "- Norse's exporter wrote none of these networks: it has no case for pooling of any kind, nor for Flatten. The"
        yield "  graphs of its networks are by the reference, what a faultless exporter would have written."
    yield "- snnTorch has no sum pooling and its exporter none: its sum-pooled graphs are by the reference too, of the network"
    yield "  trained with average pooling, weights a quarter; what they are compared with is that network, in snnTorch."
    yield "- Max pooling reaches no other library, natively, by hand or reconciled."
    all_training, all_test = WHOLE.get(data[1].name, (0, 0))
    if all_test > len(data[1]):
        yield f"- {len(data[1])} of {all_test} test and {len(data[0].frames)} of {all_training} training recordings were used:"
        yield "  these accuracies are not comparable with published ones on all of N-MNIST."
    yield "- One seed; training differs between machines in the last bits, and may give other recordings right."
