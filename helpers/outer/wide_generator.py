"""Paths of generated points, carried over into the parameters of a wide generator.

Sun et al. (2020, Assumption 4.6) assume that a generator can follow any continuous path of its n
outputs by a continuous path of its parameters. A net with one hidden layer of at least n units
can. With the hidden layer held, its outputs are linear in the last layer, and the pseudo-inverse of
the features gives the least change of the last layer that moves the outputs as wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helpers.inputs import real_array, whole_number
from helpers.inputs import seed as whole_seed

# Points that differ by less are one: a part of their distances, and what rounding leaves of a
# difference of coordinates.
_CLOSE, _ROUNDING = 1e-9, 1e-12


@dataclass(frozen=True)
class WideGenerator:
    """G_w(z) = [tanh(z A + b), 1] w, with the last layer w free."""

    hidden: NDArray[np.float64]  # A: (d_z, width)
    bias: NDArray[np.float64]  # b: (width,)
    latents: NDArray[np.float64]  # z: (n, d_z), distinct

    def __post_init__(self) -> None:
        for name in ("hidden", "bias", "latents"):
            object.__setattr__(self, name, real_array(name, getattr(self, name)))
        A, b, z = self.hidden.shape, self.bias.shape, self.latents.shape
        if len(A) != 2 or len(z) != 2 or b != A[1:] or z[1] != A[0] or not z[0]:
            raise ValueError(
                "expected hidden (d_z, width), bias (width,) and latents (n, d_z), n at least 1, "
                f"got {A}, {b} and {z}"
            )

    @classmethod
    def random(cls, n: int, width: int, *, seed: int) -> WideGenerator:
        """A generator with a Gaussian hidden layer and n Gaussian latents in the plane.

        Raises:
            ValueError: if the width is below n: the outputs could not move freely.

        >>> WideGenerator.random(3, 16, seed=0).features.shape
        (3, 17)
        """
        n, width = whole_number("n", n, 0), whole_number("width", width, 0)
        if width < n or n < 1:
            raise ValueError(f"n outputs need n >= 1 and width >= n, got n = {n}, width = {width}")
        rng = np.random.default_rng(whole_seed(seed))
        shapes = ((2, width), (width,), (n, 2))
        return cls(*(rng.standard_normal(shape) for shape in shapes))

    @property
    def features(self) -> NDArray[np.float64]:
        """(n, width + 1) inputs of the last layer at the latents."""
        active = np.tanh(self.latents @ self.hidden + self.bias)
        return np.concatenate([active, np.ones((len(active), 1))], axis=1)

    def outputs(self, w: ArrayLike) -> NDArray[np.float64]:
        """(..., n, d) generated points for last layers w (..., width + 1, d).

        Raises:
            ValueError: for other shapes, and entries that are not finite.
        """
        w, width = real_array("w", w), self.hidden.shape[1]
        if w.ndim < 2 or w.shape[-2] != width + 1:
            raise ValueError(f"last layers are (..., {width + 1}, d), got {w.shape}")
        return self.features @ w

    def objectives(
        self,
        phi: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
        real: ArrayLike,
        ws: ArrayLike,
    ) -> NDArray[np.float64]:
        """(k,) outer values of last layers: those of the points that they generate.

        A point that misses a real one by a rounding error, less than 1e-9 of how far apart the
        real ones are, counts as sitting on it.

        Args:
            phi: an outer objective of real and generated points, such as `helpers.outer.phi_js`.
            real: (n, d) real points.
            ws: (k, width + 1, d) last layers.

        Raises:
            ValueError: for other shapes, real points too close to be told apart, and what phi
                refuses.

        >>> from helpers.outer.exact import phi_js
        >>> G, real = WideGenerator.random(2, 8, seed=0), np.array([[0.0], [4.0]])
        >>> ws = G.follow(np.zeros((9, 1)), [real, 0 * real])
        >>> G.objectives(phi_js, real, ws).round(4)
        array([-0.6931, -0.4774])
        """
        real, outputs = real_array("real", real), self.outputs(ws)
        if outputs.ndim != 3:
            raise ValueError(f"last layers are (k, width + 1, d), got {np.shape(ws)}")
        if real.shape != outputs.shape[1:] or not real.size:
            raise ValueError(f"real points are {outputs.shape[1:]} as G's, got {real.shape}")
        close, apart = float(_closeness(real)), _gaps(real, real)
        if ((apart > 0) & (apart <= 2 * close)).any():
            raise ValueError(
                f"real points need distances above {2 * close:.3g} to be told apart up to "
                f"rounding, got {apart[apart > 0].min():.3g}"
            )
        return np.array([phi(real, _put_on(real, points, close)) for points in outputs])

    def follow(self, w: ArrayLike, path: ArrayLike) -> NDArray[np.float64]:
        """Last layers whose outputs follow a path of points, changed from w as little as possible.

        Args:
            w: (width + 1, d) parameters to start from.
            path: (steps, n, d) points to follow.

        Returns:
            (steps, width + 1, d); continuous in the path, and w itself where the path is G_w.

        Raises:
            ValueError: for other shapes, entries that are not finite, and a path that no last layer
                follows, as the features at the latents lack rank.

        >>> G = WideGenerator.random(2, 8, seed=0)
        >>> w = G.follow(np.zeros((9, 1)), [[[0.0], [4.0]]])
        >>> (G.outputs(w).round(9) + 0.0).tolist()
        [[[0.0], [4.0]]]
        """
        w, path = real_array("w", w), real_array("path", path)
        start = self.outputs(w)
        if start.ndim != 2 or path.ndim != 3 or path.shape[1:] != start.shape:
            n, d = start.shape[-2:]
            raise ValueError(f"a path is (steps, {n}, {d}) from one w, got {path.shape}")
        found = w + np.linalg.pinv(self.features) @ (path - start)
        missed = np.abs(self.outputs(found) - path).max(axis=(1, 2))
        if (missed > _closeness(path) + _closeness(start)).any():
            (n, width), rank = self.features.shape, np.linalg.matrix_rank(self.features)
            raise ValueError(
                f"the outputs miss this path by up to {missed.max():.3g}: the features of {n} "
                f"points at width {width - 1} have rank {rank}, and need {n}, well above rounding; "
                "a greater width, latents further apart or smaller weights give it"
            )
        return found


def _closeness(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(...) how close two of the points (..., n, d) may be that are one but for rounding."""
    spread = np.ptp(points, axis=-2).max(axis=-1)
    return _CLOSE * spread + _ROUNDING * np.abs(points).max(axis=(-2, -1))


def _gaps(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, m) largest differences of a coordinate."""
    return np.abs(x[:, None] - y).max(axis=-1)


def _put_on(
    real: NDArray[np.float64], points: NDArray[np.float64], close: float
) -> NDArray[np.float64]:
    """The points, of which those close to a real one are moved onto it."""
    gaps = _gaps(points, real)
    return np.where(gaps.min(axis=1, keepdims=True) <= close, real[gaps.argmin(axis=1)], points)
