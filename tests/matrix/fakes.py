"""Backends that behave, and backends that misbehave in every way the matrix must survive; none needs a library."""

from __future__ import annotations

import ctypes
import logging
import mmap
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import nir
import numpy as np

from nir_interop.backends.adapter import Adapter, Array, read_graph
from nir_interop.backends.environments import Backend
from nir_interop.errors import CannotBuild, InvalidGraph
from nir_interop.learning import Samples, TrainingSettings
from nir_interop.networks import Network
from nir_interop.recording import Recording
from nir_interop.vocabulary import Idiom

ROOT = Path(__file__).resolve().parents[2]  # this module is also read where there is no package of tests

OUTPUTS = 10


class Honest(Adapter):
    """Writes the intended graph and answers with a function of the stimulus and of the graph's weights alone."""

    name: ClassVar[str] = "honest"
    refusals: ClassVar[tuple[str, ...]] = (r"no words for",)

    def build(self, network: Network, dt: float, idiom: Idiom) -> Any:
        return network.to_nir()

    def train(self, model: Any, samples: Samples, settings: TrainingSettings) -> dict[str, Array]:
        learned = {}
        for name, node in model.nodes.items():
            if hasattr(node, "weight"):
                learned[f"{name}.weight"] = node.weight + float(samples.inputs.mean()) + settings.epochs / 10
                learned[f"{name}.bias"] = node.bias + float(samples.labels.mean())
        return learned

    def export(self, model: Any, sample: Array, dt: float) -> nir.NIRGraph:
        return model

    def load(self, path: Path, dt: float) -> Any:
        return read_graph(path)

    def run(self, model: Any, stimulus: Array) -> Recording:
        weights = sum(float(np.abs(node.weight).sum()) for _, node in sorted(model.nodes.items()) if hasattr(node, "weight"))
        steps, batch = stimulus.shape[:2]
        drive = stimulus.reshape(steps, batch, -1).sum(axis=2)[:, :, None] * np.arange(1, OUTPUTS + 1) + weights
        spikes = (np.floor(drive) % 3 == 0).astype(np.uint8)
        return Recording({"output": spikes.astype(np.float32)}, {"lif1": spikes})

    def nodes(self, model: Any) -> frozenset[str]:
        return frozenset(name for name, node in model.nodes.items() if type(node).__name__ not in ("Input", "Output"))


class Importing(Honest):
    """Only imports, as most of the fakes below do."""

    idioms: ClassVar[Mapping[Idiom, str]] = {}


class FixedStep(Importing):
    """Knows one step, whatever is asked for."""

    fixed_dt: ClassVar[float | None] = 1e-4


class Wrong(Importing):
    """Answers something else, and says nothing."""

    def run(self, model: Any, stimulus: Array) -> Recording:
        right = super().run(model, stimulus)
        return Recording({"output": 1 - right.outputs["output"]}, right.spikes)


class Loud(Wrong):
    """Answers something else, and warns."""

    def load(self, path: Path, dt: float) -> Any:
        logging.getLogger("loud").warning("r is ignored")
        return super().load(path, dt)


class Deprecated(Importing):
    """Says only that something is old."""

    def load(self, path: Path, dt: float) -> Any:
        warnings.warn("use the new one", DeprecationWarning, stacklevel=1)
        warnings.warn("`torch.jit.script` is deprecated", UserWarning, stacklevel=1)
        return super().load(path, dt)


class Printing(Importing):
    """Prints a megabyte, past Python, with a warning behind it."""

    def load(self, path: Path, dt: float) -> Any:
        os.write(1, b"x" * 2**20 + b"\n")
        os.write(2, b"[WARNING] module not implemented\n")
        return super().load(path, dt)


class Meaningless(Importing):
    """Says that the graph means nothing, as the reference does."""

    def load(self, path: Path, dt: float) -> Any:
        raise InvalidGraph("LIF 'lif1': tau is negative")


class Looping(Importing):
    """Never comes back, and holds on to the interpreter as it likes."""

    def load(self, path: Path, dt: float) -> Any:
        while True:
            pass


class Sleeping(Importing):
    """Sleeps in C, deaf to Python's signals."""

    def run(self, model: Any, stimulus: Array) -> Recording:
        ctypes.PyDLL(None).sleep(3600)  # PyDLL keeps the interpreter's lock
        return super().run(model, stimulus)


class Killed(Importing):
    """Dies of signal 9."""

    def run(self, model: Any, stimulus: Array) -> Recording:
        os.kill(os.getpid(), 9)
        return super().run(model, stimulus)


class Aborting(Importing):
    """Dies of signal 6, as C++ libraries do."""

    def load(self, path: Path, dt: float) -> Any:
        os.abort()


class Segfaulting(Importing):
    """Reads where nothing is."""

    def run(self, model: Any, stimulus: Array) -> Recording:
        ctypes.string_at(1)
        return super().run(model, stimulus)


class Leaving(Importing):
    """Leaves at once, and says that all is well."""

    def load(self, path: Path, dt: float) -> Any:
        os._exit(0)


class Deaf(Importing):
    """Ignores every signal that it can, and never comes back, in C, with the interpreter's lock."""

    def run(self, model: Any, stimulus: Array) -> Recording:
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        ctypes.PyDLL(None).sleep(3600)
        return super().run(model, stimulus)


class Odd(BaseException):
    """No Exception, with a message that cannot be had."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


class Raising(Importing):
    """Raises what nobody catches."""

    def load(self, path: Path, dt: float) -> Any:
        raise Odd


class Exhausted(Importing):
    """Says that there is no memory."""

    def run(self, model: Any, stimulus: Array) -> Recording:
        raise MemoryError


class Hungry(Importing):
    """Takes 30 GB at once."""

    def run(self, model: Any, stimulus: Array) -> Recording:
        np.ones(30 * 2**27)
        return super().run(model, stimulus)


class Hoarding(Importing):
    """Takes 30 GB, a little at a time, and dies as C++ does when there is no more."""

    def run(self, model: Any, stimulus: Array) -> Recording:
        library = ctypes.CDLL(None)
        library.calloc.restype = ctypes.c_void_p
        for _ in range(30 * 16):
            if not library.calloc(1, ctypes.c_size_t(2**26)):
                os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
                os.abort()
        return super().run(model, stimulus)


class Sharing(Importing):
    """Takes 30 GB of memory that is shared with nobody."""

    def run(self, model: Any, stimulus: Array) -> Recording:
        mmap.mmap(-1, 30 * 2**30)
        return super().run(model, stimulus)


class Gabbling(Importing):
    """Prints a gigabyte, from Python and past it, when it is first asked."""

    asked: ClassVar[int] = 0

    def load(self, path: Path, dt: float) -> Any:
        Gabbling.asked += 1
        if Gabbling.asked == 1:
            piece = "x" * 2**20
            for _ in range(512):
                print(piece)
                os.write(2, piece.encode())
        return super().load(path, dt)


class Endless(Importing):
    """Writes until the system stops it."""

    def run(self, model: Any, stimulus: Array) -> Recording:
        with open("endless", "wb") as file:
            file.seek(2**34)
            file.write(b"x")
        return super().run(model, stimulus)


class ClearingOnce(Importing):
    """Removes the temporary folder of the whole run, the first time only."""

    def run(self, model: Any, stimulus: Array) -> Recording:
        here = Path(os.environ["TMPDIR"]).parent
        cleared = here.parent / "cleared"
        if not cleared.exists():
            cleared.touch()
            shutil.rmtree(here)
            Path("new").touch()
        return super().run(model, stimulus)


class Clearing(Importing):
    """Removes its temporary folder and that of the whole run."""

    def run(self, model: Any, stimulus: Array) -> Recording:
        shutil.rmtree(Path(os.environ["TMPDIR"]).parent)
        return super().run(model, stimulus)


class Severing(Importing):
    """Closes every file that it finds."""

    def run(self, model: Any, stimulus: Array) -> Recording:
        os.closerange(0, 4096)
        return super().run(model, stimulus)


class Multiplying(Importing):
    """Starts processes that start processes, all of which leave its group and stay."""

    def run(self, model: Any, stimulus: Array) -> Recording:
        for _ in range(3):
            if os.fork() == 0:
                os.setsid()
                for _ in range(3):
                    if os.fork() == 0:
                        os.setsid()
                time.sleep(3600)
                os._exit(0)
        return super().run(model, stimulus)


class MultiplyingAndDying(Multiplying):
    """The same, and then it dies."""

    def run(self, model: Any, stimulus: Array) -> Recording:
        super().run(model, stimulus)
        os.kill(os.getpid(), signal.SIGKILL)
        return super().run(model, stimulus)


class Calling(Importing):
    """Tries to reach a port of this machine in every way, itself and through a program, and says what stopped it."""

    def run(self, model: Any, stimulus: Array) -> Recording:
        address = ("127.0.0.1", int(os.environ["CALLED"]))
        found = []
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                socket.socket(family).connect(address[:2])
                found.append("reached")
            except OSError as error:
                found.append(type(error).__name__)
        text = f"import socket; socket.create_connection({address!r}).send(b'x')"
        ended = subprocess.run([sys.executable, "-c", text], stderr=subprocess.PIPE, text=True)
        found.append(ended.stderr.strip().splitlines()[-1].split(":")[0] if ended.returncode else "reached")
        raise RuntimeError(" ".join(found))


class Exiting(Importing):
    """Leaves."""

    def load(self, path: Path, dt: float) -> Any:
        sys.exit(3)


class Interrupting(Importing):
    """Raises what is not even an Exception."""

    def run(self, model: Any, stimulus: Array) -> Recording:
        raise KeyboardInterrupt


class Closing(Importing):
    """Closes the standard streams."""

    def load(self, path: Path, dt: float) -> Any:
        os.close(1)
        os.close(2)
        return super().load(path, dt)


class Wandering(Importing):
    """Changes the working directory and the environment; with what it finds there it is wrong."""

    def load(self, path: Path, dt: float) -> Any:
        if "WANDERED" in os.environ or Path.cwd() == Path("/"):
            raise RuntimeError("somebody was here before")
        os.environ["WANDERED"] = "1"
        os.chdir("/")
        model = super().load(path, dt)
        os.chdir(os.environ["TMPDIR"])
        del os.environ["WANDERED"]
        os.environ["ELSEWHERE"] = "1"
        return model


class Dirty(Importing):
    """Leaves the working directory, the environment and the module path changed."""

    loads: ClassVar[int] = 0

    def load(self, path: Path, dt: float) -> Any:
        Dirty.loads += 1
        if Dirty.loads % 3 == 1 and ("DIRTY" in os.environ or Path.cwd() == Path("/") or "/dirty" in sys.path):
            raise RuntimeError("the last cell was not cleaned up after")
        os.environ["DIRTY"] = "1"
        os.chdir("/")
        sys.path.append("/dirty")
        return super().load(path, dt)


class Flipping(Importing):
    """Drops a node; what comes of it when it runs is chance."""

    def run(self, model: Any, stimulus: Array) -> Recording:
        if os.urandom(1)[0] % 2:
            raise RuntimeError(f"no output at {hex(id(self))}")
        return super().run(model, stimulus)

    def nodes(self, model: Any) -> frozenset[str]:
        return super().nodes(model) - {"lif1"}


class Dropping(Importing):
    """Drops a node, always with the same result."""

    def nodes(self, model: Any) -> frozenset[str]:
        return super().nodes(model) - {"lif1"}


class Drawing(Importing):
    """Draws from the global generators while it imports."""

    def run(self, model: Any, stimulus: Array) -> Recording:
        right = super().run(model, stimulus)
        noise = np.float32(random.random() + np.random.rand())
        return Recording({"output": right.outputs["output"] + noise})


class Tiring(Importing):
    """Fails at the end of a long stimulus, every time."""

    def run(self, model: Any, stimulus: Array) -> Recording:
        if len(stimulus) > 10:
            raise OverflowError("too long")
        return super().run(model, stimulus)


class Forgetting(Importing):
    """Is right the first time only, for it keeps what it saw."""

    seen: ClassVar[int] = 0

    def run(self, model: Any, stimulus: Array) -> Recording:
        right = super().run(model, stimulus)
        Forgetting.seen += 1
        return Recording({"output": right.outputs["output"] + Forgetting.seen % 7})


class Refusing(Importing):
    """Declines on purpose."""

    def load(self, path: Path, dt: float) -> Any:
        raise ValueError("there are no words for LIF here")


class Failing(Importing):
    """Fails with a message that holds an address, a path and a set."""

    def load(self, path: Path, dt: float) -> Any:
        raise TypeError(f"{object()!r} of {path} is in {{'b', 'a'}}\nat {ROOT}/x.py")


class Unlike(Honest):
    """Writes another file in a tutorial's idiom, and the same one as ever with a trick that it names."""

    name: ClassVar[str] = "unlike"
    idioms: ClassVar[Mapping[Idiom, str]] = {each: f"a {each} way" for each in Idiom}

    def build(self, network: Network, dt: float, idiom: Idiom) -> Any:
        graph = network.to_nir()
        if idiom is Idiom.TUTORIAL:
            graph.nodes["fc1"].bias = graph.nodes["fc1"].bias + 1
        return graph


class Unwritable(Honest):
    """Exports what cannot be written."""

    name: ClassVar[str] = "unwritable"

    def export(self, model: Any, sample: Array, dt: float) -> nir.NIRGraph:
        return object()  # type: ignore[return-value]


class Choosy(Honest):
    """Has no words for some networks, and fails to export others."""

    name: ClassVar[str] = "choosy"

    def build(self, network: Network, dt: float, idiom: Idiom) -> Any:
        if network.name == "mlp_if":
            raise CannotBuild("no integrate-and-fire here")
        return super().build(network, dt, idiom)

    def export(self, model: Any, sample: Array, dt: float) -> nir.NIRGraph:
        if sample.shape != (1, 20):
            raise ValueError(f"a sample has axes (1, 20), not {sample.shape}")
        return model


class Heavy(Importing):
    """Takes for ever to be imported."""

    def prepare(self) -> None:
        time.sleep(60)


class Slow(Importing):
    """Takes its time, so that there is a middle to be killed in."""

    def run(self, model: Any, stimulus: Array) -> Recording:
        time.sleep(0.03)
        return super().run(model, stimulus)


def backend(kind: type[Adapter], name: str | None = None) -> Backend:
    """A backend of that adapter, in this interpreter."""
    label = name or kind.__name__.lower()
    return Backend(name=label, module=f"tests.matrix.fakes:{kind.__name__}", versions={"fake": "1"}, search=(ROOT,))
