"""What NIR's neurons do between two spikes: three equations and their solutions for constant input.

Every array holds one number a neuron: parameters (n,), states and inputs (n,) or (B, n).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
State = dict[str, Array]
"""``v``: membrane [V]; with a synapse also ``i``: synaptic current [A]."""

SomeParameters = TypeVar("SomeParameters", bound="Parameters")


@dataclass(frozen=True)
class Parameters:
    """Arrays with one number a neuron."""

    def of(self: SomeParameters, who: NDArray[Any]) -> SomeParameters:
        """The parameters of some neurons, by index."""
        return replace(self, **{field.name: getattr(self, field.name)[who] for field in fields(self)})


class Equation(Parameters, ABC):
    """A neuron's differential equation, solved."""

    states: ClassVar[tuple[str, ...]] = ("v",)
    """Names of the state variables; all start at 0."""

    @abstractmethod
    def after(self, state: State, x: Array, t: Array | float) -> State:
        """The state a time t [s] later, under constant input x [A]."""

    @abstractmethod
    def rise(self, state: State, x: Array, theta: Array, within: Array) -> Array:
        """When the membrane first rises through theta [s]; infinite where it does not in [0, within).

        All arguments are (n,), and v ≤ theta.  The result may be later than ``within`` where that comes for free.
        """

    def may_rise(self, state: State, end: State, x: Array, theta: Array) -> NDArray[np.bool_]:
        """Whether a membrane may have been above theta on its way from ``state`` to ``end``; never misses one.

        Where v has no turning point it is above at the end if it ever was.
        """
        return end["v"] > theta


@dataclass(frozen=True)
class Ramp(Equation):
    r"""I and IF: a perfect integrator.

    .. math:: \dot v = R\,x \quad\Rightarrow\quad v(t) = v_0 + R\,x\,t

    It rises through :math:`\theta` at :math:`t = (\theta - v_0) / R x`, if :math:`R x > 0`.
    """

    r: Array

    def after(self, state: State, x: Array, t: Array | float) -> State:
        return {"v": state["v"] + self.r * x * t}

    def rise(self, state: State, x: Array, theta: Array, within: Array) -> Array:
        slope = self.r * x
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.where(slope > 0, (theta - state["v"]) / slope, np.inf)


@dataclass(frozen=True)
class Leak(Equation):
    r"""LI and LIF: a leaky integrator, which relaxes to :math:`v_\infty`.

    .. math:: \tau\dot v = v_\mathrm{leak} - v + R\,x \quad\Rightarrow\quad
        v(t) = v_0 + (v_\infty - v_0)\,(1 - e^{-t/\tau}), \quad v_\infty = v_\mathrm{leak} + R\,x

    It rises through :math:`\theta` if :math:`v_\infty > \theta`, at

    .. math:: t = \tau\,\log\frac{v_\infty - v_0}{v_\infty - \theta}
        = \tau\,\log\Bigl(1 + \frac{\theta - v_0}{v_\infty - \theta}\Bigr)

    (the second form keeps its digits when the threshold is near).
    """

    tau: Array
    r: Array
    v_leak: Array

    def after(self, state: State, x: Array, t: Array | float) -> State:
        v = state["v"]
        return {"v": v - (self.v_leak + self.r * x - v) * np.expm1(-t / self.tau)}

    def rise(self, state: State, x: Array, theta: Array, within: Array) -> Array:
        excess = self.v_leak + self.r * x - theta
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.where(excess > 0, self.tau * np.log1p((theta - state["v"]) / excess), np.inf)


@dataclass(frozen=True)
class Synapse(Equation):
    r"""CubaLI and CubaLIF: a leaky integrator behind a synapse.

    .. math:: \tau_\mathrm{syn}\dot i = w_\mathrm{in}\,x - i, \qquad \tau_\mathrm{mem}\dot v = v_\mathrm{leak} - v + R\,i

    With :math:`i_\infty = w_\mathrm{in} x` and :math:`v_\infty = v_\mathrm{leak} + R\,i_\infty`,

    .. math::
        i(t) &= i_\infty + (i_0 - i_\infty)\,e^{-t/\tau_\mathrm{syn}} \\
        v(t) &= v_0 + (v_\infty - v_0)\,(1 - e^{-t/\tau_\mathrm{mem}}) + R\,(i_0 - i_\infty)\,\kappa(t)

    where :math:`\kappa` is the membrane's answer to a decaying current of 1 (see ``_kernel``).
    """

    tau_syn: Array
    tau_mem: Array
    r: Array
    v_leak: Array
    w_in: Array

    states: ClassVar[tuple[str, ...]] = ("v", "i")

    def after(self, state: State, x: Array, t: Array | float) -> State:
        v, i_final = state["v"], self.w_in * x
        excess = state["i"] - i_final
        relaxing = (v - self.v_leak - self.r * i_final) * np.expm1(-t / self.tau_mem)
        return {"v": v + relaxing + self.r * excess * self._kernel(t), "i": i_final + excess * np.exp(-t / self.tau_syn)}

    def slope(self, state: State) -> Array:
        """dv/dt [V/s], straight from the equation."""
        return (self.v_leak - state["v"] + self.r * state["i"]) / self.tau_mem

    def may_rise(self, state: State, end: State, x: Array, theta: Array) -> NDArray[np.bool_]:
        """Above theta at the end, or over a maximum on the way: v turns once at most (see ``_turn``)."""
        return (end["v"] > theta) | ((self.slope(state) > 0) & (self.slope(end) < 0))

    def rise(self, state: State, x: Array, theta: Array, within: Array) -> Array:
        """Bracket the crossing where v rises: before a maximum, or after a minimum; then close in on it."""
        turn = np.minimum(self._turn(state, x), within)
        rises_first = self.slope(state) > 0
        low, high = np.where(rises_first, 0.0, turn), np.where(rises_first, turn, within)
        times = np.full(low.shape, np.inf)
        (who,) = np.nonzero(self.after(state, x, high)["v"] > theta)
        if who.size:
            some, start = self.of(who), {name: value[who] for name, value in state.items()}

            def above(t: Array) -> tuple[Array, Array]:
                now = some.after(start, x[who], t)
                return now["v"] - theta[who], some.slope(now)

            times[who] = rising_root(above, low[who], high[who])
        return times

    @property
    def _rate_difference(self) -> Array:
        r""":math:`\delta = 1/\tau_\mathrm{syn} - 1/\tau_\mathrm{mem}` [1/s], without cancellation."""
        return (self.tau_mem - self.tau_syn) / (self.tau_mem * self.tau_syn)

    def _kernel(self, t: Array | float) -> Array:
        r"""The membrane's answer to a current :math:`e^{-t/\tau_\mathrm{syn}}`, from rest.

        .. math:: \kappa(t) = \int_0^t e^{-(t-s)/\tau_\mathrm{mem}}\,e^{-s/\tau_\mathrm{syn}}\,\frac{ds}{\tau_\mathrm{mem}}
            = \frac{t}{\tau_\mathrm{mem}}\,e^{-t/\max(\tau_\mathrm{syn}, \tau_\mathrm{mem})}\,\phi(|\delta|\,t),
            \quad \phi(z) = \frac{1 - e^{-z}}{z}

        The textbook's difference of two exponentials over a difference of two rates, written so that it holds for equal,
        nearly equal and very different time constants alike: :math:`\phi(0) = 1` gives :math:`t e^{-t/\tau}/\tau`.
        """
        z = np.abs(self._rate_difference) * t
        with np.errstate(invalid="ignore"):
            phi = np.where(z == 0, 1.0, -np.expm1(-z) / z)
        slower: Array = np.maximum(self.tau_syn, self.tau_mem)
        return t / self.tau_mem * np.exp(-t / slower) * phi

    def _turn(self, state: State, x: Array) -> Array:
        r"""Where dv/dt changes its sign [s]; infinite where it never does.

        With :math:`u_0 = v_\mathrm{leak} - v_0 + R\,i_0`, which is :math:`\tau_\mathrm{mem}\dot v(0)`,

        .. math:: \tau_\mathrm{mem}\,\dot v(t)\,e^{t/\tau_\mathrm{mem}}
            = u_0 - \frac{R\,(i_0 - i_\infty)}{\tau_\mathrm{syn}}\,\frac{1 - e^{-\delta t}}{\delta}

        The last factor grows with :math:`t`, from 0, so there is one zero at most.  With
        :math:`q = \tau_\mathrm{syn} u_0 / R (i_0 - i_\infty)` it is at :math:`t = -\log(1 - \delta q)/\delta`
        (:math:`t = q` for :math:`\delta = 0`), if :math:`q \ge 0` and :math:`\delta q < 1`.
        """
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            q = self.tau_syn * self.tau_mem * self.slope(state) / (self.r * (state["i"] - self.w_in * x))
            z = self._rate_difference * q
            turn = np.where(z == 0, q, -np.log1p(-z) / self._rate_difference)
            return np.where((q >= 0) & (z < 1), turn, np.inf)


def rising_root(function: Callable[[Array], tuple[Array, Array]], low: Array, high: Array) -> Array:
    """Newton's method, kept inside a bracket by bisection.

    function : t (n,) → its values and slopes (n,); values do not fall between low and high
    low, high : (n,), value(low) ≤ 0 < value(high)

    Returns the roots (n,) to one part in 2^50 of ``high``, or to where the function's own rounding hides them.  A Newton
    step is taken where it stays in the bracket and is at most half the step before it; else the bracket is halved, so that
    a root near a turning point, where the slope vanishes, is found as surely as any.  It comes to an end: Newton steps
    in a row shrink, and each bisection halves what is left.
    """
    tolerance = 4 * np.finfo(np.float64).eps * high
    t, moved, done = low, high - low, np.zeros(low.shape, dtype=bool)
    while not done.all():
        value, slope = function(t)
        low, high = np.where(value > 0, low, t), np.where(value > 0, t, high)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            newton = t - value / slope
            trusted = (newton >= low) & (newton <= high) & (2 * np.abs(newton - t) <= np.abs(moved))
        # What has been found stays as it is, so that a root does not depend on its company.
        target = np.where(done, t, np.where(trusted, newton, (low + high) / 2))
        moved, t = target - t, target
        done |= np.abs(moved) <= tolerance
    return t
