"""What a network does in a forward pass besides computing, and in which layer.

Published networks write into their inputs and buffers, draw noise, compute without gradients, and
use weights hidden in lists. Watching one pass shows which of these a network does.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

_DATA: Any = Tensor.data  # a descriptor
_SET_ITEM: Any = Tensor.__setitem__
_STILL = {Tensor.detach, _DATA.__get__}  # what no gradient goes through, besides no_grad
_CUSTOM = ("autograd/function.py", "autograd_function.py")  # where torch calls custom functions
_CALLER = str(Path(__file__).with_name("functional.py"))  # where a network's pass begins
_ATTENTION = {F.multi_head_attention_forward, F.scaled_dot_product_attention}
_NORMS = {F.batch_norm, F.instance_norm, F.layer_norm}


@dataclass
class SideEffects:
    """What a network does in a forward pass besides computing; each a layer's name, or empty."""

    holds: str = ""  # computes without gradients
    draws: str = ""  # draws random numbers
    writes: str = ""  # writes into its inputs or buffers
    hides: str = ""  # uses a weight that has no name
    attends: str = ""  # uses torch's attention, whose fast kernels lack derivatives
    norms: str = ""  # torch's batch, layer or instance norm, whose third derivatives are wrong
    scales: str = ""  # uses torch's weight norm, which lacks derivatives
    rounds: str = ""  # computes in lower precision than its weights
    suspect: bool = False  # a plain call was wrong, for whatever reason
    steps: list[Any] = field(default_factory=list)  # the functions of torch that were called

    @property
    def seen(self) -> Hashable:
        """All of this as it is now, to be compared with what another pass shows."""
        return tuple(tuple(v) if isinstance(v, list) else v for v in vars(self).values())

    def needs_care(self, thrice: bool) -> bool:
        """Whether a plain call would be wrong, or would be if differentiated three times."""
        held = self.holds or self.draws or self.writes or self.hides or self.attends or self.scales
        return bool(held or self.suspect or (thrice and self.norms))


class Watch(TorchFunctionMode):
    """Notes what a network does, and in which layer."""

    def __init__(self, effects: SideEffects, names: Mapping[int, str], at: Layers) -> None:
        self.effects, self.names, self.at = effects, names, at
        self.random = torch.get_rng_state()

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        self.effects.steps.append(func)
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        for each in given:
            if id(each) in self.names:
                self._note("hides", self.names[id(each)])
        if func in _ATTENTION:
            self._note("attends")
        if func is torch._weight_norm:
            self._note("scales")
        if func in _NORMS:
            self._note("norms")
        result = func(*args, **kwargs)
        parts = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        if parts and is_still(func):
            self._note("holds")
        if func is _SET_ITEM:  # the only write that does not return what was written to
            parts = [args[0]]
        most = max((each.dtype.itemsize for each in given if each.is_floating_point()), default=0)
        if any(part.is_floating_point() and part.dtype.itemsize < most for part in parts):
            self._note("rounds")
        random = torch.get_rng_state()
        if not torch.equal(random, self.random):
            self._note("draws")
            self.random = random
        return result

    def _note(self, effect: str, what: str = "") -> None:
        if not getattr(self.effects, effect):
            setattr(self.effects, effect, what or str(self.at))


def is_still(func: Any) -> bool:
    """Whether no gradient goes through this call of a function, by the network's own choice.

    A custom function's forward is also called without gradients, but has its own derivatives.
    """
    if torch.is_grad_enabled():
        return func in _STILL
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename != _CALLER:
        if frame.f_code.co_filename.endswith(_CUSTOM):
            return False
        frame = frame.f_back
    return True


class Layers:
    """The name of the layer that is at work while a network is called."""

    def __init__(self, net: nn.Module, player: str) -> None:
        self.net, self.player = net, player
        self.stack: list[str] = []
        self.handles: list[Any] = []

    def __enter__(self) -> Layers:
        for name, module in self.net.named_modules():
            label = f"{self.player}.{name}" if name else self.player
            label = f"{label} ({type(module).__name__})"
            self.handles.append(
                module.register_forward_pre_hook(lambda *_, label=label: self.stack.append(label))
            )
            self.handles.append(module.register_forward_hook(lambda *_: self._leave()))
        return self

    def __exit__(self, *_: Any) -> None:
        for handle in self.handles:
            handle.remove()

    def __str__(self) -> str:
        return self.stack[-1] if self.stack else f"{self.player} ({type(self.net).__name__})"

    def _leave(self) -> None:
        self.stack.pop()


def failure(at: Layers, error: Exception, *, labelled: bool) -> str:
    """What a layer's own error says, and what the caller may have forgotten, or need not give."""
    said = f"{at} fails: {type(error).__name__}: {error}"
    if not isinstance(error, TypeError) or "argument" not in str(error):
        return said
    if not labelled:
        return f"{said}; networks that take labels get them by labels=..."
    if "were given" not in str(error):
        return said
    takes = "latents" if at.player == "G" else "samples"
    return f"{said}; labels were given, but {at.player} takes {takes} alone"
