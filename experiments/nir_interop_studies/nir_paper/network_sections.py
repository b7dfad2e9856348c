"""The parts of the page on the two networks and their first layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from nir_interop.vocabulary import CONTINUOUS, Mode
from nir_interop_studies.nir_paper import substitute_networks as own
from nir_interop_studies.nir_paper.cell_text import DATASETS, Row, Rows, cosine, merged, share, shortened
from nir_interop_studies.nir_paper.inputs import Held
from nir_interop_studies.pages import markdown_table


def cnn(tables: Rows, digits: Held | None) -> Iterator[str]:
    """N-MNIST."""
    if digits is None:
        raise ValueError("first layers are compared on some digits")
    rows = tables["cnn"]
    comparable = "comparable" if rows[0]["comparable"] else "**not comparable**"
    yield "## The convolutional network for N-MNIST"
    yield ""
    yield f"{rows[0]['samples']} test recordings of {DATASETS.get(rows[0]['dataset'], rows[0]['dataset'])}, as frames of 1 ms;"
    yield f"{comparable} with the published accuracies. `cnn_sinabs.nir` holds IF neurons with r = 1, so that an input's gain"
    yield "is dt, and the network that was trained is what the graph means at dt = 1 s."
    yield ""
    yield from _crossed(rows)
    yield ""
    yield "### Which dt and gain each platform in effect used"
    yield ""
    yield from markdown_table(
        ("backend", "dt asked", "dt used", "gain of an input", "spikes of the first layer", "at gain 1"),
        merged([_gain(row) for row in tables["cnn_gain"]], 1),
    )
    yield ""
    yield f"(First layer alone, on {digits.name}, {len(digits)} recordings.) The same network under single rules:"
    yield ""
    yield from markdown_table(
        ("rule", "known of", "gain", "accuracy", f"first-layer spikes on {digits.name}", "Speck's", "cosine to Speck's rates"),
        [_rule(row) for row in tables["cnn_rules"]],
    )
    yield ""
    yield from _gains_said(tables)


def _gains_said(tables: Rows) -> Iterator[str]:
    rules = tables["cnn_rules"]
    least = min((row for row in tables["published"] if row["network"] == "cnn"), key=lambda row: row["accuracy"], default=None)
    low = [row for row in rules if row["gain"] < 1 and least is not None and row["accuracy_high"] < least["accuracy_low"]]
    if least is not None and low:
        gains = ", ".join(f"{row['gain']:g} ({100 * row['accuracy']:.0f} %)" for row in low)
        yield f"At gains of {gains} the network does not work; the least published accuracy is"
        yield f"{100 * least['accuracy']:.1f} % ({least['platform']}). So no published platform used the gain that the equation"
        yield "has at any of these steps: all added inputs (about) as they are, which is dt = 1 s for r = 1, whatever step they"
        yield "were given. Of a neuron without leak only this gain depends on the step, so that no more can be told of it."
    measured = [row for row in rules if row["rate_cosine_to_speck"] is not None and row["gain"] == 1]
    if measured:
        near = max(measured, key=lambda row: row["rate_cosine_to_speck"])
        others = ", ".join(f"{row['rate_cosine_to_speck']:.3f}" for row in measured if row is not near)
        ratio = near["first_layer_spikes"] / near["spikes_of_speck"]
        yield ""
        yield f'Speck\'s published first layer is nearest to "{near["rule"]}": cosine of rates'
        yield f"{near['rate_cosine_to_speck']:.3f}, {100 * ratio:.1f} % of its spikes. The other rules: {others}."


def _gain(row: Row) -> Sequence[Any]:
    who = f"{row['backend']} {row['version']}"
    if row["first_layer_spikes"] is None:
        said = f"{row['status']}: {row['error_type']}: {shortened(row['error_message'])}"
        return who, f"{row['dt']:g}", "", "none", said, row["spikes_at_gain_1"]
    # Without a leak the step has no other effect than the gain.
    used = "of no effect" if row["gain"] == 1 != row["dt"] else f"{row['dt_used']:g}"
    return who, f"{row['dt']:g}", used, f"{row['gain']:g}", row["first_layer_spikes"], row["spikes_at_gain_1"]


def _rule(row: Row) -> Sequence[Any]:
    near = row["rate_cosine_to_speck"]
    spikes = row["first_layer_spikes"], row["spikes_of_speck"]
    return row["rule"], row["known_of"], f"{row['gain']:g}", share(row), *spikes, None if near is None else f"{near:.3f}"


def braille(tables: Rows, digits: Held | None = None) -> Iterator[str]:
    """Braille letters."""
    yield "## The recurrent network on Braille letters"
    yield ""
    rows = tables["braille"]
    yield f"{rows[0]['samples']} {DATASETS['braille']}: good for comparing backends, no held-out accuracy, and"
    yield "**not comparable** with the published ones, which are of 140 other samples."
    yield ""
    yield from _crossed(rows)
    yield ""
    yield from _imports(rows)
    yield ""
    yield "What one change of the rule, or all those of one platform, costs, under the reference; the cosines are of the first"
    yield "layer with and without the change:"
    yield ""
    yield from markdown_table(
        ("change", "known of", "accuracy", "read otherwise", "outputs that differ", "cosine of rates", "cosine step by step"),
        [_change(row) for row in tables["braille_rules"]],
    )


def own_cnn(tables: Rows, digits: Held | None = None) -> Iterator[str]:
    """Our own convolutional network."""
    rows = tables[own.CNN]
    yield "## A convolutional network of our own"
    yield ""
    yield "Conv2d 8×5×5, stride 2 · IF · SumPool2d 2 · Affine · IF, r = 1 as in the paper's network;"
    yield f"{rows[0]['samples']} recordings: {DATASETS[rows[0]['dataset']]}, frames of 1 ms;"
    yield "**not comparable** with anything published. The first layer is random, the last fitted in closed form. What the"
    yield "graph means is the network at dt = 1 s: the gain of an input is r·dt."
    yield ""
    yield from _crossed(rows)


def own_recurrent(tables: Rows, digits: Held | None = None) -> Iterator[str]:
    """Our own recurrent network."""
    rows = tables[own.RECURRENT]
    yield "## A recurrent network of our own"
    yield ""
    if "published" in tables:
        yield "In the place of the one on Braille letters: they are not embedded, and no data folder has Braille/braille7.npz."
    yield "Affine · CubaLIF 60 with recurrence · Affine · CubaLIF, fed the events of each row of pixels;"
    yield f"{rows[0]['samples']} recordings: {DATASETS[rows[0]['dataset']]}; **not comparable** with"
    yield "anything published. The first layer and the recurrence are random, the last is fitted in closed form."
    yield ""
    yield from _crossed(rows)
    yield ""
    yield from _imports(rows)


def _imports(rows: Sequence[Row]) -> Iterator[str]:
    """What each library's import of the recurrence does."""
    for row in rows:
        if row["mode"] == str(Mode.NATIVE) and row["status"] != "exact":
            said = shortened(row["why"] or row["error_message"] or "not explained", 300)
            yield f"- {row['backend']}, native: {row['causes'] or row['status']}: {said}"
    meant = next(row for row in rows if row["status"] == "exact")
    for row in rows:
        if row["backend"] == CONTINUOUS and row["accuracy"] is not None and row["accuracy_high"] < meant["accuracy_low"]:
            yield f"- The equations, solved exactly, give {100 * row['accuracy']:.1f} % where steps of {row['dt']:g} s give"
            yield f"  {100 * meant['accuracy']:.1f} %: time constants are two to ten steps here, and the network was trained"
            yield "  with the steps. What has to be kept in a transfer is the update rule, not the differential equation."


def _change(row: Row) -> Sequence[Any]:
    cosines = cosine(row["first_layer_rate_cosine"]), cosine(row["first_layer_time_cosine"])
    differ = f"{row['mismatched']} of {row['outputs']}"
    return row["change"], row["known_of"], share(row), row["classes_differing"], differ, *cosines


def layers(tables: Rows) -> Iterator[str]:
    """First layers in pairs."""
    rows = tables["first_layers"]
    yield "## First layers, in pairs"
    yield ""
    same = [row for row in rows if row["mode"] != "published" and not row["mismatched"]]
    yield from markdown_table(
        ("task", "data", "mode", "pair", "spikes that differ", "cosine of rates (as published)", "cosine step by step"),
        [_pair(row) for row in rows if row not in same],
    )
    yield ""
    for task, mode in dict.fromkeys((row["task"], row["mode"]) for row in same):
        names = [f"{row['one']} – {row['other']}" for row in same if (row["task"], row["mode"]) == (task, mode)]
        yield f"- {task}, {mode}: not one spike differs, both cosines are 1: {', '.join(names)}."
    yield ""
    theirs = [row for row in rows if row["mode"] == "published"]
    ours = [row for row in rows if row["mode"] == str(Mode.RECONCILED)]
    if "lif_rules" not in tables:
        yield "(The paper's own first layers are not here.)"
        yield ""
    if theirs and ours:
        low = min(theirs, key=lambda row: row["time_cosine"])
        yield f"Published pairs: cosines of rates from {min(row['rate_cosine'] for row in theirs):.3f}, step by step from"
        yield f"{low['time_cosine']:.3f} ({low['one']} – {low['other']}). Here, reconciled: step by step from"
        yield f"{min(row['time_cosine'] for row in ours):.4f}; {sum(row['mismatched'] for row in ours)} spikes differ."
        yield ""
        yield from _first_step(theirs, rows)
    yield "![first layers](first_layers.png)"


def _first_step(theirs: Sequence[Row], rows: Sequence[Row]) -> Iterator[str]:
    """The published pair whose difference one cause here is as large as."""
    pair = [row for row in theirs if {row["one"], row["other"]} == {"Norse", "snnTorch"}]
    here = [row for row in rows if row["mode"] == str(Mode.NATIVE) and {row["one"], row["other"]} == {"reference", "norse"}]
    if pair and here:
        yield f"The published Norse – snnTorch pair has {cosine(pair[0]['rate_cosine'])} / {cosine(pair[0]['time_cosine'])};"
        yield f"Norse's import here, against what the graph means, {cosine(here[0]['rate_cosine'])} /"
        yield f"{cosine(here[0]['time_cosine'])}, its cause being in the table of the network above (the samples are others)."
        yield ""


def _pair(row: Row) -> Sequence[Any]:
    pair, differ = f"{row['one']} – {row['other']}", f"{row['mismatched']} of {row['outputs']}"
    return row["task"], row["dataset"], row["mode"], pair, differ, cosine(row["rate_cosine"]), cosine(row["time_cosine"])


def _crossed(rows: Sequence[Row]) -> Iterator[str]:
    yield from markdown_table(
        ("backend", "mode", "dt", "accuracy", "outputs that differ", "in samples", "read otherwise", "causes", "remedy"),
        merged([_cell(row) for row in rows], 2),
    )


def _cell(row: Row) -> Sequence[Any]:
    who = f"{row['backend']} {row['version']}", row["mode"], f"{row['dt']:g}"
    causes = row["causes"] or (shortened(row["why"], 200) if row["why"] else None)
    if row["accuracy"] is None:
        said = f"none: {row['status']}: {row['error_type']}: {shortened(row['error_message'])}"
        return *who, said, "", "", "", causes, row["remedy"]
    differ = f"{row['mismatched']} of {row['outputs']}"
    return *who, share(row), differ, row["recordings_differing"], row["classes_differing"], causes, row["remedy"]


PARTS: Mapping[str, Callable[[Rows, Held | None], Iterator[str]]] = {
    "cnn": cnn,
    own.CNN: own_cnn,
    "braille": braille,
    own.RECURRENT: own_recurrent,
}
"""Task → its part of the page."""
