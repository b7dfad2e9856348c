"""``nir_interop.upgrade``: one network in all forms that people have it in becomes today's NIR, which computes the same.

What is meant is written out in NumPy; who reads the new file is nir.read and the libraries, called by hand.
"""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest
import torch

import nir_interop as ni
from tests.graphs.old_files import DT, FORMS, INPUTS, NEURONS, meant, write
from tests.known import installed
from tests.transfer.imported_by_hand import imported, run

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of the libraries

X = (np.random.default_rng(3).random((80, 5, INPUTS)) < 0.4).astype(np.float32)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_todays_nir_which_nir_reads_and_computes_what_is_meant(form: str, tmp_path: Path) -> None:
    make, says = FORMS[form]
    old, new = write(tmp_path / "old.nir", make()), tmp_path / "new.nir"
    found = ni.upgrade(old, input=X)
    told = [change.text for change in found.changes]
    for each in says:
        assert any(each in line for line in told), (each, told)
    assert found.readable
    assert found.write(new) == new
    assert nir.serialization.read_version(new) == nir.version
    graph = nir.read(new, type_check=True)
    assert graph.input_type and [tuple(shape) for shape in graph.output_type.values()] == [(NEURONS,)]
    spikes = ni.simulate(new, X).output
    assert np.array_equal(spikes, meant(X)) and 20 < spikes.sum() < 0.8 * spikes.size
    again = ni.upgrade(new, input=X)
    assert not again.changes


@pytest.mark.parametrize("library", ["norse", "snntorch", "spikingjelly"])
def test_every_form_runs_in_the_libraries_once_it_is_upgraded(library: str, tmp_path: Path) -> None:
    installed(library)
    for form, (make, _) in FORMS.items():
        new = ni.upgrade(write(tmp_path / "old.nir", make()), input=X).write(tmp_path / "new.nir")
        made = run(imported(library, new, DT), torch.from_numpy(X))
        assert np.array_equal(made.reshape(meant(X).shape), meant(X)), form
