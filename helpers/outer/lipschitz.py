"""The outer objective when the discriminator is Lipschitz: a true surface instead of steps.

In function space the objective of Sun et al. (2020, eqs. 5 and 6) only jumps where points meet.
If f may change by at most L per unit of distance, it becomes continuous, and tends to the exact
values of `helpers.outer.exact` as L grows. A function on finitely many points extends to one of the
same Lipschitz constant everywhere (McShane). So the supremum is a concave problem in the values
of f at the points; a log-barrier Newton method solves it here for a whole batch of Y at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from helpers.inputs import real_array, real_number
from helpers.losses.scalars import BOUNDED, PAIRING, SEPARABLE, ScalarFunction, check_loss
from helpers.machine.devices import pick_device
from helpers.outer.exact import check_points

_GAP = 1e-7  # at most, between the values returned and the suprema
_SHRINK = 0.1  # factor on the barrier's weight from one centring to the next
_NEWTON_STEPS = 60  # at most, per centring; a handful is usual
_HALVINGS = 60  # of a Newton step, at most
# Point sets solved together on a CPU, in arrays too small for torch to start threads: these gain
# nothing here, and on a busy machine they cost ten times the work.
_CHUNK = 1024
_PIVOT = 1e-5  # in Cholesky's decomposition: its square is far above the rounding of the product
_CENTRED = 1e-3  # Newton decrement, in units of the barrier's weight
_MEETING = 0.1  # share of the gap: points between which f changes by no more are one location
# No two of K values of f need to lie further apart than K - 1 times this. For separable losses,
# cutting f off at -40 and 40 costs at most exp(-40). For pairing losses, neighbouring values more
# than 40 apart can be brought to 40 apart at the same cost.
_FAR = 80.0


@dataclass(frozen=True)
class _Problem:
    """maximise weight * sum h(A u) subject to |C u| <= 1, for each entry of a batch."""

    terms: list[tuple[ScalarFunction, Tensor]]  # h and its rows of A, (B, T, K)
    bounds: Tensor  # C, (B, M, K)
    weight: float

    def among(self, entries: Tensor) -> _Problem:
        """The same problem for some entries of the batch."""
        terms = [(h, rows[entries]) for h, rows in self.terms]
        return _Problem(terms, self.bounds[entries], self.weight)

    def value(self, u: Tensor) -> Tensor:
        parts = (h(_apply(rows, u)).sum(-1) for h, rows in self.terms)
        return cast(Tensor, self.weight * sum(parts))

    def barrier(self, u: Tensor, mu: float) -> Tensor:
        """(B,) objective with softened h plus a log-barrier of weight mu."""
        smooth = sum(h.softened(_apply(rows, u), mu).sum(-1) for h, rows in self.terms)
        return self.weight * smooth + mu * torch.log1p(-(_apply(self.bounds, u) ** 2)).sum(-1)

    def derivatives(self, u: Tensor, mu: float) -> tuple[Tensor, Tensor]:
        """Gradient (B, K) of the barrier function, and a root R (B, T + M, K) of its Hessian, -R'R.

        The Hessian itself would have the square of the root's condition number, which exceeds what
        float64 can hold once some values of f are free and others are not.
        """
        s = _apply(self.bounds, u)
        first, second = mu * (1 / (1 + s) - 1 / (1 - s)), mu * (1 / (1 + s) ** 2 + 1 / (1 - s) ** 2)
        gradient = torch.einsum("bm,bmi->bi", first, self.bounds)
        roots = [second.sqrt()[..., None] * self.bounds]
        for h, rows in self.terms:
            t = _apply(rows, u).requires_grad_(True)
            with torch.enable_grad():
                (first,) = torch.autograd.grad(h.softened(t, mu).sum(), t, create_graph=True)
                # A linear h has no second derivative that autograd could find.
                bends = first.requires_grad
                second = torch.autograd.grad(first.sum(), t)[0] if bends else torch.zeros_like(t)
            gradient += self.weight * torch.einsum("bt,bti->bi", first.detach(), rows)
            bend = (-self.weight * second).clamp(min=0)  # h is concave up to rounding
            roots.append(bend.sqrt()[..., None] * rows)
        return gradient, torch.cat(roots, dim=1)


def _apply(rows: Tensor, u: Tensor) -> Tensor:
    return torch.einsum("btk,bk->bt", rows, u)


def phi_lipschitz(
    x: ArrayLike,
    y: ArrayLike,
    loss: str,
    L: float,
    *,
    device: str = "auto",
) -> NDArray[np.float64]:
    """Outer objective over discriminators with Lipschitz constant at most L.

    Args:
        x: (n,) or (n, d) real points; distinct for a pairing loss.
        y: (..., n) or (..., n, d) generated points, one set per batch entry.
        loss: a name of `scalars.SEPARABLE`, `scalars.PAIRING` or `scalars.BOUNDED`. The supremum
            of "wgan" is L times the Wasserstein distance (`helpers.outer.wasserstein`).
        L: Lipschitz constant, positive: the most f changes per unit of (Euclidean) distance.
        device: where the batch is solved, see `devices.pick_device`.

    Returns:
        (...,) array, at most 1e-7 below the suprema (for "wgan" times L and the largest distance
        between two points), and never above the exact value of `helpers.outer.exact`.

    Raises:
        ValueError: for an unknown loss, L not positive and finite, bad point sets, or a problem too
            ill-conditioned to solve.
        FloatingPointError: for distances beyond the range of floats.

    >>> phi_lipschitz([0.0, 4.0], [[0.0, 0.0], [0.0, 4.0]], "js", L=100.0).round(4)
    array([-0.4774, -0.6931])
    """
    return _solved(x, y, loss, L, device)[0]


def best_discriminator(
    x: ArrayLike,
    y: ArrayLike,
    loss: str,
    L: float,
    *,
    device: str = "auto",
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The values at the points of an f that attains the supremum of `phi_lipschitz`.

    Between the points any function of the same Lipschitz constant will do (McShane). Where several
    f attain the supremum, the values are those in the middle of the set. Pairing losses see only
    differences of f, whose mean over all points is then 0.

    Args and errors are those of `phi_lipschitz`.

    Returns:
        (..., n) values at x and (..., n) values at y.

    >>> at_x, at_y = best_discriminator([0.0, 4.0], [0.0, 9.0], "js", L=1.0)
    >>> (at_x - at_y).round(2)
    array([0., 5.])
    """
    at = _solved(x, y, loss, L, device)[1]
    n = at.shape[-1] // 2
    return at[..., :n], at[..., n:]


@torch.inference_mode(False)  # Newton's method takes derivatives
def _solved(
    x: ArrayLike, y: ArrayLike, loss: str, L: float, device: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(...,) suprema, and (..., 2 n) values of f at x and y."""
    check_loss(loss, bounded=True)
    L = real_number("L", L, above=0)
    x, y = real_array("x", x, finite=False), real_array("y", y, finite=False)
    batch = y.shape[: y.ndim - x.ndim]
    if y.size == 0 or y.shape[len(batch) :] != x.shape:
        raise ValueError(f"y must be (..., *{x.shape}) like x; got {y.shape}")
    if not np.isfinite(y).all():
        raise ValueError("y holds NaN or infinite coordinates")
    x, _ = check_points(x, y.reshape(-1, *x.shape)[0])
    if loss in PAIRING and len(np.unique(x, axis=0)) < len(x):
        raise ValueError("x must hold distinct points for a pairing loss")

    fakes = torch.from_numpy(y.reshape(-1, *x.shape)).to(pick_device(device))
    reals = torch.from_numpy(x).to(fakes.device).expand_as(fakes)
    points = torch.cat([reals, fakes], dim=1)
    distance = torch.linalg.vector_norm(points[:, :, None] - points[:, None], dim=-1)
    if not distance.isfinite().all():
        far = float(points.abs().max())
        raise FloatingPointError(f"distances of coordinates up to {far:g} are beyond floats")
    reach, unit = L * distance, torch.ones_like(points[:, 0, 0])
    if loss in BOUNDED:  # homogeneous in what f may change: solved where the most is 1
        unit = reach.amax(dim=(1, 2))
        if not unit.isfinite().all():
            raise FloatingPointError(f"L = {L:g} times these distances is beyond floats")
        reach = reach / torch.where(unit > 0, unit, 1.0)[:, None, None]
    meet = reach <= _MEETING * _GAP
    owner = meet.to(torch.int8).argmax(dim=2)  # first point of each location
    values, at = points.new_empty(len(points)), points.new_empty(points.shape[:2])
    # Sets of Y in which the same points meet share one problem; a grid has a handful of patterns.
    patterns, group = torch.unique(owner, dim=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        locations = torch.unique(pattern)
        alike = torch.nonzero(group == number).squeeze(1)
        for members in alike.split(_CHUNK if points.device.type == "cpu" else len(alike)):
            problem, basis = _problem(pattern, locations, reach[members], loss)
            u = _solve(problem)
            values[members] = unit[members] * problem.value(u)
            at[members] = unit[members, None] * _apply(basis, u)
    if loss not in SEPARABLE:
        at = at - at.mean(dim=1, keepdim=True)
    return values.cpu().numpy().reshape(batch), at.cpu().numpy().reshape(*batch, -1)


def _problem(
    pattern: Tensor, locations: Tensor, reach: Tensor, loss: str
) -> tuple[_Problem, Tensor]:
    """The problem of sets in which the same points meet, and rows that give f at each point.

    They come from pattern (2n,), locations (K,) and reach (B, 2n, 2n); the rows are (B, 2n, K).
    """
    n, k = len(pattern) // 2, len(locations)
    reach = reach[:, locations][:, :, locations].clamp(max=_FAR * max(k - 1, 1))
    basis = _tree_basis(reach)
    at = basis[:, torch.searchsorted(locations, pattern)]  # (B, 2n, K): f at each point
    real, fake = at[:, :n], at[:, n:]
    if loss in SEPARABLE:
        h1, h2 = SEPARABLE[loss]
        terms, weight = [(h1, real), (h2, -fake)], 1 / (2 * n)
    else:
        terms, weight = [((PAIRING | BOUNDED)[loss], real - fake)], 1 / n
    p, q = torch.triu_indices(k, k, offset=1, device=reach.device)
    return _Problem(terms, (basis[:, p] - basis[:, q]) / reach[:, p, q, None], weight), at


def _tree_basis(reach: Tensor) -> Tensor:
    """Values of f in terms of a level and its steps along a minimum spanning tree (Prim).

    In units of what the Lipschitz bound allows, a step lies in [-1, 1] however close two points
    come, so Newton's systems stay well conditioned where systems in the values do not. Row p of
    (B, K, K) holds f at location p; column 0 is the level, at location 0.
    """
    size, k, _ = reach.shape
    everyone = torch.arange(size, device=reach.device)
    basis = torch.zeros_like(reach)
    basis[:, :, 0] = 1
    to_tree, parent = reach[:, 0].clone(), torch.zeros_like(reach[:, 0], dtype=torch.long)
    to_tree[:, 0] = torch.inf
    for column in range(1, k):
        length, child = to_tree.min(dim=1)
        basis[everyone, child] = basis[everyone, parent[everyone, child]]
        basis[everyone, child, column] = length
        to_tree[everyone, child] = torch.inf
        closer = (reach[everyone, child] < to_tree) & to_tree.isfinite()
        to_tree = torch.where(closer, reach[everyone, child], to_tree)
        parent = torch.where(closer, child[:, None], parent)
    return basis


def _solve(problem: _Problem) -> Tensor:
    """(B, K) where the problem's value is within the gap of its supremum, from below."""
    size, bounds, k = problem.bounds.shape
    terms = sum(rows.shape[1] for _, rows in problem.terms)
    # A barrier of weight mu leaves mu per bound: 2 M of them, and 2 per softened h.
    smallest = _GAP / (2 * (bounds + terms * problem.weight) + 1)
    u = problem.bounds.new_zeros(size, k)
    # Start where the barrier outweighs the objective, so that u = 0 is nearly centred.
    mu = max(1.0, float(problem.derivatives(u, 1.0)[0].abs().max()))
    while mu > smallest:
        mu = max(mu * _SHRINK, smallest)
        u = _centre(problem, u, mu)
    return u


def _centre(problem: _Problem, u: Tensor, mu: float) -> Tensor:
    """Newton's method with backtracking on the barrier function of weight mu."""
    # No pairing loss depends on the level: its column is zero, and any pin will do.
    pin = torch.zeros_like(u[:, None])
    pin[..., 0] = float(all(bool((rows[..., 0] == 0).all()) for _, rows in problem.terms))
    active = torch.arange(len(u), device=u.device)
    for _ in range(_NEWTON_STEPS):
        gradient, root = problem.derivatives(u[active], mu)
        step = _newton_step(torch.cat([root, pin[active]], dim=1), gradient)
        decrement = (gradient * step).sum(-1)
        going = ~(decrement <= _CENTRED * mu * problem.weight)  # NaN is not centred
        if not going.any():
            return u
        problem, active = problem.among(going), active[going]
        now, step, decrement = u[active], step[going], decrement[going]
        s, change = _apply(problem.bounds, now), _apply(problem.bounds, step)
        room = torch.where(change == 0, torch.inf, (1 - s * change.sign()) / change.abs())
        # With a single location there is no bound, and no room to run out of.
        room = torch.cat([room, room.new_full((len(room), 1), torch.inf)], dim=1)
        length = torch.clamp(0.95 * room.amin(dim=1), max=1.0)
        before = problem.barrier(now, mu)
        for _ in range(_HALVINGS):
            after = problem.barrier(now + length[:, None] * step, mu)
            short = after < before + 0.1 * length * decrement
            if not short.any():
                break
            length = torch.where(short, 0.5 * length, length)
        u[active] = now + length[:, None] * step
    raise ValueError(
        f"Newton's method left {len(active)} point sets uncentred at barrier weight {mu:.1e}: "
        "the points are too spread out for L"
    )


def _newton_step(root: Tensor, gradient: Tensor) -> Tensor:
    """(B, K) solution of root'root step = gradient, for roots (B, R, K)."""
    scale = torch.linalg.vector_norm(root, dim=1)
    scale = torch.where(scale > 0, scale, 1.0)
    root = root / scale[:, None]
    lower, failed = torch.linalg.cholesky_ex(root.mT @ root)
    # A small pivot has lost its digits in the product; the root itself is decomposed then.
    weak = (failed > 0) | ~(lower.diagonal(dim1=1, dim2=2).amin(dim=1) > _PIVOT)
    if weak.any():
        lower[weak] = _triangle(root[weak])
    half = torch.linalg.solve_triangular(lower, (gradient / scale)[..., None], upper=False)
    return torch.linalg.solve_triangular(lower.mT, half, upper=True)[..., 0] / scale


def _triangle(root: Tensor) -> Tensor:
    """(B, K, K) lower triangular L with LL' = root'root, by a QR decomposition."""
    # Where columns are dependent up to rounding, a ridge of that size keeps the system regular.
    ridge = torch.eye(root.shape[2], dtype=root.dtype, device=root.device)
    ridge = torch.finfo(root.dtype).eps * ridge.expand(len(root), -1, -1)
    root = torch.cat([root, ridge], dim=1)
    # Rows differ by many orders of magnitude, which QR copes with if the largest come first.
    order = torch.linalg.vector_norm(root, dim=2).argsort(dim=1, descending=True)
    return torch.linalg.qr(root.gather(1, order[..., None].expand_as(root)), mode="r").R.mT
