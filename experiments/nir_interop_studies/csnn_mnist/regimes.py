"""How the network is trained: as published, and so that one epoch is enough."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nir_interop.learning import Surrogate
from nir_interop.networks import Network
from nir_interop.training import Settings
from nir_interop.vocabulary import Idiom, Reset
from nir_interop_studies.common import LIBRARIES, Options
from nir_interop_studies.csnn_mnist.network import GAIN, csnn

STEPS = 50
"""For which an image is held, as published."""
CHOSEN_STEPS = 10
"""For which it is held while the chosen settings train: tested are all on STEPS, and training takes a fifth of the time."""
QUICK_STEPS = 8


def tested_steps(options: Options) -> int:
    """For which a test image is held."""
    return QUICK_STEPS if options.quick else STEPS


PUBLISHED, CHOSEN = "published", "chosen"


@dataclass(frozen=True)
class Regime:
    """A way to train the network in one library.

    reset : what a spike does to the membrane
    scale : of the starting weights, in units of PyTorch's own
    """

    name: str
    reset: Reset
    scale: float
    settings: Settings

    @property
    def key(self) -> str:
        """Names its files."""
        return f"{self.settings.library}_{self.name}"

    @property
    def start(self) -> Network:
        """The network before training."""
        return csnn(self.settings.seed, self.reset, self.scale)


_SURROGATES = {
    "snntorch": Surrogate("fast_sigmoid", 1.0),
    "norse": Surrogate("tanh", 1.5),
    "spikingjelly": Surrogate("ATan", 1.0),
}


def regimes(options: Options) -> list[Regime]:
    """All of a run: the published settings, which are snnTorch's alone, and the chosen ones in each library.

    Raises UnknownName for a library that does not train here.
    """
    found = []
    for library in options.trained_in(LIBRARIES):
        published = Settings(
            library, Idiom.TUTORIAL, Surrogate("fast_sigmoid", 25.0), loss="steps", learning_rate=1e-2, gain=GAIN,
            batch=128, steps=STEPS, epochs=options.epochs, seed=options.seed,
        )  # fmt: skip
        chosen = replace(
            published, idiom=Idiom.PORTABLE, surrogate=_SURROGATES[library], loss="rate", learning_rate=5e-3,
            batch=32, falling=True, sharpness=10.0, steps=CHOSEN_STEPS,
        )  # fmt: skip
        if options.quick:
            published = replace(published, batch=32, steps=QUICK_STEPS)
            chosen = replace(chosen, batch=16, steps=QUICK_STEPS)
        if library == "snntorch":
            # The tutorial's neurons have one number beta and snnTorch's own reset, by subtraction and one step late.
            found.append(Regime(PUBLISHED, Reset.SUBTRACT, 1.0, published))
        found.append(Regime(CHOSEN, Reset.VALUE, 3.0, chosen))
    return found
