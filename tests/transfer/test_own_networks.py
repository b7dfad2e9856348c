"""Networks as people write them, from the trained module to every other library, against the module run by hand."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest

import nir_interop as ni
from nir_interop.compare import assert_same_spikes
from nir_interop.vocabulary import Status
from tests.known import STORE
from tests.transfer.imported_by_hand import imported, run
from tests.transfer.own_networks import NAMES, OwnNetwork, fresh, network, seen

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

ALL = [pytest.param(library, name, id=f"{library}_{name}") for library, names in NAMES.items() for name in names]
QUICK = {"snntorch_rleaky_zero": "spikingjelly", "norse_lifcell_v_reset": "snntorch", "spikingjelly_convolutional": "norse"}
"""Networks that are moved to one library in the quick tests; the slow ones move all networks to all."""
EVERY = [pytest.param(*each.values, tuple(NAMES), id=each.id, marks=pytest.mark.slow) for each in ALL]
ONE = [pytest.param(*each.values, (QUICK[str(each.id)],), id=f"{each.id}_quick") for each in ALL if each.id in QUICK]


@pytest.fixture
def own(library: str, name: str) -> OwnNetwork:
    pytest.importorskip(library)
    return network(library, name)


@pytest.mark.parametrize(("library", "name"), ALL)
def test_every_layer_of_a_network_fires_and_the_network_has_learnt(own: OwnNetwork) -> None:
    for x, labels in (seen(own), fresh(own)):
        rates = own.rates(x)
        assert len(rates) >= 2
        assert all(0.005 < rate < 0.6 for rate in rates.values()), rates
        right = (own.output(x).sum(0).argmax(1) == labels.numpy()).mean()
        assert right > 0.15, right


@pytest.mark.parametrize(("library", "name"), ALL)
def test_what_the_librarys_own_exporter_makes_of_a_network(own: OwnNetwork, tmp_path: Path) -> None:
    sample = seen(own)[0][0, :1]
    if not own.exported:
        nir.write(tmp_path / "own.nir", own.export(own.trained(), sample))
        assert nir.read(tmp_path / "own.nir").nodes
        return
    with pytest.raises(Exception, match=own.exported):
        nir.write(tmp_path / "own.nir", own.export(own.trained(), sample))


@pytest.mark.parametrize(("library", "name", "targets"), [*ONE, *EVERY])
def test_a_network_computes_elsewhere_what_it_computes_at_home(
    own: OwnNetwork, targets: tuple[str, ...], tmp_path: Path
) -> None:
    """The written file, by the target's own importer alone, on other images, at another rate and for longer than was tried."""
    x, labels = seen(own)
    unseen, _ = fresh(own)
    moved = ni.transfer(own.trained(), x[0, :1], to=targets, input=x, labels=labels, store=STORE)
    assert list(moved) == list(targets)
    wanted = own.output(unseen)
    assert wanted.sum() > 200
    right = float((own.output(x).sum(0).argmax(1) == labels.numpy()).mean())
    for name in targets:
        path = moved[name].write(tmp_path / f"{name}.nir")
        made = run(imported(name, path, 1e-4 if name == "snntorch" else own.dt), unseen)
        assert_same_spikes(made, wanted, network=own.name, backend=name)
        assert (moved[name].status, moved[name].to_dict()["accuracy"]) == (Status.EXACT, [right, right])
    np.testing.assert_array_equal(own.output(unseen), wanted)
    faithful = own.library == "spikingjelly" and not own.exported
    assert moved.exported_by == ("spikingjelly" if faithful else "nir-interop")


def test_all_networks_have_a_name_by_which_they_are_found() -> None:
    for library, names in NAMES.items():
        pytest.importorskip(library)
        assert [network(library, name).name for name in names] == list(names)
