"""The derivative of a map at a point, by one of several routes.

A product is a second derivative along one direction. What it needs from the first derivatives is
the same for every direction, and a route says what becomes of that part:

============ ==================================================== ============= ================
route        first derivatives                                    time          memory, MB
============ ==================================================== ============= ================
linearized   folded into constants of a traced forward-mode       1.5, 2.0, 2.0 250, 200, 340
             program, once per point
bfloat16     the same, and what enters convolutions and matrix    1.2, 1.6, 1.5 280, 220, 430
             products is rounded to bfloat16 (J' u is not), where
             that is measured to be faster; else "linearized"
retained     their graph is kept, each product goes back through  1.8, 2.0, 3.7 140, 140, 390
             it (J u of a game: twice)
recomputed   computed again for each product                      3.1, 3.7, 4.0 160, 190, 200
============ ==================================================== ============= ================

Measured by `make bench` on G, D and the game of `helpers.models.dcgan` with 64 images. Times are in
units of the gradient of each, and memory is what exceeds one gradient. Where memory is short, take
"recomputed", or "retained", which needs less on a Hessian. A density by "bfloat16" is off by less
than a tenth of what other probes change in it, its largest eigenvalue by 0.6% (G) and 0.02% (D).
J' u is never traced: it goes back through a retained graph, in a time of 2.5. Tracing takes one to
four seconds per network, so "auto" linearizes from 10,000 parameters on and recomputes below that.
For a game of networks, "auto" takes another route where its first one is wrong or lacks a
derivative (`helpers.operators.trust`); ``operator.route`` says which. Where the losses are sums
over batches, all routes but the last keep as much for every batch.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor
from torch.func import jvp, vjp, vmap

from helpers.inputs import one_of
from helpers.operators.base import Operator, Product
from helpers.operators.tracing import linearize

ROUTES = ("auto", "linearized", "bfloat16", "retained", "recomputed")
_LARGE = 10_000
_TRACED = ("linearized", "bfloat16")


def check_route(route: str) -> None:
    """Raise a ValueError unless there is such a route."""
    one_of("route", route, ROUTES)


def routes_for(n: int) -> tuple[str, ...]:
    """The routes that "auto" takes for n parameters: the first one, or the next where it fails."""
    return ("linearized", "retained", "recomputed") if n >= _LARGE else ("recomputed", "retained")


class Derivative(Operator):
    """The derivative of a map R^n -> R^n at a point.

    Args:
        map: made of operations that torch.func can differentiate.
        at: (n,) the point.
        symmetric: whether the derivative is symmetric, as that of a gradient is.
        route: one of `ROUTES`; the module says what each costs.
        graph: the same map by torch.autograd, from a tensor that requires grad to one that carries
            a graph; "retained" goes back through it, where torch.func may not go. By default the
            map itself.

    >>> Derivative(lambda x: x**2, torch.tensor([1.0, 3.0])).dense()
    tensor([[2., 0.],
            [0., 6.]])
    """

    def __init__(
        self,
        map: Product,
        at: Tensor,
        *,
        symmetric: bool = False,
        route: str = "auto",
        graph: Product | None = None,
    ) -> None:
        check_route(route)
        self.map, self.graph = map, graph or map
        with torch.inference_mode(False):
            self.like = at.detach().clone()  # the caller may go on training
        self.symmetric = symmetric
        self.route = routes_for(len(at))[0] if route == "auto" else route
        self._programs: dict[int, Product] = {}

    def _times(self, u: Tensor) -> Tensor:
        if self.route in _TRACED:
            return self._program(u)(u)
        if self.route == "recomputed":
            return self._along(u)
        return self._pull(u) if self.symmetric else self._push(u)

    def _transposed_times(self, u: Tensor) -> Tensor:
        if self.symmetric:
            return self._times(u)
        if self.route != "recomputed":
            return self._pull(u)
        with torch.inference_mode(False), torch.enable_grad():
            return vjp(self.map, self.like)[1](u.clone())[0].detach()

    def _times_many(self, U: Tensor) -> Tensor:
        if self.route in _TRACED:
            return self._program(U)(U)
        if self.route == "recomputed":
            return self._along_many(U)
        return super()._times_many(U)

    def _columns(self, U: Tensor) -> Tensor:
        # Not worth a trace of its own. But a matrix in bfloat16 is rounded as its products are, and
        # "retained" goes back through its graph, as the other ways may be wrong.
        by_one = self.route in ("bfloat16", "retained")
        return super()._times_many(U) if by_one else self._along_many(U)

    def _along_many(self, U: Tensor) -> Tensor:
        with torch.inference_mode(False):
            return vmap(self._along, in_dims=1, out_dims=1, randomness="same")(U.clone())

    def _along(self, u: Tensor) -> Tensor:
        """The derivative along u, forward over reverse.

        The other order, the gradient of a jvp, is wrong in torch where batch norm takes its
        statistics from the batch.
        """
        # A Python number times a float32 scalar has a float64 tangent in torch.
        # Where gradients are off, some versions of torch find no derivative of a derivative.
        with torch.inference_mode(False), torch.enable_grad():
            return jvp(self.map, (self.like,), (u.clone(),))[1].to(self.like).detach()

    @cached_property
    def _kept(self) -> tuple[Tensor, Tensor]:
        """The point, and the map's value there with its graph."""
        with torch.inference_mode(False), torch.enable_grad():
            at = self.like.clone().requires_grad_()
            return at, self.graph(at)

    def _pull(self, u: Tensor, *, create_graph: bool = False) -> Tensor:
        """J' u through the retained graph of the map."""
        at, value = self._kept
        if not value.requires_grad:  # a constant map
            return torch.zeros_like(self.like)
        with torch.enable_grad():
            return torch.autograd.grad(
                value, at, u, retain_graph=True, create_graph=create_graph, materialize_grads=True
            )[0]

    @cached_property
    def _linear(self) -> tuple[Tensor, Tensor]:
        """A point w, and w -> J' w there with its graph."""
        with torch.inference_mode(False):
            w = torch.zeros_like(self.like).requires_grad_()
            return w, self._pull(w, create_graph=True)

    def _push(self, u: Tensor) -> Tensor:
        """J u: w -> J' w is linear, and this is its transpose."""
        w, pulled = self._linear
        if not pulled.requires_grad:
            return torch.zeros_like(self.like)
        return torch.autograd.grad(pulled, w, u, retain_graph=True, materialize_grads=True)[0]

    def _program(self, u: Tensor) -> Product:
        """The traced product for vectors of this shape."""
        size = u.shape[1] if u.ndim == 2 else 0
        if size not in self._programs:
            along = self._along_many if size else self._along
            traced, rounded = linearize(along, u, bfloat16=self.route == "bfloat16")
            if not rounded:
                self.route = "linearized"
            self._programs = {size: traced}  # a second one would double the memory
        return self._programs[size]
