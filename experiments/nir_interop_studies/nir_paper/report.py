"""The study's page, written from the numbers of its tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from nir_interop.backends.environments import Backend
from nir_interop.schema import write_text
from nir_interop.vocabulary import CONTINUOUS, Mode
from nir_interop_studies.nir_paper import network_sections as page_of_networks
from nir_interop_studies.nir_paper.cell_text import PUBLISHED, Row, Rows, small, title
from nir_interop_studies.nir_paper.inputs import Held
from nir_interop_studies.nir_paper.lif import SAME
from nir_interop_studies.nir_paper.paper import VARIABLE, Paper, PaperOptions, Published
from nir_interop_studies.pages import how_made, markdown_table

PUBLISHED_COLUMNS = ("dataset", "network", "platform", "accuracy", "accuracy_low", "accuracy_high", "right", "samples")

_TITLE = "# nir_paper: the published comparison, reproduced and sharpened"


def published_rows(published: Iterable[Published]) -> Iterator[dict[str, Any]]:
    """The paper's accuracies, with intervals from the sizes of its test sets."""
    for each in published:
        share = each.share
        row = {"dataset": each.dataset, "network": each.network, "platform": each.platform, **share.columns("accuracy")}
        yield {**row, "right": share.right, "samples": share.samples}


def absent(paper: Paper | None) -> str:
    """What was not there to run on."""
    if paper is None:
        return f"the published files (--paper-dir, or {VARIABLE})"
    return "Braille letters (a data folder that holds Braille/braille7.npz)"


def write_page(options: PaperOptions, tables: Rows, chosen: Sequence[Backend], digits: Held | None, seconds: float) -> Path:
    """Write README.md."""
    lines = [_TITLE, "", *_head(options, tables), *_claim(tables), "", *_lif(tables), ""]
    for name, part in page_of_networks.PARTS.items():
        lines += [*part(tables, digits), ""] if name in tables else []
    lines += ["![accuracies](accuracy.png)", "", *page_of_networks.layers(tables), "", *_made(options, tables, chosen, seconds)]
    return write_text(options.out / "README.md", "\n".join(lines) + "\n")


def _head(options: PaperOptions, tables: Rows) -> Iterator[str]:
    if "published" in tables:
        yield "The three tasks of Pedersen et al., Nat. Commun. 15:8122, 2024, from its published graphs and traces."
    else:
        yield "**Nothing here was published:** every task of Pedersen et al., Nat. Commun. 15:8122, 2024, starts from graphs"
        yield "and traces that were not there. So this run tests the paper's claim, and no more, on networks of our own in the"
        yield "same primitives, on the embedded digits of scikit-learn as events. It says nothing of the published platforms,"
        yield "traces, accuracies and first layers: for these name the paper's folder, or a checkout of the NIR repository"
        yield f"(github.com/neuromorphs/NIR), with --paper-dir or in {VARIABLE}."
    yield "*Native* is a file as it is, *reconciled* the file rewritten for the importer; both are measured against what the"
    yield "file means under NIR's equations in steps, as the reference computes it in double precision."
    yield f"`{CONTINUOUS}` solves the equations in continuous time; nothing is rewritten for it. Intervals are Wilson's, 95 %."
    yield ""
    if any(row["comparable"] for row in tables.get("cnn", ())):
        yield "Accuracies on N-MNIST are on the published test set; the others are **not comparable** with published ones,"
        yield "being of other samples."
    else:
        yield "**No accuracy here is comparable with a published one:** it is of other test samples (column `comparable`), and"
        yield "published accuracies, where there are some, stand beside it for orientation."
    yield ""
    if options.quick:
        yield "A quick run: few recordings and steps, so its accuracies are no result."
        yield ""


def _claim(tables: Rows) -> Iterator[str]:
    yield "## The claim: once reconciled, all backends give the same accuracy"
    yield ""
    published = tables.get("published", ())
    for name, network in PUBLISHED.items():
        theirs = [row["accuracy"] for row in published if row["network"] == network]
        spread = f"; published: {_range(theirs)} on {len(theirs)} platforms" if theirs else ""
        if name in tables:
            rewritten = [row for row in tables[name] if row["mode"] == str(Mode.RECONCILED)]
            yield f"- {title(tables, name)}: {_held(rewritten)}{spread}."
        elif theirs:
            yield f"- {title(tables, name)}: not run, the samples are not here (they are not embedded){spread}."
    trace = "norse" if published else "in steps"
    rows = [row for row in tables["lif_backends"] if row["trace"] == trace]
    same = ", ".join(row["backend"] for row in rows if row["steps_differing"] == 0)
    others = ", ".join(row["backend"] for row in rows if row["steps_differing"] != 0)
    whose = "Norse published" if published else "the equation in steps gives"
    yield f"- One neuron: nothing to reconcile in {same or 'nobody'}, which spike in the steps that {whose}"
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
    rules, rows = tables.get("lif_rules", ()), tables["lif_backends"]
    yield "## One neuron"
    yield ""
    yield f"LIF, τ = 2.5 ms, r = 1, θ = 0.1, 1000 steps of 0.1 ms, fed {rows[0]['dataset']}. Gaps of the membrane are in volts,"
    yield "each trace's own unit being taken out."
    yield ""
    yield from _explained(rules) if rules else ()
    yield from markdown_table(
        ("backend here", "spikes", "traces with the same spikes", f"of these, membrane within {SAME:g} V"),
        [_own(rows, name) for name in dict.fromkeys(row["backend"] for row in rows)],
    )
    yield ""
    yield "![traces](lif_traces.png)"


def _explained(rules: Sequence[Row]) -> Iterator[str]:
    """The published traces and their rules."""
    explained = [row for row in rules if row["explained"]]
    yield "Offsets are in steps from the continuous solution. *late*: read so many steps after the update. *ties*: other"
    yield "rules that give the same."
    yield ""
    yield from markdown_table(
        ("trace", "spikes", "offsets", "RMS from continuous", "the rule that gives it", "late", "largest gap to it", "ties"),
        [_rule(row) for row in rules],
    )
    yield ""
    yield f"{len(explained)} of {len(rules)} traces are explained: every spike, and the membrane to single precision, or to the"
    yield "last unit where it is whole numbers (but for what a chip reads out in the step of a spike)."
    yield ""


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


def _made(options: PaperOptions, tables: Rows, chosen: Sequence[Backend], seconds: float) -> Iterator[str]:
    where = f"{VARIABLE}=… " if "published" in tables and options.paper_dir is None else ""
    yield from how_made(f"{where}{options.command}", seconds, used=chosen)
