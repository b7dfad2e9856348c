"""What cannot be used is refused in one line, by an exception of the tree."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch

import nir_interop as ni
from nir_interop.memory import VARIABLE, allowed, memory_limit

INPUTS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "an axis too few": (lambda x: x[0], r"the input has 2 axes, the graph needs 3: \(T, B, 8\)"),
    "an axis too many": (lambda x: x[..., None], "the input has 4 axes"),
    "another size": (lambda x: x[..., :7], r"samples of shape \(7,\), the graph's input takes \(8,\)"),
    "no steps": (lambda x: x[:0], "one of them is empty"),
    "NaN": (lambda x: np.where(x == 1, np.nan, x), "NaN or values beyond float32"),
    "infinity": (lambda x: np.where(x == 1, np.inf, x), "NaN or values beyond float32"),
    "values beyond single precision": (lambda x: x * np.float64(1e300), "NaN or values beyond float32"),
    "complex numbers": (lambda x: x * 1j, "holds complex"),
    "objects": (lambda x: x.astype(object), "holds object, not real numbers"),
    "text": (lambda x: np.full(x.shape, "one"), "not real numbers"),
    "lists of unlike lengths": (lambda x: [[1], [1, 2]], "no array of numbers"),
    "a type that NumPy lacks": (lambda x: torch.tensor(x, dtype=torch.bfloat16), "no array of numbers"),
    "a tensor without memory": (lambda x: torch.empty(x.shape, device="meta"), "no array of numbers"),
    "a file that is not there": (lambda x: "none.npz", "cannot be read"),
}


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_that_does_not_fit_is_refused(name: str, graph: Path, x: Any) -> None:
    made, said = INPUTS[name]
    for call in (ni.simulate, lambda graph, input: ni.check(graph, input=input)):
        with pytest.raises(ni.BadStimulus, match=said) as raised:
            call(graph, made(x))
        assert len(str(raised.value).splitlines()) == 1


CALLS: dict[str, tuple[Callable[[Path, Any], Any], type[Exception], str]] = {
    "no path": (lambda g, x: ni.simulate(3, x), ni.BadInput, "the graph is 'int'; give the path"),
    "a path of bytes": (lambda g, x: ni.simulate(os.fsencode(g), x), ni.BadInput, "the graph is 'bytes'"),
    "no file": (lambda g, x: ni.check("none.nir"), ni.UnreadableGraph, "none.nir"),
    "a folder": (lambda g, x: ni.check(g.parent), ni.UnreadableGraph, "it is a directory"),
    "an unknown backend": (lambda g, x: ni.check(g, backends=["nose"]), ni.UnknownName, "no backend 'nose'; there are "),
    "no backend": (lambda g, x: ni.check(g, backends=[]), ni.BadInput, "none is named"),
    "an unknown target": (lambda g, x: ni.reconcile(g, to="nose"), ni.UnknownName, "no backend 'nose'"),
    "an unknown source": (lambda g, x: ni.reconcile(g, to="norse", source="nose"), ni.UnknownName, "no backend 'nose'"),
    "an unknown rule": (lambda g, x: ni.reconcile(g, to="norse", rule="reset=never"), ni.BadInput, "reset is one of"),
    "unknown rules": (lambda g, x: ni.rules("nose"), ni.UnknownName, "no backend 'nose'"),
    "no step": (lambda g, x: ni.check(g, dt=0), ni.BadInput, "dt 0: a time step is a positive number of seconds"),
    "a step that is no number": (lambda g, x: ni.simulate(g, x, dt=float("nan")), ni.BadInput, "dt nan"),
    "a step that is text": (lambda g, x: ni.explain(g, backend="norse", dt="short"), ni.BadInput, "dt 'short'"),
    "no step of a side": (lambda g, x: ni.reconcile(g, to="norse", dt_to=-1), ni.BadInput, "dt_to -1"),
    "a seed that is no whole number": (lambda g, x: ni.check(g, seed=0.5), ni.BadInput, "seed '0.5': give a whole number"),
    "a seed below zero": (lambda g, x: ni.check(g, seed=-1), ni.BadInput, "seed '-1'"),
    "fewer than no workers": (lambda g, x: ni.check(g, jobs=-1), ni.BadInput, "jobs '-1'"),
    "no time": (lambda g, x: ni.check(g, time_limit=0), ni.BadInput, "time_limit 0"),
    "too little time": (lambda g, x: ni.simulate(g, np.tile(x, (3000, 1, 1)), time_limit=0.1), ni.TooSlow, "--time-limit"),
    "no memory": (lambda g, x: ni.check(g, memory_limit=0), ni.BadInput, "--memory-limit 0"),
    "too little memory": (lambda g, x: ni.simulate(g, x, memory_limit=1e-6), ni.BadInput, "more than 1e-06 GiB"),
    "a folder that is a file": (lambda g, x: ni.check(g, save=g), ni.BadInput, "save .*: that is no folder"),
    "a store that is a file": (lambda g, x: ni.rules("norse", store=g), ni.BadInput, "the store cannot be written"),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_cannot_be_used_is_refused_in_one_line(
    name: str, graph: Path, x: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call, error, said = CALLS[name]
    with pytest.raises(error, match=said) as raised:
        call(graph, x)
    assert len(str(raised.value).splitlines()) == 1 and str(raised.value).isprintable()


def test_a_graph_that_means_nothing_is_refused(x: Any) -> None:
    lif = nir.LIF(*(np.ones(3) for _ in range(4)))
    ends = {"input": nir.Input({"input": np.array([8])}), "output": nir.Output({"output": np.array([3])})}
    broken = nir.NIRGraph({**ends, "lif": lif}, [("input", "lif"), ("lif", "output")], type_check=False)
    with pytest.raises(ni.InvalidGraph):
        ni.check(broken)
    broken.nodes["lif"] = None
    with pytest.raises(ni.InvalidGraph, match="'lif' is None"):
        ni.simulate(broken, x)
    broken.nodes["lif"] = lif
    broken.edges = [("input",)]
    with pytest.raises(ni.InvalidGraph, match="cannot be written"):
        ni.simulate(broken, x)


def test_a_batch_of_one_may_be_in_the_input_or_not(graph: Path, x: Any) -> None:
    plain = ni.simulate(graph, x).digest()
    assert ni.simulate(graph, x[:, :, None]).digest() == plain


def test_how_a_graph_is_read_otherwise_is_told(tmp_path: Path, graph: Path, x: Any) -> None:
    found = nir.read(graph)
    found.nodes["input"].input_type = {"input": np.array([1, 8])}
    told: list[str] = []
    checked = ni.check(found, input=x, backends=["reference"], tell=told.append)
    (line,) = checked.read_as
    assert "a batch of 1" in line and told == [f"graph.nir: {line}"]
    assert line in checked._repr_html_().replace("&#x27;", "'")


def test_limits_on_memory_of_threads_that_overlap_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    before, first, second = memory_limit(), threading.Event(), threading.Event()

    def other() -> None:
        with allowed(2):
            first.set()
            second.wait(10)

    thread = threading.Thread(target=other)
    with allowed(1):
        thread.start()
        first.wait(10)
        assert memory_limit() == 2
    assert memory_limit() == 2
    second.set()
    thread.join()
    assert memory_limit() == before and VARIABLE not in os.environ
