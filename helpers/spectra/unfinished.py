"""The probes of a density that are done, in a file from which an interrupted call goes on.

A probe takes as many products as Lanczos has steps, and draws from its own stream. So finished
probes are all that has to be kept: two rows of numbers each, no vectors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from helpers.checkpoints import digest, read_state, try_writing, write_state
from helpers.operators import Operator

# How far v'H v / |v| may move between two calls, in lengths of H v: by rounding, in single
# precision, and not by other data, unless these hardly differ.
_SAME = 1e-3


@dataclass(eq=False)
class Unfinished:
    """Nodes and weights (steps,) of the probes that are done."""

    path: Path | None = None
    about: dict[str, Any] = field(default_factory=dict)
    nodes: list[NDArray[np.float64]] = field(default_factory=list)
    weights: list[NDArray[np.float64]] = field(default_factory=list)

    @classmethod
    def begun(
        cls,
        path: Path,
        operator: Operator,
        first: Tensor,
        run: dict[str, Any],
        probes: int,
        batch_size: int,
    ) -> Unfinished:
        """What a checkpoint has; `run` is all that the nodes depend on, but for the operator.

        An incomplete last batch of probes is done again where more are to come, as products of
        fewer vectors are rounded in another way. A ValueError for a file that cannot be written, is
        damaged, has more probes, or belongs to another operator or run.
        """
        run = {"point": digest(operator.like), **run}
        product = operator.matvec(first).double()
        along = float(first.double() @ product / first.double().norm())
        found = cls(path, {"run": run, "along": along})
        if not path.exists():
            try_writing(path)
            return found
        state = read_state(path, run, 2**63)
        done = state["done"]
        if done > probes:
            raise ValueError(f"{path} has {done} probes, more than {probes}")
        there = state["along"]
        if not abs(there - along) <= _SAME * float(product.norm()):
            raise ValueError(
                f"{path} is of another operator: its product with the first probe has length "
                f"{there:g} along it, and here {along:g}"
            )
        found.about = {"run": run, "along": there}
        kept = done if done == probes else done - done % batch_size
        found.nodes, found.weights = (list(state[k].numpy()[:kept]) for k in ("nodes", "weights"))
        return found

    def write(self) -> None:
        """Keep what is done, if there is a file for it."""
        if self.path is not None:
            done = {"done": len(self.nodes), "nodes": _rows(self.nodes)}
            write_state({**self.about, **done, "weights": _rows(self.weights)}, self.path)


def _rows(rows: list[NDArray[np.float64]]) -> Tensor:
    return torch.from_numpy(np.array(rows))
