"""The two-cluster training that Sun et al. 2020 released, for one seed and without its pictures."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def released_loop(
    name: str, G: nn.Module, D: nn.Module, z: Tensor, x: Tensor, iterations: int
) -> list[float]:
    """Train "js" or "rs": D's loss in the last of each iteration's ten steps."""
    bce = nn.BCEWithLogitsLoss()
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    of_g, of_d = (torch.optim.SGD(net.parameters(), lr=1e-2, momentum=0.9) for net in (G, D))
    losses = []
    for _ in range(iterations):
        points = G(z)
        of_d.zero_grad()
        for _ in range(10):
            real, fake = D(x), D(points.detach())
            terms = (bce(real, one), bce(fake, zero)) if name == "js" else (bce(real - fake, one),)
            loss = sum(terms) / len(terms)
            loss.backward()
            of_d.step()
            of_d.zero_grad()
        losses.append(loss.item())
        of_g.zero_grad()
        for _ in range(10):
            real, fake = D(x), D(G(z))
            loss = bce(fake if name == "js" else fake - real, one)
            loss.backward()
            of_g.step()
            of_g.zero_grad()
    return losses
