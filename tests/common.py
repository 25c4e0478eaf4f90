"""What several test files share: point sets to try, operators, a run that is stopped."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import LinearOperator
from torch import Tensor
from torch.nn.functional import softplus

from helpers.experiments.protocol import Measured
from helpers.games.game import Game
from helpers.losses.scalars import PAIRING, SEPARABLE
from helpers.operators import Matrix, Operator
from helpers.training import Paused

# On tensors as small as these a second thread gains nothing, and on a busy machine it is waited
# for. `make numerics` wants two all the same.
if "OMP_NUM_THREADS" not in os.environ:
    torch.set_num_threads(1)
LOSSES = [*SEPARABLE, *PAIRING]
# The same examples in every run, and nothing left in the checkout.
set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "hypothesis")
SETTINGS = settings(deadline=None, derandomize=True, database=None)


@st.composite
def point_sets(
    draw: st.DrawFn, *, most: int = 5, dimensions: int = 3, distinct: bool = True
) -> tuple[NDArray, NDArray]:
    """x and y, (n, d), with coincidences, mis-pairings and repeats; 1/8 apart at the least."""
    n, d = draw(st.integers(1, most)), draw(st.integers(1, dimensions))
    place = st.tuples(*[st.integers(-9, 9)] * d)
    places = draw(st.lists(place, min_size=n, max_size=2 * n, unique=True))
    some = st.lists(st.sampled_from(places), min_size=n, max_size=n)
    x = places[:n] if distinct else draw(some)
    return np.array(x) / 8, np.array(draw(some)) / 8


def with_spectrum(values: ArrayLike, rng: np.random.Generator) -> NDArray:
    """A symmetric matrix with these eigenvalues and no structure."""
    basis = np.linalg.qr(rng.normal(size=(len(values), len(values))))[0]
    matrix = basis @ np.diag(values) @ basis.T
    return (matrix + matrix.T) / 2


class Watched(Matrix):
    """A matrix that counts its products; one of them is NaN, or interrupted, if so wished."""

    def __init__(
        self, entries: ArrayLike, *, nan_at: int | None = None, interrupt_at: int | None = None
    ) -> None:
        super().__init__(entries)
        self.products, self.nan_at, self.interrupt_at = 0, nan_at, interrupt_at

    def _times(self, u: Tensor) -> Tensor:
        self.products += 1
        if self.products == self.interrupt_at:
            raise KeyboardInterrupt
        return super()._times(u) * (np.nan if self.products == self.nan_at else 1)

    _times_many = _times


def as_scipy(operator: Operator) -> LinearOperator:
    """The same products on numpy vectors, for scipy's sparse eigensolvers."""

    def product(u: NDArray) -> NDArray:
        return operator.matvec(torch.from_numpy(np.array(u.ravel()))).cpu().numpy()

    dtype = torch.empty(0, dtype=operator.dtype, device="cpu").numpy().dtype
    return LinearOperator(operator.shape, matvec=product, dtype=dtype)


def logistic(rng: np.random.Generator) -> tuple[Game, NDArray, NDArray]:
    """D fits labels +-1 by logistic regression in 6 dimensions: a game, a point, D's Hessian."""
    X, y = rng.normal(size=(40, 6)) * [3, 2, 1, 1, 0.3, 0.1], rng.choice([-1.0, 1.0], 40)
    data = torch.from_numpy(y[:, None] * X)
    game = Game(
        lambda theta, phi: (theta**2).sum(), lambda theta, phi: softplus(-data @ phi).mean(), (2, 6)
    )
    omega = rng.normal(size=8)
    p = 1 / (1 + np.exp(-X @ omega[2:]))
    return game, omega, X.T @ ((p * (1 - p))[:, None] * X) / 40


def paused_and_resumed(measure: Callable[..., Measured], folder: Path) -> tuple[Measured, int]:
    """What a run gives that is stopped in its training and after a member, and how often it was.

    Args:
        measure: takes the run's folder and `until`.
        folder: of the run; a member's numbers are kept in its "member-*/points.pt".
    """
    asked: list[bool] = []

    def until() -> bool:
        """In the seventh iteration, and as soon as a member has been looked at."""
        looked = bool(list(folder.glob("member-*/points.pt")))
        asked.append(looked)
        return len(asked) == 7 or (looked and sum(asked) == 1)

    pauses = 0
    while True:
        try:
            return measure(folder=folder, until=until), pauses
        except Paused:
            pauses += 1


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Another default dtype of torch's, for a while."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
