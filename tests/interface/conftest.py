"""A graph that libraries run differently, as a file, and an input for it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nir_interop as ni
from nir_interop.graphs import Graph, write
from nir_interop.interface.results import Check, Explanation, Reconciliation
from tests.strategies import lif, node, port

R = 25.0
"""The resistance that Norse takes no notice of."""


@pytest.fixture(scope="session")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Affine and LIF, 8 → 4, as snnTorch writes them: r = tau/dt."""
    random = np.random.default_rng(0)
    weight = random.normal(0.1, 0.3, (4, 8)).astype(np.float32)
    nodes = {
        "input": port("Input", 8),
        "fc1": node("Affine", weight=weight, bias=np.zeros(4, np.float32)),
        "lif1": lif(4, tau=2.5e-3, r=R),
        "output": port("Output", 4),
    }
    path = tmp_path_factory.mktemp("graph") / "my_graph.nir"
    write(path, Graph(nodes, tuple(pairwise(nodes))))
    return path


@pytest.fixture(scope="session")
def x() -> Any:
    """100 steps, 4 samples, 8 inputs."""
    return (np.random.default_rng(0).random((100, 4, 8)) < 0.3).astype(np.float32)


@pytest.fixture(scope="session")
def checked(graph: Path, x: Any) -> Check:
    return ni.check(graph, input=x, backends=["norse", "snntorch"])


@pytest.fixture(scope="session")
def why(graph: Path, x: Any) -> Explanation:
    return ni.explain(graph, backend="norse", input=x)


@pytest.fixture(scope="session")
def fixed(graph: Path, x: Any) -> Reconciliation:
    return ni.reconcile(graph, to="norse", input=x)
