"""What a study asks of the libraries: what its networks have, and what a rewriting may put in their place, no more."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from nir_interop.backends.environments import backend
from nir_interop.explain.identify import KINDS
from nir_interop.fingerprint import Domain, Fingerprint, Identified
from nir_interop.graphs import NEURONS
from nir_interop.networks import CubaLIF, Network
from nir_interop.rule import NIR_MEANING
from nir_interop.store.store import Store
from nir_interop.transfer import fingerprints
from nir_interop.transfer.deployment import neurons_in
from nir_interop.transfer.fingerprints import NATIVE_KINDS, NativeRules, import_fingerprint, native_neurons, native_rules
from nir_interop.vocabulary import Idiom
from nir_interop.workers.live import LiveBackend
from nir_interop_studies.csnn_mnist.network import csnn

PLAIN = ("I", "IF", "LI", "LIF")


def test_neurons_with_a_synapse_are_asked_for_where_a_network_has_some() -> None:
    cuba = CubaLIF(name="lif", tau_syn=1e-3, tau_mem=2e-3, r=1.0, w_in=1.0)
    assert neurons_in((csnn(0),)) == PLAIN
    assert neurons_in((csnn(0), Network("cuba", (3,), (cuba,)))) == NEURONS


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The primitives of each time that a library is asked, which is not done here."""
    found: list[set[str]] = []

    def identify(_run: object, *, name: str, kinds: Iterable[str]) -> Fingerprint:
        found.append({*kinds})
        return Fingerprint(name, rules=Domain({kind: Identified(NIR_MEANING, 1) for kind in kinds}))

    def probed(live: LiveBackend, store: Store, kinds: tuple[str, ...], recurrent: bool) -> tuple[NativeRules, bool]:
        found.append({*kinds})
        return NativeRules(live.backend.name, (), {}), True

    monkeypatch.setattr(fingerprints, "identify", identify)
    monkeypatch.setattr(fingerprints, "_probed", probed)
    return found


def test_an_importer_is_asked_for_some_neurons_and_for_all_that_are_none(tmp_path: Path, asked: list[set[str]]) -> None:
    some = import_fingerprint(backend("reference"), Store(tmp_path), kinds=PLAIN)
    assert [{*KINDS} - kinds for kinds in asked] == [{"CubaLI", "CubaLIF"}]
    assert import_fingerprint(backend("reference"), Store(tmp_path), kinds=PLAIN) == some
    assert import_fingerprint(backend("reference"), Store(tmp_path)) != some
    assert len(asked) == 2


def test_who_knows_all_neurons_asks_for_none(tmp_path: Path, asked: list[set[str]]) -> None:
    reference, store = backend("reference"), Store(tmp_path)
    native_rules(reference, csnn(0), Idiom.PORTABLE, store)
    assert asked == [{"LIF"}]
    every, own = import_fingerprint(reference, store), native_neurons(reference, store)
    assert asked[1:] == [{*KINDS}, {*NATIVE_KINDS}]
    assert import_fingerprint(reference, store, kinds=PLAIN) == every
    assert native_neurons(reference, store, kinds=("LIF",)) == own
    assert len(asked) == 3
