from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nir_interop.datasets import Images, Recordings, dataset_names, load_dataset
from nir_interop.errors import UnknownName


def test_the_data_sets_are_known_by_name(write_mnist: Callable[..., Path]) -> None:
    assert dataset_names() == ("digits", "digits-events", "mnist", "nmnist")
    for name, kind, samples in (("digits", Images, 360), ("digits-events", Recordings, 360), ("mnist", Images, 3)):
        found = load_dataset(name, train=False, data_dir=write_mnist())
        assert isinstance(found, kind)
        assert len(found) == samples
        assert found.name == name


def test_an_unknown_data_set_is_answered_with_those_there_are() -> None:
    with pytest.raises(UnknownName, match="'cifar'; there are digits, digits-events, mnist, nmnist"):
        load_dataset("cifar", train=True)


def test_importing_data_sets_and_stimuli_imports_no_heavy_library() -> None:
    heavy = ("sklearn", "scipy", "tonic", "torch", "pandas", "pooch", "requests", "nir", "h5py")
    code = f"import sys, nir_interop.datasets, nir_interop.stimuli; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
