"""Which names are safe, and what stands for those that are not."""

from __future__ import annotations

import builtins
import keyword
import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nir_interop.safe_names import LONGEST, RESERVED, is_harmless, is_numbered, is_safe, mangled, replacements, unsafe
from tests.names.hostile import NAMES, PAYLOADS

SAFE = ("input", "output", "lif1", "lif1.w_rec", "lif1.lif", "Conv2d_0", "a_b", "n", "network.fc1")
AWKWARD = st.lists(
    st.one_of(
        st.sampled_from([*SAFE, *NAMES, *(sorted(RESERVED)[:5]), "a.b", "a_b", "a", "a0", "a-b", "lif1_raw", "", "."]),
        st.text(alphabet="ab0._-A\"'é ", max_size=6),
        st.text(max_size=8),
    ),
    max_size=12,
    unique=True,
)


@pytest.mark.parametrize("name", SAFE)
def test_an_ordinary_name_stays(name: str) -> None:
    assert is_safe(name) and is_harmless(name)
    assert not replacements([name, "other"])


@pytest.mark.parametrize("name", NAMES)
def test_every_other_name_is_replaced(name: str) -> None:
    called = replacements([name, "input", "output"])
    assert is_safe(called[name])
    assert set(called) == {name}


@pytest.mark.parametrize("name", PAYLOADS)
def test_code_is_not_harmless(name: str) -> None:
    assert not is_harmless(name)


@given(AWKWARD)
def test_safe_names_are_safe_distinct_and_in_the_same_order(names: list[str]) -> None:
    called = replacements(names)
    new = [called.get(name, name) for name in sorted(names)]
    assert all(map(is_safe, new))
    assert all(a < b for a, b in pairwise(new)), "the order of names is what some libraries run nodes by"
    assert len(set(map(mangled, new))) == len(names)
    assert not unsafe(new)
    assert all(name != other for name, other in called.items())
    assert not replacements(new), "a file that was rewritten is not rewritten again"


@given(AWKWARD)
def test_safe_names_depend_on_nothing_but_the_names(names: list[str]) -> None:
    assert replacements(names) == replacements(reversed(names))


def test_a_part_before_a_dot_is_shared_as_it_was() -> None:
    called = replacements(["0.lif", "0.w_rec", "1", "input"])
    first, second = called["0.lif"], called["0.w_rec"]
    assert first.split(".") == [second.split(".")[0], "lif"], "snnTorch looks for the part before the dot"


def test_names_that_become_one_when_dots_go_are_told_apart() -> None:
    called = replacements(["a.b", "a_b", "input"])
    new = [called.get(name, name) for name in ("a.b", "a_b")]
    assert len({mangled(name) for name in new}) == 2


def test_what_nirtorch_keeps_beside_an_output_is_nobodys_name() -> None:
    assert unsafe(["lif", "lif_raw"]) == {"lif_raw"}
    assert unsafe(["rec", "rec_prev_output"]) == {"rec_prev_output"}
    assert unsafe(["lif_raw", "other"]) == set()


def test_numbers_are_told_from_names_that_a_user_must_know_of() -> None:
    assert is_numbered("0") and is_numbered("layers.0") and is_numbered("12.lif")
    assert not any(is_numbered(name) for name in ("fc", "training", "0;", "__class__", "0.training"))


def test_a_long_name_is_cut() -> None:
    assert is_safe("x" * LONGEST) and not is_safe("x" * (LONGEST + 1))
    assert len(replacements(["x" * 5000])["x" * 5000]) <= LONGEST


def modules() -> Iterator[Any]:
    """One of each module that a library makes of a graph, and of those that a network is built of."""
    import nir
    import nirtorch
    import numpy as np
    import torch
    from nirtorch.graph_executor import GraphExecutor

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import norse.torch as norse

    graph = nir.NIRGraph(
        {"a": nir.Input(np.array([2])), "b": nir.Linear(np.eye(2, dtype=np.float32)), "c": nir.Output(np.array([2]))},
        [("a", "b"), ("b", "c")],
    )
    yield torch.nn.Module()
    yield torch.nn.ModuleDict()
    yield torch.nn.Sequential()
    yield nirtorch.nir_to_torch(graph, {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        executor = nirtorch.load(graph, lambda node: torch.nn.Linear(2, 2) if isinstance(node, nir.Linear) else None)
    assert isinstance(executor, GraphExecutor)
    yield executor
    yield norse.SequentialState()


def test_every_attribute_of_the_modules_that_libraries_build_is_reserved() -> None:
    found = {name for each in modules() for name in dir(each)} - {"a", "b", "c"}
    assert len(found) > 100
    assert not [name for name in sorted(found) if is_safe(name)], "nir_interop.safe_names.RESERVED lacks these"


def test_a_node_of_any_safe_word_runs_as_one_of_a_plain_name() -> None:
    import nir
    import nirtorch
    import numpy as np
    import torch

    words = {*dir(builtins), *keyword.softkwlist, "state_", "inf", "nan", "NoneType", "ones", "zeros", "input_1", "operator"}
    words |= {"fx_pytree", "pytree", "typing", "nirtorch", "Device", "root", "x", "is_", "add", "getitem", "ternary_operator"}
    weights = 2 * np.eye(2, dtype=np.float32)
    wrong = []
    for word in sorted(filter(is_safe, words)):
        nodes = {"in_": nir.Input(np.array([2])), word: nir.Linear(weights), "z": nir.Linear(weights)}
        nodes["zz"] = nir.Output(np.array([2]))
        graph = nir.NIRGraph(nodes, [("in_", word), (word, "z"), ("z", "zz")])
        out, _ = nirtorch.nir_to_torch(graph, {})(torch.ones(1, 2))
        if out.tolist() != [[4.0, 4.0]]:
            wrong.append(word)
    assert not wrong
