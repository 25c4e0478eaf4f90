"""A network as a function of its weights alone, whatever else it does.

A `FunctionalNet` holds everything that its network would change or draw in a forward pass: each
call gives the same numbers, and nothing of the caller's is changed. The network's side effects are
observed once (`helpers.models.observing`); a network without side effects is called as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import is_parametrized
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from helpers import inputs
from helpers.inputs import one_of
from helpers.models.copying import copied
from helpers.models.observing import Layers, SideEffects, Watch, failure, is_still
from helpers.models.replacing import REPLACED, settle

# Layers of torch whose training mode means dropout, and nothing else.
_DROPPING = (
    _DropoutNd,
    nn.RNNBase,
    nn.MultiheadAttention,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
)
_DATA: Any = Tensor.data  # a descriptor
_SET_DATA = _DATA.__set__


@dataclass
class PassRecords:
    """What one pass of a network computed without gradients, in order."""

    results: list[tuple[bool, Any]] = field(default_factory=list)  # whether in place, and what
    complete: bool = False
    dtype: torch.dtype | None = None  # of the weights in that pass


@dataclass(frozen=True)
class PassSettings:
    """What is held in the passes of a network, and how.

    Args:
        batch_norm: "batch" for the statistics of the batch, "running" for the stored ones.
        spectral_norm: "held" takes the networks' stored singular vectors as constants,
            as in the derivatives of Berard et al. 2020; they fit only the networks' own point.
            "exact" divides by the largest singular value itself, with all its derivatives; second
            ones are not finite where singular values of a layer coincide. It works for torch's
            spectral norms, old and new.
        noise_seed: holds what the networks draw in a forward pass. Without it, a game of networks
            that draw is refused.
        check: whether a game's field and the products of its operators are checked against plain
            autograd and against differences, once for networks of one structure, on the first
            eight samples in float64.
        thrice: whether a penalty makes products third derivatives; a game sets it.

    Raises:
        ValueError: for an unknown batch_norm or spectral_norm, and a seed out of range.

    >>> PassSettings(spectral_norm="exact").batch_norm
    'batch'
    """

    batch_norm: str = "batch"
    spectral_norm: str = "held"
    noise_seed: int | None = None
    check: bool = True
    thrice: bool = False

    def __post_init__(self) -> None:
        one_of("batch_norm", self.batch_norm, ("batch", "running"))
        one_of("spectral_norm", self.spectral_norm, ("held", "exact"))
        if self.noise_seed is not None:
            held = inputs.seed(self.noise_seed, "noise_seed")
            object.__setattr__(self, "noise_seed", held)


class FunctionalNet:
    """A network as a pure function of its flat weights: those that require grad.

    The network is copied; `player` is its name in messages.
    """

    def __init__(self, net: nn.Module, player: str, settings: PassSettings) -> None:
        self.player, self.settings = player, settings
        self.net = as_trained(net, settings)
        named = dict(self.net.named_parameters())
        own = {name: weight for name, weight in named.items() if weight.requires_grad}
        if not own:
            raise ValueError(f"{player} has no weight that requires grad, and so no move to make")
        self.signature = signature(self.net)
        for module in self.net.modules():
            _forget_statistics(module, settings.batch_norm)
        self.shapes = {name: weight.shape for name, weight in own.items()}
        self.lengths = [weight.numel() for weight in own.values()]
        self.names = {id(weight): name for name, weight in own.items()}
        self.net.requires_grad_(False)
        frozen = {name: weight for name, weight in named.items() if name not in own}
        self.constants = {**frozen, **dict(self.net.named_buffers())}
        self.effects = SideEffects()

    @property
    def weights(self) -> Tensor:
        """(n,) the network's own weights."""
        named = dict(self.net.named_parameters())
        return torch.cat([named[name].detach().reshape(-1) for name in self.shapes])

    def __call__(self, flat: Tensor, *inputs: Tensor, records: PassRecords | None = None) -> Any:
        """What the network gives for these inputs.

        Args:
            flat: (n,) weights, in whose precision the network computes.
            inputs: latents or samples, and labels if there are any. Floating-point ones are taken
                in the precision of the weights; labels that are whole numbers stay what they are.
            records: those of this call's site, where something of the network is held.
        """
        tensors = self._tensors(flat)
        inputs = tuple(in_precision(each, flat.dtype) for each in inputs)
        if not self.effects.needs_care(self.settings.thrice):
            return functional_call(self.net, tensors, inputs)
        inputs = tuple(each.clone() for each in inputs)
        for name in self.constants:
            tensors[name] = tensors[name].clone()
        with ExitStack() as stack:
            stack.enter_context(torch.enable_grad())
            if self.settings.noise_seed is not None:
                stack.enter_context(seeded(self.settings.noise_seed, flat.device))
            if self.effects.attends:
                stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            held = records if self.effects.holds else None
            mode = _Careful(self, tensors, held, flat.dtype)
            stack.enter_context(mode)
            output = functional_call(self.net, tensors, inputs)
        if records is not None:
            records.complete = True
        return output

    def observe(self, flat: Tensor, *inputs: Tensor) -> Any:
        """Call the network and note what it does; a ValueError names a layer that fails."""
        tensors = self._tensors(flat)
        given = tuple(in_precision(each, flat.dtype).clone() for each in inputs)
        before = [each.detach().clone() for each in given]
        for name in self.constants:
            tensors[name] = tensors[name].clone()
        kept = {name: tensors[name].clone() for name in self.constants}
        seed = self.settings.noise_seed or 0
        with torch.enable_grad(), seeded(seed, flat.device), Layers(self.net, self.player) as at:
            try:
                with Watch(self.effects, self.names, at):
                    output = functional_call(self.net, tensors, given)
            except Exception as error:
                raise ValueError(failure(at, error, labelled=len(inputs) > 1)) from error
        changed = [name for name, old in kept.items() if _written(tensors[name], old)]
        if any(_written(now, old) for now, old in zip(given, before, strict=True)):
            changed.append("its input")
        if changed:
            self.effects.writes = self.effects.writes or f"{self.player}: {', '.join(changed)}"
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
    """Holds what a network would change, and replaces functions that lack correct derivatives."""

    def __init__(
        self,
        net: FunctionalNet,
        tensors: dict[str, Tensor],
        records: PassRecords | None,
        dtype: torch.dtype,
    ) -> None:
        self.thrice = net.settings.thrice
        self.values = {key: tensors[name] for key, name in net.names.items()}
        self.records, self.dtype = records, dtype
        self.recorded = iter(records.results) if records and records.complete else None
        self.replaced: dict[int, tuple[Tensor, Tensor]] = {}  # tensors, and what became their data

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        args, kwargs = tree_map_only(Tensor, self._value, (args, kwargs or {}))
        if self.records is not None and func is not torch._C._set_grad_enabled:
            if func == _SET_DATA:
                self.replaced[id(args[0])] = args  # the tensor too, lest another take its id
                return None
            if is_still(func):
                return self._held(func, args, kwargs)
        if func in REPLACED:
            return REPLACED[func](self.thrice, *args, **kwargs)
        return func(*args, **kwargs)

    def _value(self, tensor: Tensor) -> Tensor:
        """What one of the network's own tensors stands for in this call."""
        tensor = self.values.get(id(tensor), tensor)
        return self.replaced[id(tensor)][1] if id(tensor) in self.replaced else tensor

    def _held(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the network itself had at this place, recorded in its first pass."""
        target: Any = kwargs.get("out", args[0] if args else None)
        assert self.records is not None
        if self.recorded is None:
            result = func(*args, **kwargs)
            kept = tree_map_only(Tensor, lambda part: part.detach().clone(), result)
            self.records.dtype = self.dtype
            self.records.results.append((result is target, kept))
            return result
        in_place, kept = next(self.recorded)
        if in_place:
            return target.copy_(kept)
        # What had the precision of the weights then has that of the weights now.
        was, now = self.records.dtype, self.dtype
        return tree_map_only(
            Tensor, lambda part: part.to(now if part.dtype == was else part.dtype, copy=True), kept
        )


def as_trained(net: nn.Module, settings: PassSettings) -> nn.Module:
    """A copy in training mode, except that dropout is off and power iterations stand still.

    With the stored statistics of norms it is in evaluation mode.
    """
    if isinstance(net, torch.jit.ScriptModule):
        raise ValueError("a scripted network cannot be held; give the module that it was made from")
    own = _unwrapped(copied(net))
    for module in own.modules():
        _set_mode(module, settings.batch_norm)
        if settings.spectral_norm == "exact":
            settle(module)
    return own


def signature(net: nn.Module) -> tuple[Any, ...]:
    """All of a network except the numbers in its weights and buffers: its parts and settings.

    Networks with the same signature do the same things, except for what they read elsewhere, as
    from a global option. Buffers that may be flags count with their values.
    """
    tensors = (*net.named_parameters(), *net.named_buffers())
    setting = partial(_setting, names={id(tensor): name for name, tensor in tensors})
    return tuple(
        (
            name,
            # Torch makes a class for each module that it parametrizes.
            type(module).__base__ if is_parametrized(module) else type(module),
            tuple((k, setting(v)) for k, v in vars(module).items() if k not in _PLUMBING),
            tuple(
                (k, setting(w), w is not None and w.requires_grad)
                for k, w in module._parameters.items()
            ),
            tuple((k, setting(b), _flag(module, b)) for k, b in module._buffers.items()),
            tuple(
                (kind, number in getattr(module, f"{kind}_with_kwargs", ()), _hook(hook, setting))
                for kind in HOOKS
                for number, hook in getattr(module, kind).items()
            ),
        )
        for name, module in net.named_modules(remove_duplicate=False)
    )


_PLUMBING = {name for name in vars(nn.Module()) if name != "training"}
# Where a module keeps what is called around it.
HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_FEW = 16  # numbers in a buffer that may be a flag


def _flag(module: nn.Module, buffer: Tensor | None) -> Any:
    """The numbers by which a module may decide what to do; torch's norms merely count batches."""
    if buffer is None or buffer.is_floating_point() or buffer.numel() > _FEW:
        return None
    return None if isinstance(module, _NormBase) else tuple(buffer.flatten().tolist())


def _hook(hook: Any, setting: Callable[[Any], Any]) -> Any:
    """What a hook does: a function is itself, and an object its type and settings.

    The objects behind torch's older norms are copied with their network, functions are not.
    """
    if isinstance(hook, partial):
        return partial, _hook(hook.func, setting), setting(hook.args), setting(hook.keywords)
    if isinstance(hook, MethodType):
        return hook.__func__, setting(hook.__self__)
    if isinstance(hook, FunctionType) or not hasattr(hook, "__dict__"):
        return setting(hook)
    return type(hook), setting(vars(hook))


def _setting(value: Any, names: Mapping[int, str], around: tuple[Any, ...] = ()) -> Any:
    """Something hashable that tells settings apart, whatever numbers the tensors hold.

    An object that cannot be hashed, as a dataclass that may change, is told by what it holds;
    `around` are those that hold this value. A network in a plain list is told from all others.
    The network's own tensors have `names`.
    """
    if any(value is each for each in around):
        return "itself"
    inside = partial(_setting, names=names, around=(*around, value))
    if isinstance(value, Tensor):
        named = names.get(id(value), "")
        return ("tensor", named, tuple(value.shape), value.dtype, value.device)
    if isinstance(value, dict):
        return ("dict", *((inside(k), inside(v)) for k, v in value.items()))
    if isinstance(value, list | tuple | set | frozenset):
        return (type(value), *(inside(each) for each in value))
    try:
        hash(value)
    except TypeError:
        held = vars(value) if hasattr(value, "__dict__") else repr(value)
        return (type(value), inside(held))
    return value


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers from a seed; the caller's go on as if nothing had been drawn."""
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
    """Make torch's norms keep no running statistics, which a pass would write."""
    if isinstance(module, _NormBase) and batch_norm == "batch":
        module.running_mean = module.running_var = module.num_batches_tracked = None
        module.track_running_stats = False


def _unwrapped(net: nn.Module) -> nn.Module:
    """The network without torch.compile around it or around its parts."""
    net = getattr(net, "_orig_mod", net)
    for module in list(net.modules()):
        module._compiled_call_impl = None
        for name, child in module.named_children():
            if hasattr(child, "_orig_mod"):
                setattr(module, name, child._orig_mod)
    return net


def in_precision(given: Tensor, dtype: torch.dtype) -> Tensor:
    """A floating-point tensor in another precision; whole numbers stay what they are."""
    return given.to(dtype) if given.is_floating_point() else given


def _written(now: Tensor, old: Tensor) -> bool:
    """Whether a fresh tensor was written to, though perhaps with the numbers that it had.

    Torch counts writes, but not those by ``.data``, and none in inference mode.
    """
    if not now.is_inference() and now._version:
        return True
    return now.shape != old.shape or not torch.equal(now.nan_to_num(), old.nan_to_num())
