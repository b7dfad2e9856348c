"""What adapters say of themselves: their workers say it as they start, and the store keeps it."""

from __future__ import annotations

from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

from nir_interop.backends.environments import Backend
from nir_interop.store.keys import job_key
from nir_interop.store.store import Store
from nir_interop.vocabulary import ADAPTERS_OWN
from nir_interop.workers.jobs import OK, Describe, Described, from_json, to_json

if TYPE_CHECKING:
    from nir_interop.workers.live import LiveBackend


def described(backend: Backend, store: Store, live: LiveBackend | None = None) -> Described:
    """What a backend's adapter says of itself, from the store or by starting it, live where it is running.

    Raises BackendMissing where it does not start.
    """
    key = job_key(Describe(), backend)
    known = store.get(Describe.kept, key)
    if known is not None and known.get("status") == OK:
        return from_json(Described, known)
    from nir_interop.workers.live import LiveBackend  # which reads graphs

    with nullcontext(live) if live is not None else closing(LiveBackend(backend)) as running:
        found = running.start().described
    store.put(Describe.kept, key, to_json(found))
    return found


def importer_by(said: Described) -> str | None:
    """What the tables say of an importer that is not the library's."""
    return None if said.ships_importer else ADAPTERS_OWN


def exporter_by(said: Described) -> str | None:
    """What the tables say of an exporter that is not the library's."""
    return None if said.ships_exporter else ADAPTERS_OWN
