"""What a library must be able to do, and how an installed one is found.

This module and all it imports need Python 3.10, numpy and nir: it runs in each library's own environment.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import NDArray

from nir_interop.backends.own_modules import OwnModule, Run
from nir_interop.errors import CannotBuild, CannotRecord, NotExpressible, ReadFailed, UnknownName
from nir_interop.learning import Samples, Surrogate, TrainingSettings
from nir_interop.networks import Network, Neuron
from nir_interop.printable import shown
from nir_interop.recording import Recording
from nir_interop.safe_names import is_harmless
from nir_interop.vocabulary import Idiom, Stage

if TYPE_CHECKING:
    import nir
    import torch

    from nir_interop.training import Trainable

Array = NDArray[Any]
Model = Any
"""A library's own network; only its adapter looks inside."""

ENTRY_POINT_GROUP = "nir_interop.adapters"


class Adapter(ABC):
    """The one module that speaks a library's language.

    It calls the library's own exporter and importer and repairs nothing: what the library gets wrong
    stays wrong.  What only those get right who know how is an idiom of its own, :attr:`idioms` says how.
    What a call changes globally is contained by the worker process it runs in.
    """

    name: ClassVar[str]
    """The backend's name, as on the command line."""

    idioms: ClassVar[Mapping[Idiom, str]] = {each: each.meaning for each in (Idiom.TUTORIAL, Idiom.PORTABLE)}
    """The ways this library's users write and export a network, each with what it does, in a sentence; a trick is named.

    None for a backend that only imports; no ``worked_around`` where there is nothing to work around."""

    refusals: ClassVar[tuple[str, ...]] = ()
    """Regular expressions of messages by which the library declines on purpose, saying what it lacks."""

    fixed_dt: ClassVar[float | None] = None
    """The importer's only time step [s], where it takes none."""

    ships_importer: ClassVar[bool] = True
    """Whether the library has an importer of NIR graphs; False: :meth:`load` is the adapter's own, and every table says so."""

    ships_exporter: ClassVar[bool] = True
    """Whether the library has an exporter of NIR graphs; False: :meth:`export`, where there is one, is the adapter's own."""

    label: str = ""
    """What stands behind ``==`` in the backend's name, set before :meth:`prepare`: which environment it lives in.

    An option of a library that no file says can be chosen by it, and is then a backend of its own beside the other."""

    start_limit: ClassVar[float] = 120.0
    """Seconds that a process may take from importing the library to being ready: this module, :meth:`prepare`, :meth:`warm_up`.

    It is known once this module is imported, for which there are 120 s; what takes longer is imported by ``prepare``."""

    run_limit: ClassVar[float | None] = None
    """Seconds that a run may take at least, whatever limit it is given: for a library that compiles what it runs."""

    takes_any_name: ClassVar[bool] = False
    """Whether a node may be called anything: only where no name ever becomes part of a program or a module.

    All others are given a file in which names that are not safe are replaced (:mod:`nir_interop.safe_names`)."""

    needs: ClassVar[tuple[str, ...]] = ()
    """What the script must have installed."""

    script: ClassVar[str] = ""
    """Lines of Python, for somebody who has only the library: given ``stimulus`` (T, B, \\*shape), float32, and ``DT``,
    read ``graph.nir`` with the library's own importer and leave the outputs of all steps in ``output``, an array."""

    def prepare(self) -> None:
        """Import the library and pin what makes it deterministic (threads); called once per process."""
        return None

    def warm_up(self) -> None:
        """Do what makes only the first run slow (compile, for instance); called once per process, after :meth:`prepare`.

        It counts towards :attr:`start_limit` and not towards the time of a run, and changes no result.
        """
        return None

    @abstractmethod
    def build(self, network: Network, dt: float, idiom: Idiom) -> Model:
        """Write the network in the library's words for a step of ``dt`` seconds.

        Raises CannotBuild, with the reason, where the library cannot build it.
        """

    def native_label(self, layer: Neuron, network: Network, dt: float, idiom: Idiom) -> str:
        """How :meth:`build` writes a layer of neurons, with the options that decide its update rule.

        Layers of one label and one kind are stepped alike.
        """
        return f"{type(layer).__name__}(reset={network.reset})"

    def trainable(self, model: Model, surrogate: Surrogate, device: torch.device) -> Trainable:
        """A built network with a surrogate gradient, moved to a device: what :mod:`nir_interop.training` trains, in place.

        Raises CannotBuild where the library cannot train it.
        """
        raise CannotBuild(f"{self.name} does not train")

    def train(self, model: Model, samples: Samples, settings: TrainingSettings) -> dict[str, Array]:
        """Train by surrogate gradient in the library's own idiom, in place.

        Returns the learned arrays in NIR units, float64, keyed ``layer.parameter`` as
        ``Network.with_parameters`` takes them.
        """
        raise CannotBuild(f"{self.name} does not train")

    def export(self, model: Model, sample: Array, dt: float) -> nir.NIRGraph:
        """Turn the model into a graph with the library's own exporter.

        sample : one time step of input, axes (1, \\*shape); the idiom decides how much of it is passed on
        dt : the step [s] that is meant, passed on where the exporter takes one and its tutorial passes one
        """
        raise CannotBuild(f"{self.name} does not export")

    @abstractmethod
    def load(self, path: Path, dt: float) -> Model:
        """Read a file with :func:`read_graph` and turn it into a model with the library's own importer."""

    @abstractmethod
    def run(self, model: Model, stimulus: Array) -> Recording:
        """Run from zero state, without gradients; stimulus and recordings have axes (T, B, \\*shape).

        Recordings are keyed by the layer of the network or the node of the graph.
        """

    @abstractmethod
    def nodes(self, model: Model) -> frozenset[str]:
        """Names of the graph's nodes, Input and Output aside, that an imported model holds."""

    def module_of(self, model: Model) -> Any:
        """The library's own module of an imported model, as a user of the library has it."""
        return getattr(model, "module", model)

    def neurons_of(self, module: Any) -> tuple[str, ...]:
        """Names of the library's neurons in a user's module; empty where it has none, and the module is another library's."""
        return ()

    def step_of(self, module: Any) -> float | None:
        """The step [s] that a user's module is meant at: its neurons' own, else that of the library's exporter.

        None where its neurons have several, so that the user has to say.
        """
        return None

    def record(self, module: Any, stimulus: Array, run: Run | None = None) -> Recording:
        r"""Run a user's module as the library's users do, from zero state and as it is deployed, and leave it as it was.

        stimulus : axes (T, B, \*shape)
        run : how it is run, where that is not one of the ways of the library's users

        The recording is keyed by the names that :meth:`describe` gives neurons; its only output is called ``output``.

        Raises CannotRecord, which says what to give ``run``, where no way of the library's users gives an output for each step.
        """
        raise CannotRecord(f"{self.name}: its modules cannot be run; give a graph")

    def describe(self, module: Any, sample: Array, dt: float, run: Run | None = None) -> OwnModule:
        r"""What a user's module computes in a step, read from the module itself; it is left as it was.

        sample : one step of input, axes (B, \*shape)
        dt : the step [s] that it is meant at

        Raises NotExpressible, with the layer and what to do, where NIR has no words for it or it cannot be read.
        """
        raise NotExpressible(f"{self.name}: its modules cannot be read; export the module with the library's own exporter")

    def export_own(self, module: Any, sample: Array, dt: float) -> nir.NIRGraph:
        r"""A user's module as a graph, by the library's own exporter, called as it documents; the module is left as it was.

        sample : one step of input, axes (B, \*shape)
        dt : the step [s] that is meant, passed on where the exporter takes one
        """
        raise CannotBuild(f"{self.name} does not export")

    def refuses(self, message: str) -> bool:
        """Whether a message says that the library declines on purpose."""
        return any(re.search(pattern, message) for pattern in self.refusals)


_STAGE: ContextVar[Callable[[Stage], None]] = ContextVar("stage", default=lambda stage: None)


@contextmanager
def telling(tell: Callable[[Stage], None]) -> Iterator[None]:
    """Have :func:`read_graph` tell when it begins to read and when it has read, so that a time limit can name the phase."""
    token = _STAGE.set(tell)
    try:
        yield
    finally:
        _STAGE.reset(token)


def read_graph(path: Path) -> nir.NIRGraph:
    """Read a graph with the nir package of this environment, fresh at each call.

    Raises ReadFailed, caused by the reader's own error, or, by itself, for a name that an importer could run as code.
    """
    import nir

    tell = _STAGE.get()
    tell(Stage.READ)
    try:
        graph = nir.read(path)
    except Exception as error:
        raise ReadFailed(f"{path.name}: nir {nir.version} cannot read it: {error}") from error
    for name in _names(graph, set()):
        if not is_harmless(name):
            raise ReadFailed(
                f"{path.name}: {shown(name)} could be run as code by an importer, and is given to none; rename it to letters, "
                "digits and underscores, or run the file with nir-interop check, which does"
            )
    tell(Stage.IMPORT)
    return graph


def _names(graph: Any, seen: set[int]) -> Iterator[str]:
    """All that an importer can take for a name: of nodes, ends of edges, inputs and outputs, in every nested graph."""
    if id(graph) in seen:
        return
    seen.add(id(graph))
    yield from (str(end) for edge in getattr(graph, "edges", ()) for end in edge)
    for types in (getattr(graph, "input_type", None), getattr(graph, "output_type", None)):
        yield from map(str, types or ())
    for name, node in getattr(graph, "nodes", {}).items():
        yield str(name)
        yield from _names(node, seen)


def available() -> Mapping[str, EntryPoint]:
    """Name → entry point of every adapter, sorted, without importing any of them."""
    found = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    return dict(sorted(found.items()))


def load_adapter(name: str) -> Adapter:
    """Import one adapter and make it.

    Raises UnknownName where there is none of that name.
    """
    points = available()
    if name not in points:
        raise UnknownName(f"no backend {name!r}; there are {', '.join(points) or 'none'}")
    adapter: Adapter = points[name].load()()
    return adapter
