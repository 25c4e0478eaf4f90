"""Paths of generated points, carried over into the parameters of a wide generator.

Sun et al. (2020, Assumption 4.6) ask that a generator can follow any continuous path of its n
outputs by a continuous path of its parameters. A net with one hidden layer of at least n units
can: with the hidden layer held, its outputs are linear in the last layer, and the least change of
the last layer that moves the outputs as wanted is the pseudo-inverse of the features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class WideGenerator:
    """G_w(z) = [tanh(z A + b), 1] w, of which the last layer w is free."""

    hidden: NDArray[np.float64]  # A: (d_z, width)
    bias: NDArray[np.float64]  # b: (width,)
    latents: NDArray[np.float64]  # z: (n, d_z), distinct

    @classmethod
    def random(cls, n: int, width: int, *, d_z: int = 2, seed: int) -> WideGenerator:
        """A generator with Gaussian hidden layer and n Gaussian latents.

        Raises:
            ValueError: if the width is below n: the outputs could not move freely.

        >>> WideGenerator.random(3, 16, seed=0).features.shape
        (3, 17)
        """
        if width < n or n < 1:
            raise ValueError(f"n outputs need n >= 1 and width >= n, got n = {n}, width = {width}")
        rng = np.random.default_rng(seed)
        shapes = ((d_z, width), (width,), (n, d_z))
        return cls(*(rng.standard_normal(shape) for shape in shapes))

    @property
    def features(self) -> NDArray[np.float64]:
        """(n, width + 1) inputs of the last layer at the latents."""
        active = np.tanh(self.latents @ self.hidden + self.bias)
        return np.concatenate([active, np.ones((len(active), 1))], axis=1)

    def outputs(self, w: ArrayLike) -> NDArray[np.float64]:
        """(..., n, d) generated points of last layers w (..., width + 1, d)."""
        return self.features @ np.asarray(w)

    def follow(self, w: ArrayLike, path: ArrayLike) -> NDArray[np.float64]:
        """Last layers that put out a path of points, from w on, changing as little as possible.

        Args:
            w: (width + 1, d) parameters to start from.
            path: (steps, n, d) points wanted.

        Returns:
            (steps, width + 1, d); continuous in the path, and w itself where the path is G_w.

        >>> G = WideGenerator.random(2, 8, seed=0)
        >>> w = G.follow(np.zeros((9, 1)), [[[0.0], [4.0]]])
        >>> (G.outputs(w).round(9) + 0.0).tolist()
        [[[0.0], [4.0]]]
        """
        w, path = np.asarray(w, dtype=np.float64), np.asarray(path, dtype=np.float64)
        return w + np.linalg.pinv(self.features) @ (path - self.outputs(w))
