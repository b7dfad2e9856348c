"""Whatever is asked of a user's module, it is afterwards as it was: same objects, same bits."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, ClassVar

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import nn

from nir_interop.backends.adapter import load_adapter
from nir_interop_adapters.left_alone import left_alone
from tests.transfer.own_networks import NAMES, network, seen

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

CASES = [(library, name) for library, names in NAMES.items() for name in names]


def state(module: nn.Module) -> list[Any]:
    """All that a module holds: which objects, and their bits."""
    return [
        *(each for child in module.modules() for each in looked_at(vars(child), 0)),
        [(id(type(child)), id(child), child.training) for child in module.modules()],
        [id(each) for each in snn.SpikingNeuron.instances],
        id(snn.SpikingNeuron.instances),
        torch.get_rng_state().tolist(),
        [part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state()],
        random.getstate(),
        (torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype()),
    ]


def looked_at(value: Any, depth: int) -> Iterator[Any]:
    if isinstance(value, torch.Tensor):
        bits = value.detach().contiguous().numpy().tobytes()
        yield id(value), value.data_ptr(), value.shape, value.dtype, value.requires_grad, value.is_leaf, id(value.grad_fn), bits
        if value.is_leaf and value.grad is not None:
            yield id(value.grad), value.grad.numpy().tobytes()
    elif isinstance(value, dict):
        yield [(key, id(each)) for key, each in value.items()]
        for each in value.values():
            yield from looked_at(each, depth + 1)
    elif isinstance(value, (list, tuple)):
        yield [id(each) for each in value]
        for each in value:
            yield from looked_at(each, depth + 1)
    elif isinstance(value, (int, float, str, bool, type(None))):
        yield value
    else:
        yield id(value)


@pytest.mark.parametrize(("library", "name"), CASES)
@pytest.mark.parametrize("asked", ["record", "describe", "export_own", "record with an error", "describe with an error"])
def test_a_module_is_afterwards_as_it_was(library: str, name: str, asked: str) -> None:
    own, adapter = network(library, name), load_adapter(library)
    module = own.trained()
    x = seen(own, 2)[0].numpy()
    module.train()
    for number, weights in enumerate(module.parameters()):
        weights.grad = torch.full_like(weights, float(number))
    handle = next(module.children()).register_forward_hook(lambda *_: None)
    before = state(module)

    def fails(net: Any, _: Any) -> Any:
        net.eval()
        torch.rand(3)
        for weights in net.parameters():
            weights += 1
            weights.grad = None
            weights.requires_grad_(False)
        net.hidden_state = torch.ones(2)
        raise ZeroDivisionError("of the user's own")

    if asked == "record":
        adapter.record(module, x)
    elif asked == "describe":
        adapter.describe(module, x[0], own.dt)
    elif asked == "export_own":
        with suppress(Exception):
            adapter.export_own(module, x[0], own.dt)
    elif asked == "record with an error":
        with pytest.raises(ZeroDivisionError):
            adapter.record(module, x, fails)
    else:
        with suppress(Exception):
            adapter.describe(module, x[0], own.dt, fails)
    after = state(module)
    handle.remove()
    assert after == before


def test_states_that_training_left_with_a_gradient_still_lead_back() -> None:
    net = nn.Sequential(nn.Linear(3, 2), snn.Leaky(beta=0.9, init_hidden=True, output=True))
    loss = sum(net(torch.ones(4, 3))[1].sum() for _ in range(3))
    assert net[1].mem.grad_fn is not None
    with pytest.raises(RuntimeError):
        copy.deepcopy(net)
    load_adapter("snntorch").record(net, np.ones((5, 4, 3)))
    assert isinstance(loss, torch.Tensor)
    loss.backward()
    assert net[0].weight.grad is not None


def test_what_a_module_holds_in_containers_objects_and_classes_comes_back() -> None:
    class Kept(nn.Module):
        made: ClassVar[list[int]] = [1]
        scale = torch.ones(2)

        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(2, 2)
            self.history: list[torch.Tensor] = [torch.zeros(2)]
            self.table = {"a": {"b": np.zeros(3)}}
            self.generator = torch.Generator().manual_seed(4)
            self.drawn = np.random.default_rng(5)
            self.register_buffer("count", torch.tensor(3))

    net = Kept()
    fc, history, first, inner = net.fc, net.history, net.history[0], net.table["a"]["b"]
    generator, drawn = net.generator.get_state().clone(), net.drawn.bit_generator.state
    with pytest.raises(KeyError), left_alone(net):
        net.fc, net.history = nn.Linear(2, 2), []
        history.append(torch.ones(1))
        first += 5
        inner[:] = 7
        Kept.made.append(2)
        Kept.scale *= 3
        Kept.added = 1  # type: ignore[attr-defined]
        torch.rand(2, generator=net.generator)
        net.drawn.random()
        net.count += 1  # type: ignore[operator]
        net.half()
        torch.set_num_threads(2 if torch.get_num_threads() == 1 else 1)
        raise KeyError
    assert net.fc is fc and fc.weight.dtype is torch.float32
    assert net.history is history and [id(each) for each in history] == [id(first)]
    assert first.tolist() == [0, 0] and inner.tolist() == [0, 0, 0]
    assert Kept.made == [1] and Kept.scale.tolist() == [1, 1] and not hasattr(Kept, "added")
    assert torch.equal(net.generator.get_state(), generator) and net.drawn.bit_generator.state == drawn
    assert net.get_buffer("count").item() == 3
