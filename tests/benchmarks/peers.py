"""Other packages' spectra of a GAN, behind one interface: what `make bench` compares with.

A GAN's loss is a closure, not (inputs, targets, criterion): it calls both players as they are held.
Each shim hands it over the way its peer wants and leaves the peer's algorithm, loops, precision and
numbers of products alone. A peer is imported only where it is used. Modes, parameters, `.grad` and
torch's generator come back as they were; running statistics of batch norm move on, as with every
call of a closure that keeps them. Throughout,

- ``net`` is the player whose Hessian is wanted; its parameters that require gradients count, in
  their order, flattened;
- ``closure`` returns that player's scalar loss on the full batch;
- nodes and weights are (probes, steps), float64; each row of weights sums to about 1.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigs, eigsh
from torch import Tensor, nn

if TYPE_CHECKING:
    from curvlinops import HessianLinearOperator
    from pyhessian import hessian

Closure = Callable[[], Tensor]
Quadrature = tuple[NDArray[np.float64], NDArray[np.float64]]  # nodes, weights


def pyhessian_slq(
    net: nn.Module,
    closure: Closure,
    *,
    probes: int,
    steps: int,
    seed: int,
    loader: bool = False,
) -> Quadrature:
    """Call PyHessian's `density`.

    The peer's own: Lanczos on lists of tensors from +-1, every vector made orthogonal to all the
    former by modified Gram-Schmidt, T in float32. The gradient's graph is kept from product to
    product; with `loader` both are made anew at every product.
    """
    with _pyhessian(net, closure, seed, loader) as peer:
        nodes, weights = peer.density(iter=steps, n_v=probes)
    return np.array(nodes, dtype=np.float64), np.array(weights, dtype=np.float64)


def pyhessian_top(
    net: nn.Module, closure: Closure, *, k: int, tol: float, max_iter: int, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Call PyHessian's `eigenvalues`: (k,) of largest magnitude, vectors (k, n), products spent.

    The peer's own: power iteration with deflation, `tol` and `max_iter` for each eigenvalue, on a
    graph that is kept.
    """
    with _pyhessian(net, closure, seed, loader=False) as peer:
        module = sys.modules["pyhessian.hessian"]  # hidden in its package by the class of that name
        own, products = module.hessian_vector_product, 0

        def counting(*args: object) -> tuple[Tensor, ...]:
            nonlocal products
            products += 1
            return own(*args)

        with patch.object(module, "hessian_vector_product", counting):
            values, vectors = peer.eigenvalues(maxIter=max_iter, tol=tol, top_n=k)
    rows = [_numpy(_flat(vector)) for vector in vectors]
    return np.array(values, dtype=np.float64), np.array(rows), products


def curvlinops_operator(net: nn.Module, closure: Closure) -> HessianLinearOperator:
    """Make curvlinops' Hessian; `.to_scipy()` is for `scipy_top`.

    The peer's own: forward over reverse (`jvp` of `jacrev` under `vmap`), all of it at every
    product. Its check that two products agree is left out, for no other peer makes one.

    Batch norm in training mode defeats it: torch refuses where running statistics are kept, and
    where they are not the products are wrong (and not symmetric), for torch's batched backward of
    batch norm, which `jacrev` uses, cannot be differentiated again.
    """
    from curvlinops import HessianLinearOperator

    return HessianLinearOperator(
        _Loss(net, closure),
        _Identity(),
        _parameters(net),
        [_batch(net)],
        check_deterministic=False,
        num_data=1,
    )


def curvlinops_slq(
    net: nn.Module, closure: Closure, *, probes: int, steps: int, seed: int
) -> Quadrature:
    """Call the Lanczos loop beneath curvlinops' `lanczos_approximate_spectrum`.

    The peer's own: a three-term recurrence from a Gaussian vector, nothing made orthogonal anew.
    Taken before its blurring, whose width follows from the steps and whose grid from two more
    eigenvalues.
    """
    from curvlinops.papyan2020traces.spectrum import fast_lanczos

    operator = curvlinops_operator(net, closure)
    with _seeded(seed):
        runs = [fast_lanczos(operator, steps) for _ in range(probes)]
    nodes = [_numpy(values) for values, _ in runs]
    weights = [_numpy(vectors[0]) ** 2 for _, vectors in runs]
    return np.array(nodes), np.array(weights)


def eigenthings_slq(
    net: nn.Module, closure: Closure, *, probes: int, steps: int, seed: int
) -> Quadrature:
    """Call hessian-eigenthings' `spectral_density`.

    The peer's own: Lanczos from +-1, modified Gram-Schmidt against all former vectors, gradient
    and graph anew at every product. Its blurred density is asked for at two points only.
    """
    from hessian_eigenthings import HessianOperator, spectral_density

    operator = HessianOperator(net, [()], lambda _net, _batch: closure())
    # It seeds probe i by seed + i: neighbouring seeds would share their probes.
    found = spectral_density(
        operator, num_runs=probes, lanczos_steps=steps, num_grid_points=2, seed=seed * probes
    )
    nodes, weights = _numpy(found.raw_eigenvalues), _numpy(found.raw_weights)
    return np.where(weights > 0, nodes, 0.0), weights  # NaN past a run's early end


def gradvis_slq(
    net: nn.Module, closure: Closure, *, probes: int, steps: int, seed: int
) -> Quadrature:
    """Run GradVis' algorithm, written from its description (Chatzimichailidis et al. 2019).

    Gradient, graph and second gradient anew at every product, from numpy and back; Lanczos in
    float64 from a Gaussian vector, classical Gram-Schmidt against all former vectors. There is no
    early end: `steps` stays below what the vector can see of the spectrum.
    """
    rng, parameters = np.random.default_rng(seed), _parameters(net)
    n = sum(parameter.numel() for parameter in parameters)
    basis, off_diagonal = np.empty((steps, n)), np.empty(steps)
    nodes, weights = np.empty((probes, steps)), np.empty((probes, steps))
    for probe in range(probes):
        diagonal = np.empty(steps)
        w = rng.standard_normal(n)
        for step in range(steps):
            former = basis[: step + 1]
            former[step] = v = w / np.linalg.norm(w)
            w = double_backward(closure, parameters, v)
            diagonal[step] = v @ w
            w -= former.T @ (former @ w)
            off_diagonal[step] = np.linalg.norm(w)
        between = off_diagonal[:-1]
        T = np.diag(diagonal) + np.diag(between, 1) + np.diag(between, -1)
        nodes[probe], vectors = np.linalg.eigh(T)
        weights[probe] = vectors[0] ** 2
    return nodes, weights


class Counted(LinearOperator):
    """A scipy operator that counts its products with one vector, J u and J' u alike."""

    def __init__(self, operator: LinearOperator) -> None:
        super().__init__(operator.dtype, operator.shape)
        self.operator, self.products = operator, 0

    def _matvec(self, u: NDArray) -> NDArray:
        self.products += 1
        return self.operator.matvec(u)

    def _rmatvec(self, u: NDArray) -> NDArray:
        self.products += 1
        return self.operator.rmatvec(u)

    def _matmat(self, U: NDArray) -> NDArray:
        self.products += U.shape[1]
        return self.operator.matmat(U)


def scipy_top(
    operator: LinearOperator,
    *,
    k: int,
    tol: float = 0.0,
    which: str = "LM",
    symmetric: bool = True,
    max_iter: int | None = None,
    seed: int = 0,
) -> tuple[NDArray, NDArray, int]:
    """Call ARPACK through scipy: eigenvalues (k,), vectors (k, n), products spent.

    ARPACK's own: its restarts and its precision, which is the operator's; tol 0 is that precision.
    Raises its `ArpackNoConvergence` after `max_iter` restarts.
    """
    counted = Counted(operator)
    start = np.random.default_rng(seed).standard_normal(operator.shape[0]).astype(operator.dtype)
    solve = eigsh if symmetric else eigs
    values, vectors = solve(counted, k=k, which=which, tol=tol, v0=start, maxiter=max_iter)
    return values, vectors.T, counted.products


def berard_game_products(
    generator: nn.Module,
    discriminator: nn.Module,
    closure_g: Closure,
    closure_d: Closure,
    *,
    keep_graph: bool = True,
) -> LinearOperator:
    """Make the game's operator as Berard et al. 2020 released it, generator first.

    A product is the gradient, over both players' parameters, of u times both gradients: J' u, whose
    eigenvalues are those of J. As released, the gradients and their graph are made once and kept;
    without `keep_graph`, at every product. They took `scipy_top(..., k=20, symmetric=False)`.
    """
    players = _parameters(generator), _parameters(discriminator)
    every = [*players[0], *players[1]]

    def gradients() -> Tensor:
        losses = closure_g(), closure_d()
        each = zip(losses, players, strict=True)
        return torch.cat([_gradient(loss, own, create_graph=True) for loss, own in each])

    kept = gradients() if keep_graph else None

    def product(u: NDArray) -> NDArray:
        field = gradients() if kept is None else kept
        along = torch.dot(field, torch.from_numpy(u.reshape(-1)).to(field))
        return _gradient(along, every, retain_graph=keep_graph).cpu().numpy()

    n = sum(parameter.numel() for parameter in every)
    kind = np.dtype(str(every[0].dtype).removeprefix("torch."))
    return LinearOperator((n, n), matvec=product, dtype=kind)


class _Loss(nn.Module):
    """A closure where a peer wants a model: it finds net's parameters, and the loss as output."""

    def __init__(self, net: nn.Module, closure: Closure) -> None:
        super().__init__()
        self.net = net
        self.closure = closure

    def forward(self, _inputs: Tensor) -> Tensor:
        return self.closure()

    def train(self, mode: bool = True) -> _Loss:
        """Keep the modes of the GAN: PyHessian calls `eval`, which is another loss of BatchNorm."""
        return self


class _Identity(nn.Module):
    """The criterion of such a model."""

    reduction = "mean"  # curvlinops asks

    def forward(self, output: Tensor, _target: Tensor) -> Tensor:
        return output


@contextmanager
def _pyhessian(net: nn.Module, closure: Closure, seed: int, loader: bool) -> Iterator[hessian]:
    """PyHessian's object, in surroundings that let release 0.1 run and put back what it changes.

    It fills `.grad`, of the other player too: that one is frozen meanwhile, as its user would do,
    so that no gradient is computed for nothing. One call of the closure finds what to freeze.
    """
    from pyhessian import hessian

    own = set(net.parameters())
    touched = own | _leaves(closure())
    before = [(tensor, tensor.grad, tensor.requires_grad) for tensor in touched]
    batch = _batch(net)
    cuda = batch[0].is_cuda
    data = {"dataloader": [batch]} if loader else {"data": batch}
    with _seeded(seed), warnings.catch_warnings(), patch.object(torch, "eig", _eig, create=True):
        # The cycle that torch warns of is undone below.
        warnings.filterwarnings("ignore", r"Using backward\(\) with create_graph=True")
        try:
            for tensor in touched:
                tensor.grad = None
                tensor.requires_grad_(tensor.requires_grad and tensor in own)
            yield hessian(_Loss(net, closure), _Identity(), cuda=cuda, **data)
        finally:
            for tensor, grad, needed in before:
                tensor.requires_grad_(needed)
                tensor.grad = grad


def _eig(matrix: Tensor, eigenvectors: bool) -> tuple[Tensor, Tensor]:
    """`torch.eig` as it was: PyHessian 0.1 calls it and torch has dropped it."""
    values, vectors = torch.linalg.eig(matrix)
    return torch.view_as_real(values), vectors.real


def _leaves(loss: Tensor) -> set[Tensor]:
    """What a backward of the loss would give a `.grad`."""
    seen, todo = set(), [loss.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            todo.extend(following for following, _ in node.next_functions)
    return {node.variable for node in seen if hasattr(node, "variable")}


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch's own generators for the peers that draw from them, and put them back."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def _parameters(net: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in net.parameters() if parameter.requires_grad]


def _batch(net: nn.Module) -> tuple[Tensor, Tensor]:
    """One input and one target, on the net's device, for a peer that wants some."""
    empty = torch.zeros(1, device=next(net.parameters()).device)
    return empty, empty


def double_backward(closure: Closure, parameters: list[nn.Parameter], v: NDArray) -> NDArray:
    """H v (n,), all made anew, from numpy and back."""
    gradient = _gradient(closure(), parameters, create_graph=True)
    along = torch.dot(gradient, torch.from_numpy(v).to(gradient))
    return _numpy(_gradient(along, parameters))


def _gradient(of: Tensor, parameters: list[nn.Parameter], **options: bool) -> Tensor:
    """(n,), 0 for what it does not depend on."""
    return _flat(torch.autograd.grad(of, parameters, materialize_grads=True, **options))


def _flat(parts: tuple[Tensor, ...] | list[Tensor]) -> Tensor:
    return torch.cat([part.reshape(-1) for part in parts])


def _numpy(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.detach().double().cpu().numpy()
