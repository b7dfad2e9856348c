"""Backends that do with names what libraries do, without a library: run them as code, and write them into files."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import nir
import numpy as np

from nir_interop.backends.adapter import Adapter, Array
from nir_interop.backends.environments import Backend
from nir_interop.recording import Recording
from nir_interop.vocabulary import Idiom
from tests.matrix.fakes import ROOT, Honest
from tests.names.hostile import PAYLOADS


class Executing(Honest):
    """Runs names as nirtorch does, reads files by itself, and answers with what comes in; says which names it saw."""

    name: ClassVar[str] = "executing"
    idioms: ClassVar[Mapping[Idiom, str]] = {}

    def load(self, path: Path, dt: float) -> Any:
        graph = nir.read(path)
        for name in graph.nodes:
            print(f"[WARNING] ignored: {name}")
            for code in (f'getattr(self, "{name}")', f"print('{name}')", f'("""{name}""")', f"if True:\n    {name}", name):
                with contextlib.suppress(SyntaxError, NameError, AttributeError, TypeError):
                    exec(code, {"self": SimpleNamespace(training=True, named_modules=None)})  # what this test is about
        return graph

    def run(self, model: Any, stimulus: Array) -> Recording:
        names = self.nodes(model)
        spikes = {name: np.zeros((*stimulus.shape[:2], 1), np.uint8) for name in names}
        return Recording({"output": np.asarray(stimulus, dtype=np.float32)}, spikes)


class HostileExporter(Honest):
    """Exports under names that are code."""

    name: ClassVar[str] = "hostile"
    idioms: ClassVar[Mapping[Idiom, str]] = {Idiom.PORTABLE: "as it is"}

    def export(self, model: Any, sample: Array, dt: float) -> nir.NIRGraph:
        kept = [name for name in model.nodes if name not in ("input", "output")]
        called = dict(zip(kept, PAYLOADS, strict=False))
        nodes = {called.get(name, name): each for name, each in model.nodes.items()}
        edges = [(called.get(a, a), called.get(b, b)) for a, b in model.edges]
        return nir.NIRGraph(nodes, edges)


def backend(kind: type[Adapter]) -> Backend:
    """A backend of one of these."""
    module = f"tests.names.name_sensitive_backends:{kind.__name__}"
    return Backend(name=kind.name, module=module, versions={"fake": "1"}, search=(ROOT,))
