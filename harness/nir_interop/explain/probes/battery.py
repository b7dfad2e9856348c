"""The battery: each probe is an entry, in the order in which the axes it separates are decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nir_interop.explain.probes import stimuli
from nir_interop.explain.probes.neurons import Variation
from nir_interop.explain.probes.stimuli import Waveform
from nir_interop.fingerprint import Circuit
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
    circuit : what the neuron is part of
    seed : of a waveform that is random
    """

    stage: str
    waveform: Waveform
    level: Level | None = None
    variation: Variation = field(default_factory=Variation)
    dt: float = DT
    every_gain: bool = False
    onset: bool = False
    circuit: Circuit = Circuit.SINGLE
    steps: int = 48
    batch: int = 64
    kinds: tuple[str, ...] = NEURONS
    repeats: int = 1
    seed: int = 0

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
        Probe(waveform=stimuli.noise, every_gain=True, batch=160, seed=5, **shared),
        Probe(waveform=stimuli.constant, batch=96, **shared),
        Probe(waveform=stimuli.impulse, batch=96, steps=24, **shared),
    ]
    for dt, seed in ((1e-4, 18), (1e-3, 17), (1.0, 13)):
        probes.append(Probe(waveform=stimuli.noise, dt=dt, batch=96, every_gain=True, seed=seed, **shared))
    probes.append(Probe(waveform=stimuli.noise, variation=Variation(tau=2.5, tau_syn=3.5), seed=27, **shared))
    for below, seed in ((Variation(tau=0.625), 24), (Variation(tau_syn=0.625), 33)):
        probes.append(Probe(waveform=stimuli.random, variation=below, seed=seed, **shared))
    return probes


def _start() -> list[Probe]:
    probes: list[Probe] = []
    for variation, seed in zip((*LEAKS, *RESETS), (34, 33, 38, 36, 36, 35), strict=True):
        probes += [
            Probe(START, stimuli.noise, (0.3, 3.0), variation, onset=True, seed=seed),
            Probe(START, stimuli.constant, (0.3, 2.0), variation, onset=True),
        ]
    above_threshold = Variation(leak=1.25)
    probes.append(Probe(START, stimuli.silence, (0.0, 0.0), LEAKS[0], batch=2, kinds=NEURONS))
    probes.append(Probe(START, stimuli.silence, (0.0, 0.0), above_threshold, batch=2, onset=True))
    return probes


def _reset() -> list[Probe]:
    probes: list[Probe] = []
    seeds = ((29, 12), (60, 43), (59, 42), (62, 45))
    for variation, (swing, random) in zip((Variation(), *RESETS, LEAKS[2]), seeds, strict=True):
        shared: dict[str, Any] = {"stage": RESET, "variation": variation, "kinds": SPIKING_NEURONS}
        probes += [
            Probe(waveform=stimuli.constant, level=(1.1, 2.5), batch=32, **shared),
            Probe(waveform=stimuli.step, level=(2.0, 9.0), batch=32, **shared),
            Probe(waveform=stimuli.swing, level=(0.5, 4.0), batch=32, seed=swing, **shared),
            Probe(waveform=stimuli.random, level=(1.0, 6.0), repeats=2, seed=random, **shared),
        ]
    other = Variation(threshold=1.375)
    probes.append(Probe(RESET, stimuli.random, (1.0, 6.0), other, kinds=SPIKING_NEURONS, seed=31))
    return probes


def _collapse() -> list[Probe]:
    probes: list[Probe] = []
    spread = {"r": 15, "tau": 17, "v_threshold": 25, "w_in": 18, "tau_syn": 21, "v_reset": 21, "v_leak": 20}
    for name, seed in spread.items():
        reset = -0.25 if name == "v_reset" else 0.0
        leak = 0.25 if name == "v_leak" else 0.0
        variation = Variation(different=frozenset({name}), reset=reset, leak=leak)
        every = name in ("r", "tau")
        probes.append(Probe(COLLAPSE, stimuli.random, (0.5, 4.0), variation, every_gain=every, seed=seed))
    return probes


def _circuits() -> list[Probe]:
    shared: dict[str, Any] = {"waveform": stimuli.noise, "level": (0.5, 3.0), "kinds": SPIKING_NEURONS, "batch": 32}
    return [
        Probe(stage=FEEDBACK, circuit=Circuit.CYCLE, seed=24, **shared),
        Probe(stage=FEEDBACK, circuit=Circuit.NESTED_CYCLE, seed=32, **shared),
        Probe(stage=ALL, circuit=Circuit.CHAIN, seed=21, **shared),
    ]


def _plain_cycles() -> list[Probe]:
    shared: dict[str, Any] = {"waveform": stimuli.noise, "level": (0.5, 3.0), "kinds": SPIKING_NEURONS, "batch": 32}
    return [
        Probe(stage=FEEDBACK, circuit=Circuit.PLAIN_CYCLE, seed=24, **shared),
        Probe(stage=FEEDBACK, circuit=Circuit.NESTED_PLAIN_CYCLE, seed=32, **shared),
    ]


def _random() -> list[Probe]:
    """Evidence for the whole rule; what the battery leaves over gets more of them (see ``tie_breaking``)."""
    shared: dict[str, Any] = {"stage": ALL, "waveform": stimuli.random, "level": (0.3, 8.0), "steps": 24}
    return [
        Probe(batch=1000, every_gain=True, seed=13, **shared),
        Probe(variation=LEAKS[3], batch=500, seed=33, **shared),
        Probe(variation=LEAKS[2], batch=500, seed=31, **shared),
        Probe(variation=RESETS[0], batch=1000, seed=22, **shared),
    ]


BATTERY: tuple[Probe, ...] = (*_response(), *_start(), *_reset(), *_collapse(), *_circuits(), *_random())

LATE_FEEDBACK: tuple[Probe, ...] = tuple(_plain_cycles())
"""Asked beside the battery where spikes are late: whether what is fed back waits for another step."""
