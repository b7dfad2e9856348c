"""Networks as people write them, from the trained module to every other library, against the module run by hand."""

from __future__ import annotations

from pathlib import Path

import nir
import pytest

from tests.transfer.own_networks import NAMES, OwnNetwork, fresh, network, seen

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

ALL = [pytest.param(library, name, id=f"{library}_{name}") for library, names in NAMES.items() for name in names]


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


def test_all_networks_have_a_name_by_which_they_are_found() -> None:
    for library, names in NAMES.items():
        pytest.importorskip(library)
        assert [network(library, name).name for name in names] == list(names)
