"""Exact values of the generator's outer problem in function space.

The generator is reduced to the n points it outputs, and the discriminator may be any continuous
function f, so that Sun et al.'s outer objectives (2020, eqs. 5 and 6)

    separable:  g(Y) = 1/(2n) sup_f sum_i h1(f(x_i)) + h2(-f(y_i))
    pairing:    g(Y) = 1/n    sup_f sum_i h(f(x_i) - f(y_i))

have closed forms. A location that holds a real and b generated points adds
``sup_t a h1(t) + b h2(-t)`` to the first. For the second, draw an arrow from x_i to y_i for each
i: an index on a cycle of that graph adds h(0), all others add sup h = 0.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from helpers.inputs import real_array, shown
from helpers.losses.scalars import PAIRING, SEPARABLE

Scalar = Callable[[Tensor], Tensor]

# sinh maps [-40, 40] onto |t| <= 1.2e17: beyond the reach of any supremum that is finite.
_HALF_WIDTH = 40.0
_NODES, _ZOOMS = 257, 8  # each zoom narrows the search 128-fold; eight go below rounding
# Towards the ends, equal steps in u multiply t by e^5. Each raises a function without bound by
# about as much as the one before, or more, and one that nears its supremum by a fraction of that.
_LAST = (25.0, 30.0, 35.0, 40.0)


def xi(a: ArrayLike, b: ArrayLike, h1: Scalar, h2: Scalar) -> NDArray[np.float64]:
    """Supremum over t of ``a h1(t) + b h2(-t)``; the paper's xi(m) is a = 1, b = m (Sec. 4.1).

    h1 and h2 are concave, so the sum is unimodal. Repeated zooming on a grid in u, with
    t = sinh(u), finds its supremum up to rounding, even where it is only approached at infinity.

    Args:
        a, b: counts of real and generated points, any shapes that broadcast.
        h1, h2: concave scalar functions of a float64 tensor.

    Returns:
        Array of the broadcast shape.

    Raises:
        ValueError: if a supremum is infinite (or neared as slowly as -1 / log t, so that no search
            finds it), for counts that are negative or not finite, and for
            shapes that do not broadcast.
        FloatingPointError: for a supremum beyond the range of floats; it names the place.

    >>> from helpers.losses.scalars import LOGISTIC
    >>> xi(1, [0, 1, 2], LOGISTIC, LOGISTIC).round(4) + 0.0
    array([ 0.    , -1.3863, -1.9095])
    """
    _check_scalars(h1, h2)
    a, b = _counts(a), _counts(b)
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ValueError(
            f"counts of real and generated points must broadcast, got shapes {a.shape} and "
            f"{b.shape}"
        ) from None
    a, b = (torch.from_numpy(np.broadcast_to(c, shape).copy()) for c in (a, b))

    def objective(u: Tensor) -> Tensor:
        t = torch.sinh(u)
        # 0 * inf must not arise: a term without points is absent, whatever its h.
        real = torch.where(a > 0, a * h1(t), 0.0)
        return real + torch.where(b > 0, b * h2(-t), 0.0)

    half = torch.full_like(a, _HALF_WIDTH)
    centre = torch.zeros_like(a)
    offsets = torch.linspace(-1, 1, _NODES, dtype=a.dtype, device="cpu").reshape(-1, *[1] * a.ndim)
    for sign in (-1, 1):
        last = [objective(torch.full_like(a, sign * u)) for u in _LAST]
        rises = [after - before for before, after in itertools.pairwise(last)]
        still = (rises[0] > 0) & (rises[1] > rises[0] / 2) & (rises[2] > rises[1] / 2)
        if bool((still | (last[-1] == torch.inf)).any()):
            raise ValueError("the supremum over t is infinite: xi needs finite sup h1 and sup h2")
    best = torch.full_like(a, -torch.inf)
    for _ in range(_ZOOMS):
        # Concave in t, so unimodal in u: the supremum lies beside the best node.
        u = centre + half * offsets
        value, node = objective(u).max(dim=0)
        best = torch.maximum(best, value)
        centre = u.gather(0, node[None])[0]
        half = half * (2 / (_NODES - 1))
    if not best.isfinite().all():
        place = tuple((~best.isfinite()).nonzero()[0].tolist())
        raise FloatingPointError(
            f"the supremum for {float(a[place]):g} real and {float(b[place]):g} generated points "
            f"is {float(best[place])}, beyond the range of floats"
        )
    return best.numpy()


def phi_separable(x: ArrayLike, y: ArrayLike, h1: Scalar, h2: Scalar) -> float:
    """Outer value of a separable loss on n real and n generated points (Sun et al. 2020, eq. 5).

    Args:
        x, y: (n,) or (n, d) real and generated points; repeats are allowed in both.
        h1, h2: concave scalar functions with finite suprema.

    Returns:
        ``1/(2n) sup_f sum_i h1(f(x_i)) + h2(-f(y_i))``, in O(n log n).

    Raises:
        ValueError: for an empty set, NaN or infinite coordinates, or different shapes.

    >>> h1, h2 = SEPARABLE["ls"]
    >>> round(phi_separable([0.0, 4.0], [0.0, 0.0], h1, h2), 6)  # 1/4 of -2/3
    -0.166667
    """
    x, y = check_points(x, y)
    n = len(x)
    where = _locations(x, y)
    size = where.max() + 1
    real, fake = np.bincount(where[:n], minlength=size), np.bincount(where[n:], minlength=size)
    pairs, multiplicity = np.unique(np.stack([real, fake]), axis=1, return_counts=True)
    return float(multiplicity @ xi(pairs[0], pairs[1], h1, h2)) / (2 * n)


def phi_pairing(x: ArrayLike, y: ArrayLike, h: Scalar) -> float:
    """Outer value of a relativistic pairing loss (Sun et al. 2020, eq. 6).

    Only the indices on cycles of the graph ``x_i -> y_i`` contribute, each h(0). This is the idea
    of the proof of Theorem 2. Claim 3.2 as printed counts matches instead, and differs from this
    where a match is mis-paired.

    Args:
        x: (n,) or (n, d) real points, distinct.
        y: generated points of the same shape; y_i is the partner of x_i.
        h: concave scalar function with sup h = 0 (Assumptions 4.4 and 4.5).

    Returns:
        ``h(0) * (number of indices on cycles) / n``, in O(n log n).

    Raises:
        ValueError: for an empty set, NaN or infinite coordinates, different shapes, repeated
            real points, or an h whose supremum is not 0 (h(t) = t of the Wasserstein loss).

    >>> phi_pairing([0.0, 4.0], [9.0, 0.0], PAIRING["rp-ls"]) + 0.0  # one match, mis-paired
    0.0
    """
    _check_scalars(h)
    x, y = check_points(x, y)
    n = len(x)
    if abs(_supremum(h)) > 1e-9:
        raise ValueError(f"a pairing loss needs sup h = 0 (Assumption 4.4); got {_supremum(h):g}")
    where = _locations(x, y)
    if len(np.unique(where[:n])) < n:
        raise ValueError("x must hold distinct points: the cycle count rests on it")
    sink = where.max() + 1
    successor = np.full(sink + 1, sink)
    successor[where[:n]] = where[n:]
    zero = float(h(torch.zeros((), dtype=torch.float64, device="cpu")))
    return zero * float(on_cycle(successor).sum()) / n


def phi_js(x: ArrayLike, y: ArrayLike) -> float:
    """Outer value of the JS-GAN loss (Sun et al. 2020, eq. 1), between -log 2 and 0.

    Arguments and errors are those of `phi_separable`.

    >>> round(phi_js([0.0, 4.0], [0.0, 0.0]), 4)  # mode collapse
    -0.4774
    """
    return phi_separable(x, y, *SEPARABLE["js"])


def phi_rs(x: ArrayLike, y: ArrayLike) -> float:
    """Outer value of the RS-GAN loss (Sun et al. 2020, eq. 4), between -log 2 and 0.

    Arguments and errors are those of `phi_pairing`.

    >>> round(phi_rs([0.0, 4.0], [0.0, 0.0]), 4)  # mode collapse
    -0.3466
    """
    return phi_pairing(x, y, PAIRING["rs"])


def on_cycle(successor: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Nodes on cycles of functional graphs whose last node is a sink that does not count.

    After at least as many steps as there are nodes, every walk is on a cycle, and walks started
    on a cycle permute it. So the image of that many steps, reached by repeated squaring, is the
    set of cycle nodes. From (..., m), the node that each points to, to (..., m - 1).

    >>> on_cycle(np.array([1, 0, 0, 3]))  # 0 <-> 1, and 2 -> 0
    array([ True,  True, False])
    """
    try:
        successor = np.asarray(successor)
    except ValueError:  # ragged rows
        raise ValueError(f"nodes (..., m) point to nodes, got {shown(successor)}") from None
    m = successor.shape[-1] if successor.ndim else 0
    inside = successor.dtype.kind in "iu" and m and (successor >= 0).all() and (successor < m).all()
    if not inside:
        raise ValueError(f"nodes (..., m) point to nodes from 0 to m - 1, got {shown(successor)}")
    walk = successor.copy()
    walk[..., m - 1] = m - 1
    for _ in range(int(m).bit_length()):
        walk = np.take_along_axis(walk, walk, axis=-1)
    reached = np.zeros(walk.shape, dtype=bool)
    np.put_along_axis(reached, walk, True, axis=-1)
    return reached[..., : m - 1]


def check_points(x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two point sets as finite float64 arrays of one shape (n, d), or raise ValueError."""
    x, y = real_array("x", x, finite=False), real_array("y", y, finite=False)
    if x.ndim not in (1, 2) or x.shape != y.shape:
        raise ValueError(f"x and y must both be (n,) or (n, d); got shapes {x.shape} and {y.shape}")
    if x.size == 0:
        raise ValueError("x and y are empty: at least one point is needed")
    for name, p in (("x", x), ("y", y)):
        if not np.isfinite(p).all():
            raise ValueError(f"{name} holds NaN or infinite coordinates")
    return x.reshape(len(x), -1), y.reshape(len(y), -1)


@functools.lru_cache(maxsize=64)
def _supremum(h: Scalar) -> float:
    try:
        return float(xi(1, 0, h, h))
    except ValueError:
        return float("inf")


def _locations(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.intp]:
    """The number of the location of each row of x, then of y."""
    points = np.concatenate([x, y]) + 0.0  # makes -0.0 the same location as 0.0
    axis = 0 if points.shape[1] > 1 else None
    return np.unique(points, axis=axis, return_inverse=True)[1].reshape(-1)


def _check_scalars(*functions: Scalar) -> None:
    for h in functions:
        if not callable(h):
            raise ValueError(f"h is a function of a tensor, got {shown(h)}")


def _counts(values: ArrayLike) -> NDArray[np.float64]:
    values = real_array("counts of points", values, finite=False)
    if not ((values >= 0) & (values < np.inf)).all():
        raise ValueError(f"counts of points must be non-negative and finite, got {values}")
    return values
