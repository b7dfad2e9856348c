"""The networks that a study trains: where their checkpoints lie, and their training, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from nir_interop.backends.adapter import load_adapter
from nir_interop.networks import Network
from nir_interop.store.store import Store
from nir_interop.training import (
    NamedData,
    Settings,
    Trained,
    about,
    checkpoint_fingerprint,
    device_of,
    load_checkpoint,
    train_from_checkpoint,
    updates_of,
)
from nir_interop_studies.common import Options, Progress


class Regime(Protocol):
    """A way to train a network in a library.

    key : names its files; start : the network before training
    """

    @property
    def key(self) -> str: ...

    @property
    def settings(self) -> Settings: ...

    @property
    def start(self) -> Network: ...


class TrainedNetworks:
    """All networks of a study, on the same samples.

    trained : key → the network as it came out

    Raises BadInput where a checkpoint is of another network.
    """

    def __init__(self, options: Options, regimes: Sequence[Regime], samples: NamedData) -> None:
        self.options, self.regimes, self.samples, self.device = options, regimes, samples, device_of(options.device)
        self.trained: dict[str, Trained] = {}
        self.paths = {each.key: self._path(each) for each in regimes}
        for each in regimes:
            load_checkpoint(self.paths[each.key], self._about(each))

    def train(self, importers: Sequence[str], progress: Progress) -> None:
        """One after another; a network whose checkpoint is complete is not trained again.

        Unless only training was asked for, the rules of importers and of the libraries that train are identified meanwhile.
        """
        if self.options.train_only:
            self._train(progress)
            return
        # What only a whole run needs is imported where one happens: training has to do with torch and one library.
        from nir_interop.transfer.deployment import identifying

        own = {each.settings.library: each.start for each in self.regimes}
        with identifying(own, importers, Store(self.options.store)) as wait:
            self._train(progress)
            progress.say("waiting until the libraries' rules are known")
            wait()

    def _train(self, progress: Progress) -> None:
        for each in self.regimes:
            settings, path = each.settings, self.paths[each.key]
            updates, adapter = updates_of(settings, len(self.samples)), load_adapter(settings.library)
            with progress.task(f"train {each.key}", updates) as advance:
                found = train_from_checkpoint(adapter, each.start, self.samples, settings, self.device, path, advance)
            took = f"{updates} updates in {found.seconds:.1f} s on {found.device}"
            progress.say(f"{each.key}: {took}, last loss {found.curve[-1, 0]:.3f}")
            self.trained[each.key] = found

    def networks(self) -> dict[str, Network]:
        """Key → the network with what it has learned."""
        return {each.key: each.start.with_parameters(self.trained[each.key].parameters) for each in self.regimes}

    def _about(self, regime: Regime) -> object:
        return about(regime.start, self.samples, regime.settings)

    def _path(self, regime: Regime) -> Path:
        """In the folder that was named, else under a name of its own fingerprint."""
        if self.options.checkpoints is not None:
            return self.options.checkpoints / f"{regime.key}.pt"
        return self.options.work / "checkpoints" / f"{regime.key}-{checkpoint_fingerprint(self._about(regime))[:12]}.pt"
