"""A network as a function of its weights alone, whatever it does besides.

Networks of published code do more in a forward pass than to compute: they write into their inputs
and buffers, count, draw noise, normalise by vectors that they keep from call to call, and use
weights that hide in lists. `Held` is such a network with all of that held: the same numbers at
every call, and nothing of the caller's changed. What a network does is observed once; one that does
nothing of the kind is called as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

from helpers.models.copying import copied

# Layers of torch whose training mode means dropout, and nothing else.
_DROPPING = (
    _DropoutNd,
    nn.RNNBase,
    nn.MultiheadAttention,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
)
_DATA: Any = Tensor.data  # a descriptor
_STILL = {Tensor.detach, _DATA.__get__}  # what no gradient goes through, besides no_grad
_SET_DATA = _DATA.__set__
_CUSTOM = ("autograd/function.py", "autograd_function.py")  # where torch calls custom functions


@dataclass
class Habits:
    """What a network does in a forward pass besides computing; each a layer's name, or empty."""

    holds: str = ""  # computes where no gradient is taken
    draws: str = ""  # random numbers
    writes: str = ""  # into its inputs or its buffers
    hides: str = ""  # uses a weight that has no name
    attends: str = ""  # by torch's attention, whose fast kernels lack derivatives
    norms: str = ""  # by torch's batch, layer or instance norm, whose third derivatives are wrong
    scales: str = ""  # by torch's weight norm, which lacks derivatives
    rounds: str = ""  # computes in less than the precision of its weights
    suspect: bool = False  # a plain call was not right, for whatever reason

    def needs_care(self, thrice: bool) -> bool:
        """Whether a plain call would be wrong, or would be if differentiated three times."""
        held = self.holds or self.draws or self.writes or self.hides or self.attends or self.scales
        return bool(held or self.suspect or (thrice and self.norms))


@dataclass
class Records:
    """What one pass of a network computed where no gradient is taken, in order."""

    results: list[tuple[bool, Any]] = field(default_factory=list)  # whether in place, and what
    complete: bool = False


@dataclass(frozen=True)
class Holding:
    """What of a network is held, and how."""

    batch_norm: str = "batch"  # or "running": the statistics that norms take
    spectral_norm: str = "held"  # or "exact"
    noise_seed: int | None = None  # of what a network draws in a pass
    thrice: bool = False  # whether a penalty makes products third derivatives


class Held:
    """A network as a pure function of its flat weights: those that require grad.

    Args:
        net: it is copied.
        player: its name, in what is said of it.
        how: what is held.

    >>> held = Held(nn.Linear(2, 1), "D", Holding())
    >>> held(torch.ones(3), torch.ones(4, 2)).shape
    torch.Size([4, 1])
    """

    def __init__(self, net: nn.Module, player: str, how: Holding) -> None:
        self.player, self.how = player, how
        self.net = as_trained(net, how)
        named = dict(self.net.named_parameters())
        own = {name: weight for name, weight in named.items() if weight.requires_grad}
        if not own:
            raise ValueError(f"{player} has no weight that requires grad, and so no move to make")
        self.signature = signature(self.net)
        for module in self.net.modules():
            _forget_statistics(module, how.batch_norm)
        self.shapes = {name: weight.shape for name, weight in own.items()}
        self.lengths = [weight.numel() for weight in own.values()]
        self.names = {id(weight): name for name, weight in own.items()}
        self.net.requires_grad_(False)
        frozen = {name: weight for name, weight in named.items() if name not in own}
        self.constants = {**frozen, **dict(self.net.named_buffers())}
        self.habits = Habits()

    @property
    def weights(self) -> Tensor:
        """(n,) the network's own weights."""
        named = dict(self.net.named_parameters())
        return torch.cat([named[name].detach().reshape(-1) for name in self.shapes])

    def __call__(self, flat: Tensor, *inputs: Tensor, records: Records | None = None) -> Any:
        """What the network gives for the first of the inputs and labels.

        Args:
            flat: (n,) weights, in whose precision the network computes.
            inputs: latents or samples, and labels if there are any.
            records: of this call's site, where the network holds something.
        """
        tensors = self._tensors(flat)
        inputs = (inputs[0].to(flat.dtype), *inputs[1:])
        if not self.habits.needs_care(self.how.thrice):
            return functional_call(self.net, tensors, inputs)
        inputs = tuple(each.clone() for each in inputs)
        for name in self.constants:
            tensors[name] = tensors[name].clone()
        with ExitStack() as stack:
            stack.enter_context(torch.enable_grad())
            if self.how.noise_seed is not None:
                stack.enter_context(seeded(self.how.noise_seed, flat.device))
            if self.habits.attends:
                stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            mode = _Careful(self, tensors, records if self.habits.holds else None)
            stack.enter_context(mode)
            output = functional_call(self.net, tensors, inputs)
        if records is not None:
            records.complete = True
        return output

    def observe(self, flat: Tensor, *inputs: Tensor) -> Any:
        """As a call, and note what the network does.

        Raises:
            ValueError: naming the layer that fails.
        """
        tensors = self._tensors(flat)
        given = tuple(each.clone() for each in (inputs[0].to(flat.dtype), *inputs[1:]))
        before = [each.detach().clone() for each in given]
        for name in self.constants:
            tensors[name] = tensors[name].clone()
        kept = {name: tensors[name].clone() for name in self.constants}
        seed = self.how.noise_seed or 0
        with torch.enable_grad(), seeded(seed, flat.device), _Layers(self) as at:
            try:
                with _Watch(self, at):
                    output = functional_call(self.net, tensors, given)
            except Exception as error:
                raise ValueError(_failure(at, error)) from error
        changed = [name for name, old in kept.items() if not _same(tensors[name], old)]
        if not all(_same(now, old) for now, old in zip(given, before, strict=True)):
            changed.append("its input")
        if changed:
            self.habits.writes = self.habits.writes or f"{self.player}: {', '.join(changed)}"
        return output

    def blocks(self, start: int) -> Iterator[tuple[str, slice]]:
        """The weights' names, and their places in a point."""
        for name, length in zip(self.shapes, self.lengths, strict=True):
            plain = f"{self.player}.{name}".replace(".parametrizations.", ".")
            yield plain.removesuffix(".original"), slice(start, start + length)
            start += length

    def _tensors(self, flat: Tensor) -> dict[str, Tensor]:
        pieces = zip(self.shapes.items(), flat.split(self.lengths), strict=True)
        tensors = {name: piece.view(shape) for (name, shape), piece in pieces}
        for name, held in self.constants.items():
            tensors[name] = held.to(flat.dtype) if held.is_floating_point() else held.detach()
        return tensors


class _Careful(TorchFunctionMode):
    """Holds what a network would change, and replaces functions that lack right derivatives."""

    def __init__(self, held: Held, tensors: dict[str, Tensor], records: Records | None) -> None:
        self.thrice = held.how.thrice
        self.values = {key: tensors[name] for key, name in held.names.items()}
        self.records = records
        self.recorded = iter(records.results) if records and records.complete else None
        self.replaced: dict[int, tuple[Tensor, Tensor]] = {}  # tensors, and what became their data

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        args, kwargs = tree_map_only(Tensor, self._value, (args, kwargs or {}))
        if self.records is not None and func is not torch._C._set_grad_enabled:
            if func == _SET_DATA:
                self.replaced[id(args[0])] = args  # the tensor too, lest another takes its id
                return None
            if _is_still(func):
                return self._held(func, args, kwargs)
        if func in _REPLACED:
            return _REPLACED[func](self.thrice, *args, **kwargs)
        return func(*args, **kwargs)

    def _value(self, tensor: Tensor) -> Tensor:
        """What one of the network's own tensors stands for in this call."""
        tensor = self.values.get(id(tensor), tensor)
        return self.replaced[id(tensor)][1] if id(tensor) in self.replaced else tensor

    def _held(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the network itself had at this place, recorded in its first pass."""
        target: Any = kwargs.get("out", args[0] if args else None)
        if self.recorded is None:
            assert self.records is not None
            result = func(*args, **kwargs)
            kept = tree_map_only(Tensor, lambda part: part.detach().clone(), result)
            self.records.results.append((result is target, kept))
            return result
        in_place, kept = next(self.recorded)
        if in_place:
            return target.copy_(kept)
        return tree_map_only(Tensor, Tensor.clone, kept)


class _Watch(TorchFunctionMode):
    """Notes what a network does, and in which layer."""

    def __init__(self, held: Held, at: _Layers) -> None:
        self.habits, self.names, self.at = held.habits, held.names, at
        self.random = torch.get_rng_state()

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
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
        if parts and _is_still(func):
            self._note("holds")
        most = max((each.dtype.itemsize for each in given if each.is_floating_point()), default=0)
        if any(part.is_floating_point() and part.dtype.itemsize < most for part in parts):
            self._note("rounds")
        random = torch.get_rng_state()
        if not torch.equal(random, self.random):
            self._note("draws")
            self.random = random
        return result

    def _note(self, habit: str, what: str = "") -> None:
        if not getattr(self.habits, habit):
            setattr(self.habits, habit, what or str(self.at))


def _is_still(func: Any) -> bool:
    """Whether no gradient goes through this call of a function, by the network's own will.

    A custom function's forward is called without gradients, too, and has derivatives of its own.
    """
    if torch.is_grad_enabled():
        return func in _STILL
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename != __file__:
        if frame.f_code.co_filename.endswith(_CUSTOM):
            return False
        frame = frame.f_back
    return True


class _Layers:
    """Which layer of a network is at work, as words, while it is called."""

    def __init__(self, held: Held) -> None:
        self.net, self.player = held.net, held.player
        self.stack: list[str] = []
        self.handles: list[Any] = []

    def __enter__(self) -> _Layers:
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


def as_trained(net: nn.Module, how: Holding) -> nn.Module:
    """A copy in the mode of a training, but that dropout is off and power iterations stand still.

    With the stored statistics of norms it is in the mode of an evaluation.
    """
    if isinstance(net, torch.jit.ScriptModule):
        raise ValueError("a scripted network cannot be held; give the module that it was made from")
    own = _unwrapped(copied(net))
    for module in own.modules():
        _set_mode(module, how.batch_norm)
        if how.spectral_norm == "exact":
            _settle(module)
    return own


def signature(net: nn.Module) -> tuple[Any, ...]:
    """All but the numbers of a network's weights and buffers: what it is made of and set to.

    Networks of one signature do the same things.
    """
    return tuple(
        (
            name,
            # Torch makes a class for each module that it parametrizes.
            type(module).__base__ if is_parametrized(module) else type(module),
            tuple((k, _setting(v)) for k, v in vars(module).items() if k not in _PLUMBING),
            tuple(
                (k, _setting(w), w is not None and w.requires_grad)
                for k, w in module._parameters.items()
            ),
            tuple((k, _setting(b)) for k, b in module._buffers.items()),
            tuple(type(hook) for hooks in _hooks(module) for hook in hooks.values()),
        )
        for name, module in net.named_modules(remove_duplicate=False)
    )


_PLUMBING = {name for name in vars(nn.Module()) if name != "training"}


def _hooks(module: nn.Module) -> list[dict[int, Any]]:
    return [module._forward_pre_hooks, module._forward_hooks, module._backward_hooks]


def _setting(value: Any) -> Any:
    """Something hashable that tells settings from one another, whatever the numbers of tensors."""
    if isinstance(value, Tensor):
        return ("tensor", tuple(value.shape), value.dtype, value.device)
    if isinstance(value, dict):
        return ("dict", *((_setting(k), _setting(v)) for k, v in value.items()))
    if isinstance(value, list | tuple | set | frozenset):
        return (type(value), *(_setting(each) for each in value))
    if isinstance(value, nn.Module):
        return type(value)
    try:
        hash(value)
    except TypeError:
        return type(value)
    return value


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers of a seed's own; the caller's go on as if nothing had been drawn."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _set_mode(module: nn.Module, batch_norm: str) -> None:
    """Training mode for what takes statistics; no dropout, and no power iterations."""
    still = isinstance(module, (*_DROPPING, _SpectralNorm)) or any(
        isinstance(hook, SpectralNorm) for hook in module._forward_pre_hooks.values()
    )
    module.training = batch_norm == "batch" and not still


def _forget_statistics(module: nn.Module, batch_norm: str) -> None:
    """Let torch's norms keep no running statistics: they would be written."""
    if isinstance(module, _NormBase) and batch_norm == "batch":
        module.running_mean = module.running_var = module.num_batches_tracked = None
        module.track_running_stats = False


def _failure(at: Any, error: Exception) -> str:
    """What a layer's own error says, and what one may have forgotten to say."""
    said = f"{at} fails: {type(error).__name__}: {error}"
    if isinstance(error, TypeError) and "argument" in str(error):
        return f"{said}; networks that take labels are given them by labels=..."
    return said


def _settle(module: nn.Module) -> None:
    """Let torch's spectral norms, old and new, divide by the largest singular value itself."""
    if isinstance(module, ParametrizationList):
        for number, part in enumerate(module):
            if isinstance(part, _SpectralNorm):
                module[number] = Settled(part._reshape_weight_to_matrix)
    for key, hook in list(module._forward_pre_hooks.items()):
        if isinstance(hook, SpectralNorm):
            module._forward_pre_hooks[key] = _SettledHook(hook)


class Settled(nn.Module):
    """Division by the largest singular value, a function of the weight alone."""

    def __init__(self, as_matrix: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.as_matrix = as_matrix

    def forward(self, weight: Tensor) -> Tensor:
        matrix = self.as_matrix(weight)
        # Of the Gram matrix: torch's second derivatives of singular values are not finite here.
        gram = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
        return weight / torch.linalg.eigvalsh(gram)[-1].sqrt()


class _SettledHook:
    """The older hook of torch's spectral norm, settled."""

    def __init__(self, hook: SpectralNorm) -> None:
        self.name, self.settled = hook.name, Settled(hook.reshape_weight_to_matrix)

    def __call__(self, module: nn.Module, inputs: Any) -> None:
        setattr(module, self.name, self.settled(getattr(module, self.name + "_orig")))


def _unwrapped(net: nn.Module) -> nn.Module:
    """The network without torch.compile around it or around its parts."""
    net = getattr(net, "_orig_mod", net)
    for module in list(net.modules()):
        module._compiled_call_impl = None
        for name, child in module.named_children():
            if hasattr(child, "_orig_mod"):
                setattr(module, name, child._orig_mod)
    return net


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a.nan_to_num(), b.nan_to_num())


def _standard(x: Tensor, dims: tuple[int, ...], eps: float) -> Tensor:
    """x less its mean over some dimensions, over its standard deviation, in elementary steps."""
    apart = x - x.mean(dims, keepdim=True)
    return apart * (apart.square().mean(dims, keepdim=True) + eps).rsqrt()


def _scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """Times a weight and plus a bias for each channel."""
    shape = (1, -1) + (1,) * (x.ndim - 2)
    x = x if weight is None else x * weight.view(shape)
    return x if bias is None else x + bias.view(shape)


def _batch_norm(
    thrice: bool, input: Tensor, running_mean: Tensor | None, running_var: Tensor | None,
    weight: Tensor | None = None, bias: Tensor | None = None, training: bool = False,
    momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Batch norm that writes no running statistics."""
    if not training and running_mean is not None:
        return F.batch_norm(input, running_mean, running_var, weight, bias, False, 0.0, eps)
    if not thrice:
        return F.batch_norm(input, None, None, weight, bias, True, 0.0, eps)
    return _scaled(_standard(input, (0, *range(2, input.ndim)), eps), weight, bias)


def _instance_norm(
    thrice: bool, input: Tensor, running_mean: Tensor | None = None,
    running_var: Tensor | None = None, weight: Tensor | None = None, bias: Tensor | None = None,
    use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Instance norm that writes no running statistics."""
    if not use_input_stats:
        return F.instance_norm(
            input, running_mean, running_var, weight, bias, use_input_stats, 0.0, eps
        )
    if not thrice:
        return F.instance_norm(input, None, None, weight, bias, True, 0.0, eps)
    return _scaled(_standard(input, tuple(range(2, input.ndim)), eps), weight, bias)


def _layer_norm(
    thrice: bool, input: Tensor, normalized_shape: list[int],
    weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    if not thrice:
        return F.layer_norm(input, normalized_shape, weight, bias, eps)
    found = _standard(input, tuple(range(-len(normalized_shape), 0)), eps)
    found = found if weight is None else found * weight
    return found if bias is None else found + bias


def _weight_norm(thrice: bool, v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """Weight norm in elementary steps: torch's own lacks derivatives of the second order."""
    dims = tuple(each for each in range(v.ndim) if each != dim % v.ndim) if dim != -1 else None
    return v * (g / torch.linalg.vector_norm(v, dim=dims, keepdim=dims is not None))


_ATTENTION = {F.multi_head_attention_forward, F.scaled_dot_product_attention}
_NORMS = {F.batch_norm, F.instance_norm, F.layer_norm}
_REPLACED: dict[Any, Callable[..., Tensor]] = {
    F.batch_norm: _batch_norm,
    F.instance_norm: _instance_norm,
    F.layer_norm: _layer_norm,
    torch._weight_norm: _weight_norm,
}
