"""The battery: each probe is an entry, in the order in which the axes it separates are decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nir_interop.explain.probes import stimuli
from nir_interop.explain.probes.graphs import CHAIN, CYCLE, NESTED_CYCLE, SINGLE
from nir_interop.explain.probes.parameters import Variation
from nir_interop.explain.probes.stimuli import Waveform
from nir_interop.fingerprint import CHAIN as IN_CHAIN
from nir_interop.graphs import NEURONS

DT = 2.0**-13
"""Where dt is free: a power of two, so that dt/tau is exact where tau is a few steps."""

RESPONSE, START, RESET, COMPARISON, COLLAPSE, FEEDBACK, ALL = (
    "response",
    "start",
    "reset",
    "comparison",
    "collapse",
    "feedback",
    "all",
)

STAGES = (RESPONSE, START, RESET, COMPARISON, COLLAPSE, FEEDBACK, ALL)

Level = tuple[float, float]


@dataclass(frozen=True)
class Probe:
    """One question to a backend.

    stage : which axes its answer decides
    waveform : what is fed in, in units of the input that just brings the membrane to its threshold
    level : how strong, from … to …, over the batch; None scans all strengths at which any candidate's membrane crosses
    variation : how its neuron differs from the plain one
    dt : seconds; the time constants are so many steps of it
    every_gain : asked wherever r and w_in are accepted, not just at the most informative place
    onset : only the first spike of each neuron is compared
    graph : what the neuron is part of
    """

    name: str
    stage: str
    waveform: Waveform
    level: Level | None = None
    variation: Variation = field(default_factory=Variation)
    dt: float = DT
    every_gain: bool = False
    onset: bool = False
    graph: str = SINGLE
    steps: int = 48
    batch: int = 64
    kinds: tuple[str, ...] = NEURONS
    repeats: int = 1

    def fits(self, kind: str) -> bool:
        """Whether a primitive has what is asked."""
        return kind in self.kinds and self.variation.fits(kind)


SPIKING_NEURONS = ("IF", "LIF", "CubaLIF")

LEAKS = (
    Variation(leak=0.375),
    Variation(leak=-0.5),
    Variation(leak=-0.25, reset=-0.25),
    Variation(leak=0.25, reset=-0.5),
)
RESETS = (Variation(reset=-0.4375), Variation(reset=0.3125))


def _response() -> list[Probe]:
    shared: dict[str, Any] = {"stage": RESPONSE, "onset": True}
    probes = [
        Probe("noise", waveform=stimuli.noise, every_gain=True, batch=160, **shared),
        Probe("constant drive", waveform=stimuli.constant, batch=96, **shared),
        Probe("impulse", waveform=stimuli.impulse, batch=96, steps=24, **shared),
    ]
    for dt in (1e-4, 1e-3, 1.0):
        probes.append(Probe(f"noise at dt {dt:g}", waveform=stimuli.noise, dt=dt, batch=96, every_gain=True, **shared))
    probes.append(
        Probe("time constants of 2.5 steps", waveform=stimuli.noise, variation=Variation(tau=2.5, tau_syn=3.5), **shared)
    )
    for name, below in (("a time", Variation(tau=0.625)), ("a synaptic time", Variation(tau_syn=0.625))):
        probes.append(Probe(f"{name} constant below dt", waveform=stimuli.random, variation=below, **shared))
    return probes


def _start() -> list[Probe]:
    probes: list[Probe] = []
    for variation in (*LEAKS, *RESETS):
        says = f"{variation.leak:g}, {variation.reset:g}"
        probes += [
            Probe(f"noise, v_leak and v_reset {says}", START, stimuli.noise, (0.3, 3.0), variation, onset=True),
            Probe(f"constant drive, v_leak and v_reset {says}", START, stimuli.constant, (0.3, 2.0), variation, onset=True),
        ]
    probes.append(Probe("silence with a leak", START, stimuli.silence, (0.0, 0.0), LEAKS[0], batch=2, kinds=NEURONS))
    above = Variation(leak=1.25)
    probes.append(
        Probe("silence with a leak above the threshold", START, stimuli.silence, (0.0, 0.0), above, batch=2, onset=True)
    )
    return probes


def _reset() -> list[Probe]:
    probes: list[Probe] = []
    for variation in (Variation(), *RESETS, LEAKS[2]):
        says = f", v_leak and v_reset {variation.leak:g}, {variation.reset:g}" if variation != Variation() else ""
        shared: dict[str, Any] = {"stage": RESET, "variation": variation, "kinds": SPIKING_NEURONS}
        probes += [
            Probe(f"drive that goes on{says}", waveform=stimuli.constant, level=(1.1, 2.5), batch=32, **shared),
            Probe(f"strong step{says}", waveform=stimuli.step, level=(2.0, 9.0), batch=32, **shared),
            Probe(f"negative, then positive drive{says}", waveform=stimuli.swing, level=(0.5, 4.0), batch=32, **shared),
            Probe(f"random drive{says}", waveform=stimuli.random, level=(1.0, 6.0), repeats=2, **shared),
        ]
    other = Variation(threshold=1.375)
    probes.append(Probe("random drive, v_threshold 1.375", RESET, stimuli.random, (1.0, 6.0), other, kinds=SPIKING_NEURONS))
    return probes


def _collapse() -> list[Probe]:
    probes: list[Probe] = []
    for names in (("r",), ("tau",), ("v_threshold",), ("w_in",), ("tau_syn",), ("v_reset",), ("v_leak",)):
        reset = -0.25 if names == ("v_reset",) else 0.0
        leak = 0.25 if names == ("v_leak",) else 0.0
        variation = Variation(different=frozenset(names), reset=reset, leak=leak)
        name = f"heterogeneous {', '.join(names)}"
        probes.append(Probe(name, COLLAPSE, stimuli.random, (0.5, 4.0), variation, every_gain=names[0] in ("r", "tau")))
    return probes


def _graphs() -> list[Probe]:
    shared: dict[str, Any] = {"waveform": stimuli.noise, "level": (0.5, 3.0), "kinds": SPIKING_NEURONS, "batch": 32}
    return [
        Probe("a recurrence with a bias", stage=FEEDBACK, graph=CYCLE, **shared),
        Probe("a recurrence with a bias, nested", stage=FEEDBACK, graph=NESTED_CYCLE, **shared),
        Probe(IN_CHAIN, stage=ALL, graph=CHAIN, **shared),
    ]


def _random() -> list[Probe]:
    """Evidence for the whole rule; what the battery leaves over gets more of them (see ``leftover``)."""
    return [
        Probe("random inputs", ALL, stimuli.random, (0.3, 8.0), batch=1000, steps=24, every_gain=True),
        Probe("random inputs, v_leak and v_reset", ALL, stimuli.random, (0.3, 8.0), LEAKS[3], batch=500, steps=24),
        Probe("random inputs, v_leak = v_reset", ALL, stimuli.random, (0.3, 8.0), LEAKS[2], batch=500, steps=24),
        Probe("random inputs, v_reset", ALL, stimuli.random, (0.3, 8.0), RESETS[0], batch=1000, steps=24),
    ]


BATTERY: tuple[Probe, ...] = (*_response(), *_start(), *_reset(), *_collapse(), *_graphs(), *_random())
