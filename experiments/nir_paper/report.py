"""The study's page, written from the numbers of its tables."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from experiments.common import Options, markdown_table, write_text
from experiments.nir_paper import page_of_networks
from experiments.nir_paper.crossing import CONTINUOUS
from experiments.nir_paper.inputs import Held
from experiments.nir_paper.lif import SAME
from experiments.nir_paper.paper import VARIABLE, Published
from experiments.nir_paper.wording import Row, Rows, small
from harness.environments import Backend, installed_versions
from harness.vocabulary import Mode

PUBLISHED_COLUMNS = ("network", "platform", "accuracy", "accuracy_low", "accuracy_high", "right", "samples")

_TITLE = "# nir_paper: the published comparison, reproduced and sharpened"


def published_rows(published: Iterable[Published]) -> Iterator[dict[str, Any]]:
    """The paper's accuracies, with intervals from the sizes of its test sets."""
    for each in published:
        share = each.share
        row = {"network": each.network, "platform": each.platform, **share.columns("accuracy")}
        yield {**row, "right": share.right, "samples": share.samples}


def without_paper(options: Options) -> Path:
    """The page of a run without the paper's folder: what it cannot do, and how it can."""
    lines = [
        _TITLE,
        "",
        "Nothing was run: every task of this study starts from a graph or a trace that the paper published, and none is",
        "embedded here. Without them it cannot",
        "",
        "- compare this machine's backends, or the continuous solution, with the published traces of one neuron;",
        "- run the published networks on N-MNIST and Braille, as they are or reconciled;",
        "- set first layers beside the published ones.",
        "",
        f"Name the paper's folder, or a checkout of the NIR repository (github.com/neuromorphs/NIR), in {VARIABLE}.",
    ]
    return write_text(options.out / "README.md", "\n".join(lines) + "\n")


def write_page(options: Options, tables: Rows, chosen: Sequence[Backend], digits: Held, seconds: float) -> Path:
    """Write README.md."""
    lines = [_TITLE, "", *_head(options, tables), *_claim(tables), "", *_lif(tables), ""]
    lines += [*page_of_networks.cnn(tables, digits), "", *page_of_networks.braille(tables), ""]
    lines += ["![accuracies](accuracy.png)", "", *page_of_networks.layers(tables), "", *_made(options, chosen, seconds)]
    return write_text(options.out / "README.md", "\n".join(lines) + "\n")


def _head(options: Options, tables: Rows) -> Iterator[str]:
    yield "The three tasks of Pedersen et al., Nat. Commun. 15:8122, 2024, from its published graphs and traces. *Native* is"
    yield "the published file as it is, *reconciled* the file rewritten for the importer; both are measured against what the"
    yield "file means under NIR's equations in steps, as the reference computes it in double precision."
    yield f"`{CONTINUOUS}` solves the equations in continuous time; nothing is rewritten for it. Intervals are Wilson's, 95 %."
    yield ""
    if any(row["comparable"] for row in tables["cnn"]):
        yield "Accuracies on N-MNIST are on the published test set; those on Braille are **not comparable** with published"
        yield "ones, being of other samples."
    else:
        yield "**No accuracy here is comparable with a published one:** it is of other test samples (column `comparable`), and"
        yield "published accuracies stand beside it for orientation."
    yield ""
    if options.quick:
        yield "A quick run: few recordings and steps, so its accuracies are no result."
        yield ""


def _claim(tables: Rows) -> Iterator[str]:
    yield "## The claim: once reconciled, all backends give the same accuracy"
    yield ""
    for name, network, title in (("cnn", "cnn", "N-MNIST"), ("braille", "bias, reset to zero", "Braille")):
        theirs = [row["accuracy"] for row in tables["published"] if row["network"] == network]
        spread = f"; published: {_range(theirs)} on {len(theirs)} platforms" if theirs else ""
        if name in tables:
            yield f"- {title}: {_held([row for row in tables[name] if row['mode'] == str(Mode.RECONCILED)])}{spread}."
        else:
            yield f"- {title}: not run, there are no samples (they are not embedded){spread}."
    rows = [row for row in tables["lif_backends"] if row["trace"] == "norse"]
    same = ", ".join(row["backend"] for row in rows if row["steps_differing"] == 0)
    others = ", ".join(row["backend"] for row in rows if row["steps_differing"] != 0)
    yield f"- One neuron: nothing to reconcile in {same}, which spike in the steps that Norse published"
    yield f"  ({f'not so: {others}' if others else 'nobody else is here'})."


def _held(rows: Sequence[Row]) -> str:
    right, samples = {row["right"] for row in rows}, rows[0]["samples"]
    if None in right:
        return f"**not reached**, {', '.join(row['backend'] for row in rows if row['right'] is None)} give no output"
    if len(right) > 1:
        shown = ", ".join(f"{row['backend']} {row['right']}" for row in rows)
        return f"**does not hold**, of {samples} right: {shown}"
    differing, outputs = sum(row["mismatched"] for row in rows), sum(row["outputs"] for row in rows)
    text = f"**holds**, {', '.join(row['backend'] for row in rows)} all have {right.pop()} of {samples} right"
    return f"{text}, and {differing} of their {outputs} outputs differ from what the graph means"


def _range(values: Sequence[float]) -> str:
    return f"{100 * min(values):.2f}–{100 * max(values):.2f} %, {100 * (max(values) - min(values)):.1f} points apart"


def _lif(tables: Rows) -> Iterator[str]:
    rules, rows = tables["lif_rules"], tables["lif_backends"]
    explained = [row for row in rules if row["explained"]]
    yield "## One neuron"
    yield ""
    yield "LIF, τ = 2.5 ms, r = 1, θ = 0.1, 1000 steps of 0.1 ms. Offsets are in steps from the continuous solution, gaps"
    yield "of the membrane in volts, each trace's own unit being taken out. *late*: read so many steps after the update."
    yield "*ties*: other rules that give the same."
    yield ""
    yield from markdown_table(
        ("trace", "spikes", "offsets", "RMS from continuous", "the rule that gives it", "late", "largest gap to it", "ties"),
        [_rule(row) for row in rules],
    )
    yield ""
    yield f"{len(explained)} of {len(rules)} traces are explained: every spike, and the membrane to single precision, or to the"
    yield "last unit where it is whole numbers (but for what a chip reads out in the step of a spike)."
    yield ""
    yield from markdown_table(
        ("backend here", "spikes", "traces with the same spikes", f"of these, membrane within {SAME:g} V"),
        [_own(rows, name) for name in dict.fromkeys(row["backend"] for row in rows)],
    )
    yield ""
    yield "![traces](lif_traces.png)"


def _rule(row: Row) -> Sequence[Any]:
    name = row["trace"] + (f" ({row['hardware']})" if row["hardware"] else "")
    rule = row["rule"] if row["explained"] else f"not explained; nearest: {row['rule']}"
    gaps = small(row["v_rmse_to_exact"]), rule, row["read_late"], small(row["v_max_abs"])
    return name, row["spikes"], row["offset_to_exact"], *gaps, row["ties"]


def _own(rows: Sequence[Row], backend: str) -> Sequence[Any]:
    mine = [row for row in rows if row["backend"] == backend]
    same = [row for row in mine if row["steps_differing"] == 0]
    near = [row["trace"] for row in same if row["v_max_abs"] is not None and row["v_max_abs"] < SAME]
    said = mine[0]["spikes_backend"] if mine[0]["status"] == "ran" else mine[0]["status"]
    return f"{backend} {mine[0]['version']}", said, ", ".join(row["trace"] for row in same), ", ".join(near)


def _made(options: Options, chosen: Sequence[Backend], seconds: float) -> Iterator[str]:
    yield "## How this was made"
    yield ""
    yield f"`{options.command}`, with the paper's folder in {VARIABLE}; {seconds:.0f} s on {platform.machine()}, Python"
    yield f"{platform.python_version()}, less what runs that an earlier call had kept would have taken."
    yield ""
    versions = {name: value for each in chosen for name, value in each.versions.items()} | installed_versions(("torch", "nir"))
    yield ", ".join(f"{name} {value}" for name, value in sorted(versions.items())) + "."
