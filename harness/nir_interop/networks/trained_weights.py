"""Trained weights that come with the project: data, with where they come from.

One pair of files in ``trained/`` for each network that is trained and each library that trains it: ``NETWORK.LIBRARY.npz``
holds the learned parameters by their names, in float32 where that loses nothing and in float64 where it does, and
``NETWORK.LIBRARY.json`` says which library made them, of which version, with which settings and samples, and how accurate they
are.  Whoever trains anew on another processor gets other weights in their last digits, and with them other tables.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.errors import BadData

if TYPE_CHECKING:
    from nir_interop.networks.catalogue import Catalogued

Array = NDArray[Any]

FOLDER = Path(__file__).parent / "trained"
"""Where they lie."""
LARGEST = 2**22
"""Bytes that a file, and what it unpacks to, may have."""


@dataclass(frozen=True)
class Shipped:
    """Weights that a library learned, and where they come from.

    path : the npz
    provenance : what stands beside it; see :func:`write`
    """

    path: Path
    provenance: Mapping[str, Any]

    @property
    def accuracy(self) -> float:
        """Of the network in the library itself on the test samples, 0–1."""
        return float(self.provenance["accuracy"]["value"])

    @property
    def sha256(self) -> str:
        """Of the npz."""
        return str(self.provenance["sha256"])

    def load(self) -> dict[str, Array]:
        """The parameters in NIR units, float64, by the names that :meth:`nir_interop.networks.Network.parameters` gives.

        Raises BadData where the file is not the one that its provenance describes.
        """
        advice = "install nir-interop again, or train anew with nir-interop matrix --train"
        try:
            content = self.path.read_bytes()
            if len(content) > LARGEST or hashlib.sha256(content).hexdigest() != self.sha256:
                raise BadData(f"{self.path.name}: is not the file that its provenance describes; {advice}")
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                return {name: file[name].astype(np.float64) for name in sorted(file.files)}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise BadData(f"{self.path.name}: cannot be read ({error}); {advice}") from error


def shipped(network: str, library: str, folder: Path = FOLDER) -> Shipped | None:
    """The weights of a network that come with the project, as a library learned them; None where there are none.

    Raises BadData where there are some, and nobody can say of what.
    """
    beside = folder / f"{network}.{library}.json"
    if "==" in library or not beside.is_file():
        return None
    try:
        provenance = json.loads(beside.read_text(encoding="utf-8"))
        found = Shipped(beside.with_suffix(".npz"), provenance)
        if (provenance["network"], provenance["library"], bool(found.sha256)) != (network, library, True):
            raise ValueError("it is another network's, or another library's")
        return found if 0 <= found.accuracy <= 1 else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadData(f"{beside.name}: cannot be read ({error}); install nir-interop again") from error


def fitting(
    network: str, library: str, *, version: str, seed: int, dt: float, entry: Catalogued, folder: Path = FOLDER
) -> Shipped | None:
    """Those weights, where they are what training would give: same version, seed, step, settings and shapes of parameters.

    The samples follow from the settings; that they still do is a test's to see, not each run's.
    """
    found = shipped(network, library, folder)
    if found is None:
        return None
    provenance = found.provenance
    asked = {
        "version": version,
        "seed": seed,
        "dt": dt,
        "settings": settings_of(entry),
        "parameters": {name: list(array.shape) for name, array in sorted(entry.build(seed).parameters().items())},
    }
    return found if all(provenance.get(name) == value for name, value in asked.items()) else None


def settings_of(entry: Catalogued) -> dict[str, Any]:
    """How a network is trained, and on what, as plain data."""
    stimulation = entry.stimulation
    return {
        "epochs": entry.epochs,
        "batch": entry.batch,
        "learning_rate": entry.learning_rate,
        "dataset": stimulation.dataset,
        "encoding": stimulation.encoding,
        "steps": stimulation.steps,
    }


def write(parameters: Mapping[str, Array], provenance: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the pair of files of one training; equal parameters give equal bytes.  Returns their paths, the npz first.

    provenance : ``network``, ``library``, ``version``, ``versions`` (of all that takes part), ``seed``, ``dt``, ``idiom``,
        ``settings``, ``samples`` (``count``, ``sha256``), ``accuracy`` (``value``, ``samples``), ``date`` and ``machine``;
        the parameters' shapes and the npz's ``sha256`` are added

    Raises BadData for more than the reader takes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{provenance['network']}.{provenance['library']}.npz"
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **{name: _narrow(array) for name, array in sorted(parameters.items())})
    content = buffer.getvalue()
    if len(content) > LARGEST:
        raise BadData(f"{path.name}: would take {len(content)} bytes, more than the {LARGEST} that are read again")
    document = {
        **provenance,
        "parameters": {name: list(array.shape) for name, array in sorted(parameters.items())},
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    path.write_bytes(content)
    beside = path.with_suffix(".json")
    beside.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return [path, beside]


def _narrow(array: Array) -> Array:
    """In float32 where that holds every number."""
    narrow = np.asarray(array, dtype=np.float32)
    return narrow if np.array_equal(narrow.astype(np.float64), array) else np.asarray(array, dtype=np.float64)
