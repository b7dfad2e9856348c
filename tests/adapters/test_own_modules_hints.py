"""Every hint about an exporter is true: the trouble is there, and gone once its advice is followed."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from torch import nn

from nir_interop.backends.adapter import load_adapter
from nir_interop.backends.own_modules import Hint, OwnModule, OwnNode
from tests.adapters.own_steps import computed

with warnings.catch_warnings():
    # Of torch's, while libraries are imported.
    warnings.simplefilter("ignore")
    from tests.adapters.own_troubles import (
        DT,
        FAILS,
        SIZE,
        TROUBLES,
        Averaged,
        box,
        box_on,
        fc,
        full,
        leaky,
        leaky_on,
        node,
        norse,
        stimulus,
    )

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning", "ignore::RuntimeWarning"
)


def hints(described: OwnModule) -> list[Hint]:
    return [hint for each in described.nodes.values() for hint in each.hints]


def exported(library: str, module: nn.Module, folder: Path, dt: float) -> OwnModule:
    """What the file of a module's own exporter says; raises whatever stands in its way."""
    graph = load_adapter(library).export_own(module, stimulus(module)[0], dt)
    nir.write(folder / "own.nir", graph)
    return as_described(nir.read(folder / "own.nir"), DT[library])


def failing(library: str, module: nn.Module, folder: Path, dt: float) -> str:
    """The status of a file that there is not."""
    try:
        graph = load_adapter(library).export_own(module, stimulus(module)[0], dt)
    except Exception:
        return "export_error"
    try:
        nir.write(folder / "own.nir", graph)
    except Exception:
        return "write_error"
    with pytest.raises(Exception, match=r"."):
        nir.read(folder / "own.nir")
    return "read_error"


def as_described(graph: nir.NIRGraph, dt: float) -> OwnModule:
    nodes: dict[str, OwnNode] = {}
    ends = {}
    edges = []
    for name, each in graph.nodes.items():
        kind = type(each).__name__
        if kind == "NIRGraph":
            inner = as_described(each, dt)
            nodes |= {f"{name}.{key}": value for key, value in inner.nodes.items() if key not in ("input", "output")}
            edges += [
                (f"{name}.{a}", f"{name}.{b}") for a, b in inner.edges if "input" not in (a, b) and "output" not in (a, b)
            ]
            ends[name] = (f"{name}.{inner.edges[[a for a, _ in inner.edges].index('input')][1]}",) * 2
            continue
        renamed = {"Input": "input", "Output": "output"}.get(kind, name)
        ends[name] = (renamed, renamed)
        params = {
            key: np.asarray(value)
            for key, value in vars(each).items()
            if isinstance(value, (np.ndarray, np.generic, int, float, tuple))
        }
        fires = "v_threshold" in params
        nodes[renamed] = OwnNode(kind, params, "NIR" if fires else "", "value" if fires else "")
    edges += [(ends[a][1], ends[b][0]) for a, b in graph.edges]
    return OwnModule(nodes, tuple(edges), dt)


def computes(library: str, module: nn.Module, file: OwnModule) -> bool:
    x = stimulus(module)
    recording = load_adapter(library).record(module, x)
    expected = next(iter(recording.spikes.values())) if isinstance(module, Averaged) else recording.outputs["output"]
    assert expected.any()
    values = computed(file, x)["output"]
    return values.shape == expected.shape and bool((values == expected).all())


def numbered() -> list[Any]:
    return [pytest.param(*each, id=f"{number}-{each[0]}-{each[3]}") for number, each in enumerate(TROUBLES)]


@pytest.mark.parametrize(("library", "module", "trouble", "says", "advised"), numbered())
def test_a_hint_is_true_and_so_is_its_advice(
    library: str, module: nn.Module, trouble: str, says: str, advised: nn.Module | None, tmp_path: Path
) -> None:
    adapter = load_adapter(library)
    described = adapter.describe(module, stimulus(module)[0], DT[library])
    said = [hint for hint in hints(described) if says in hint.says]
    assert said, [hint.says for hint in hints(described)]
    # Norse's exporter is asked with the step at which what it writes is right; what it writes otherwise is a test of its own.
    dt = 1.0 if library == "norse" else DT[library]
    if trouble == FAILS:
        assert failing(library, module, tmp_path, dt) in {each for hint in said for each in hint.concerns}
    else:
        assert not computes(library, module, exported(library, module, tmp_path, dt))
    if advised is not None:
        after = adapter.describe(advised, stimulus(advised)[0], DT[library])
        assert not any(says in hint.says for hint in hints(after))
        assert computes(library, advised, exported(library, advised, tmp_path, dt))


def test_norses_time_constants_are_right_at_a_step_of_1_alone(tmp_path: Path) -> None:
    adapter, module = load_adapter("norse"), box()
    described = adapter.describe(module, stimulus(module)[0], 1e-3)
    assert any("to_nir(net, sample, dt=1)" in hint.says for hint in hints(described))
    assert not computes("norse", module, exported("norse", module, tmp_path, 1e-3))
    assert computes("norse", module, exported("norse", module, tmp_path, 1.0))


def test_a_decay_above_1_is_written_as_it_is(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = leaky(beta=torch.linspace(0.5, 0.9, SIZE).where(torch.arange(SIZE) > 0, torch.tensor(-0.3)), learn_beta=True)
    adapter = load_adapter("snntorch")
    described = adapter.describe(module, stimulus(module)[0], 1e-4)
    assert any("beta.data.clamp_(0, 1)" in hint.says for hint in hints(described))
    assert not computes("snntorch", module, exported("snntorch", module, tmp_path, 1e-4))
    clamped = leaky(beta=module[1].beta.detach().clamp(0, 1), learn_beta=True)  # type: ignore[index,union-attr]
    assert computes("snntorch", clamped, exported("snntorch", clamped, tmp_path, 1e-4))


def test_a_layer_without_trouble_has_no_hint(tmp_path: Path) -> None:
    for library, module in (("snntorch", leaky()), ("spikingjelly", node())):
        assert not hints(load_adapter(library).describe(module, stimulus(module)[0], DT[library]))
        assert computes(library, module, exported(library, module, tmp_path, DT[library]))


def test_one_number_for_a_leaky_integrator_of_norse(tmp_path: Path) -> None:
    from norse.torch.functional.leaky_integrator_box import LIBoxParameters
    from norse.torch.module.leaky_integrator_box import LIBoxCell

    adapter = load_adapter("norse")
    one = norse.SequentialState(fc(), LIBoxCell())
    described = adapter.describe(one, stimulus(one)[0], 1e-3)
    assert any(
        "give tau_mem_inv=torch.full((8,), 100.0), v_leak=torch.full((8,), 0.0)" in hint.says for hint in hints(described)
    )
    with pytest.raises(ValueError, match="type mismatch"):
        exported("norse", one, tmp_path, 1.0)
    each = norse.SequentialState(fc(), LIBoxCell(LIBoxParameters(full(100.0), full(0.0))))
    assert exported("norse", each, tmp_path, 1.0).nodes["1"].kind == "LI"


@pytest.mark.parametrize(("window", "hinted"), [(2, True), ((2, 2), False)])
def test_one_number_for_a_window_is_not_taken_by_snntorchs_own_importer(window: Any, hinted: bool, tmp_path: Path) -> None:
    from snntorch.import_nir import import_from_nir

    module = nn.Sequential(nn.AvgPool2d(window), leaky_on(2, 2, 2))
    described = load_adapter("snntorch").describe(module, stimulus(module)[0], 1e-4)
    found = [hint for hint in hints(described) if "give nn.AvgPool2d((2, 2))" in hint.says]
    assert bool(found) == hinted and all("import_error" in hint.concerns for hint in found)
    exported("snntorch", module, tmp_path, 1e-4)
    if hinted:
        with pytest.raises(TypeError, match="not iterable"):
            import_from_nir(nir.read(tmp_path / "own.nir"))
    else:
        import_from_nir(nir.read(tmp_path / "own.nir"))


def test_norse_holds_time_in_a_module_or_in_a_cell_of_the_same_parameters(tmp_path: Path) -> None:
    with pytest.raises(AttributeError, match="to_dict"):
        exported("norse", norse.SequentialState(fc(), norse.LIF()), tmp_path, 1.0)
    p = norse.LIFParameters(*map(full, (200.0, 100.0, 0.0, 1.0)))
    cell = norse.SequentialState(fc(), norse.LIFCell(p))
    assert exported("norse", cell, tmp_path, 1.0).nodes["1"].kind == "CubaLIF"
    adapter, x = load_adapter("norse"), stimulus(cell)
    whole = adapter.record(norse.SequentialState(fc(), norse.LIF()), x)
    assert whole.output.any()
    np.testing.assert_array_equal(whole.output, adapter.record(cell, x).output)


def test_what_norses_convolutions_need_to_be_written(tmp_path: Path) -> None:
    adapter = load_adapter("norse")
    without, zeros = (norse.SequentialState(nn.Conv2d(2, 4, 3, bias=bias), box_on(4, 3, 3)) for bias in (False, True))
    with torch.no_grad():
        zeros[0].bias.zero_()
    x = np.ones((2, 2, 5, 5))
    found = [
        [hint.says for hint in hints(adapter.describe(each, x, 1e-3)) if "without a bias" in hint.says]
        for each in (without, zeros)
    ]
    assert len(found[0]) == 1 and "with a bias of zeros" in found[0][0] and not found[1]
    with pytest.raises(AttributeError, match="detach"):
        adapter.export_own(without, x, 1.0)
    graph = adapter.export_own(zeros, x, 1.0)
    with pytest.raises(TypeError, match="data, shape or dtype"):
        nir.write(tmp_path / "own.nir", graph)
    graph.nodes["0"].input_shape = (5, 5)
    nir.write(tmp_path / "own.nir", graph)


def test_snntorchs_exporter_takes_a_tenth_of_a_millisecond_for_a_step(tmp_path: Path) -> None:
    module, adapter = leaky(), load_adapter("snntorch")
    described = adapter.describe(module, stimulus(module)[0], 1e-3)
    assert any("makes time constants 0.1 times those at 0.001 s" in hint.says for hint in hints(described))
    file = exported("snntorch", module, tmp_path, 1e-3)
    np.testing.assert_allclose(file.nodes["1"].params["tau"], 0.1 * described.nodes["1"].params["tau"])
