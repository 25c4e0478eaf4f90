"""Layers as published GAN code writes them, in miniature.

A layer that computes constants without gradients has a switch, `hold`: once it is on, the constants
of the next pass are kept for all later ones. Only the judge of the products turns it on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_map


class Apply(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Constants(nn.Module):
    """A layer with constants that are kept on request."""

    hold = False
    kept: Any = None

    def constant(self, make: Callable[[], Any]) -> Any:
        if self.kept is not None:
            return self.kept
        made = make()
        if self.hold:
            self.kept = tree_map(lambda value: value.detach().clone(), made)
        return made


# In place


def add_to_itself(x: Tensor) -> Tensor:
    y = x * 1.5
    y += torch.tanh(x)
    return y


def write_a_column(x: Tensor) -> Tensor:
    y = 1.5 * x
    y[:, 0] = torch.tanh(x[:, 1]) * x[:, 2]
    return torch.tanh(y)


def fill_a_buffer(x: Tensor) -> Tensor:
    out = torch.zeros_like(x)
    out[..., ::2] = x[..., ::2].sin()
    out[..., 1::2] = x[..., 1::2].cos()
    return out


def in_place_arithmetic(x: Tensor) -> Tensor:
    y = x.clone()
    y.mul_(torch.sigmoid(x)).add_(x, alpha=0.5)
    return y.masked_fill_(x > 0.5, 0.9).tanh_()


class StandardizedInput(nn.Module):
    """It writes into what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("m", torch.tensor(0.3))
        self.register_buffer("s", torch.tensor(1.7))

    def forward(self, x: Tensor) -> Tensor:
        return x.sub_(self.m).div_(self.s)


class Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(x, 0.2)
        y = self.inner(x)
        y += x
        return y


# Norms


class PixelNorm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


class OwnBatchNorm(nn.Module):
    """By torch's function, with buffers of its own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain, self.bias = (
            nn.Parameter(torch.rand(width) + 0.5),
            nn.Parameter(torch.rand(width)),
        )
        self.register_buffer("mean", torch.rand(width))
        self.register_buffer("var", torch.rand(width) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.mean, self.var, self.gain, self.bias, self.training, 0.1)


class WrittenBatchNorm(nn.Module):
    """Written out, as for a norm that several devices share."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain, self.bias = (
            nn.Parameter(torch.rand(width) + 0.5),
            nn.Parameter(torch.rand(width)),
        )
        self.register_buffer("mean", torch.rand(width))
        self.register_buffer("var", torch.rand(width) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            mean, var = x.mean(dim=0), x.var(dim=0, unbiased=False)
            with torch.no_grad():
                self.mean.mul_(0.9).add_(0.1 * mean)
                self.var.mul_(0.9).add_(0.1 * var)
        else:
            mean, var = self.mean, self.var
        return (x - mean) / (var + 1e-5).sqrt() * self.gain + self.bias


class ConditionalBatchNorm(nn.Module):
    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width, affine=False)
        self.embed = nn.Embedding(classes, 2 * width)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        gain, bias = self.embed(y).chunk(2, dim=1)
        return self.norm(x) * (1 + gain) + bias


class Styled(nn.Module):
    """Adaptive instance norm of a learned constant, as in style-based generators."""

    def __init__(self, latent: int, channels: int) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.randn(1, channels, 4, 4))
        self.style = nn.Linear(latent, 2 * channels)
        self.norm = nn.InstanceNorm2d(channels)
        self.out = nn.Conv2d(channels, 2, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        gain, bias = self.style(z)[..., None, None].chunk(2, dim=1)
        x = self.norm(self.start.expand(len(z), -1, -1, -1))
        return self.out(F.leaky_relu(x * (1 + gain) + bias, 0.2))


class Modulated(nn.Module):
    """Weights that a style scales, demodulated, all samples as groups of one convolution."""

    def __init__(self, latent: int, channels: int) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.randn(1, channels, 4, 4))
        self.style = nn.Linear(latent, channels)
        self.weight = nn.Parameter(torch.randn(1, 2, channels, 3, 3))

    def forward(self, z: Tensor) -> Tensor:
        n, (_, c, h, w) = len(z), self.start.shape
        weight = self.weight * (self.style(z) + 1).view(n, 1, c, 1, 1)
        weight = weight * torch.rsqrt(weight.square().sum([2, 3, 4], keepdim=True) + 1e-8)
        x = self.start.expand(n, -1, -1, -1).reshape(1, n * c, h, w)
        return F.conv2d(x, weight.reshape(n * 2, c, 3, 3), padding=1, groups=n).view(n, 2, h, w)


# Norms of weights


class OwnSpectralNorm(Constants):
    """Power iteration without gradients in each pass; u and v are buffers."""

    def __init__(self, n: int, m: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(m, n)), nn.Parameter(torch.rand(m))
        self.register_buffer("u", F.normalize(torch.randn(1, m)))
        self.register_buffer("v", F.normalize(torch.randn(1, n)))

    def vectors(self) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            v = F.normalize(self.u @ self.weight, eps=1e-12)
            u = F.normalize(v @ self.weight.t(), eps=1e-12)
            if self.training:
                self.u[:] = u
                self.v[:] = v
        return u, v

    def forward(self, x: Tensor) -> Tensor:
        u, v = self.constant(self.vectors)
        sigma = torch.squeeze((v @ self.weight.t()) @ u.t())
        return F.linear(x, self.weight / sigma, self.bias)


class SpectralWrapper(Constants):
    """u and v as parameters without gradients, written through `.data`; the weight as `w_bar`."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        w = inner.weight
        height, width = w.shape[0], w.view(w.shape[0], -1).shape[1]
        self.inner.register_parameter(
            "u", nn.Parameter(F.normalize(torch.randn(height), dim=0), requires_grad=False)
        )
        self.inner.register_parameter(
            "v", nn.Parameter(F.normalize(torch.randn(width), dim=0), requires_grad=False)
        )
        self.inner.register_parameter("w_bar", nn.Parameter(w.data))
        del self.inner._parameters["weight"]

    def vectors(self) -> tuple[Tensor, Tensor]:
        u, v, w = self.inner.u, self.inner.v, self.inner.w_bar
        flat = w.view(w.shape[0], -1)
        v.data = F.normalize(torch.mv(torch.t(flat.data), u.data), dim=0)
        u.data = F.normalize(torch.mv(flat.data, v.data), dim=0)
        return u, v

    def forward(self, x: Tensor) -> Tensor:
        u, v = self.constant(self.vectors)
        w = self.inner.w_bar
        sigma = u.dot(w.view(w.shape[0], -1).mv(v))
        self.inner.weight = w / sigma.expand_as(w)
        return self.inner(x)


class OwnWeightNorm(nn.Module):
    def __init__(self, n: int, m: int) -> None:
        super().__init__()
        self.v, self.g = nn.Parameter(torch.randn(m, n)), nn.Parameter(torch.rand(m, 1) + 0.5)
        self.bias = nn.Parameter(torch.rand(m))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.v * (self.g / self.v.norm(dim=1, keepdim=True)), self.bias)


class WeightStandardised(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        w = self.weight
        w = w - w.mean(dim=(1, 2, 3), keepdim=True)
        w = w / (w.std(dim=(1, 2, 3), keepdim=True) + 1e-5)
        return F.conv2d(x, w, self.bias, self.stride, self.padding)


class _Scale:
    """The hook of an equalised learning rate."""

    def __call__(self, module: nn.Module, inputs: tuple) -> None:
        w = module.weight_orig
        module.weight = w * (2 / w[0].numel()) ** 0.5


def equalised(layer: nn.Module) -> nn.Module:
    weight = layer.weight
    del layer._parameters["weight"]
    layer.register_parameter("weight_orig", nn.Parameter(weight.data))
    layer.register_forward_pre_hook(_Scale())
    return layer


class EqualisedLinear(nn.Module):
    def __init__(self, n: int, m: int, rate: float = 0.01) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(m, n).div_(rate))
        self.bias = nn.Parameter(torch.zeros(m))
        self.scale, self.rate = rate / n**0.5, rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, bias=self.bias * self.rate)


# Sequences


class Recurrent(nn.Module):
    """From (n, d) through a sequence of three steps to (n, m)."""

    def __init__(self, kind: type[nn.Module], n: int, m: int) -> None:
        super().__init__()
        self.cell, self.out = kind(n, 3, batch_first=True), nn.Linear(3, m)

    def forward(self, x: Tensor) -> Tensor:
        steps = torch.stack([x, 0.5 * x, x.sin()], dim=1)
        return self.out(self.cell(steps)[0][:, -1])


class CellLoop(nn.Module):
    def __init__(self, n: int, m: int) -> None:
        super().__init__()
        self.cell, self.out = nn.GRUCell(n, 3), nn.Linear(3, m)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), 3)
        for _ in range(2):
            state = self.cell(x, state)
        return self.out(state)


class Tokens(nn.Module):
    """From (n, 6) through three tokens of width 4 to (n, m)."""

    def __init__(self, inner: nn.Module, m: int) -> None:
        super().__init__()
        self.enter, self.inner, self.out = nn.Linear(2, 4), inner, nn.Linear(4, m)
        self.places = nn.Parameter(torch.randn(1, 3, 4))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.inner(self.enter(x.reshape(len(x), 3, 2)) + self.places)
        return self.out(tokens.mean(dim=1))


class SelfAttention(nn.Module):
    def __init__(self, weights: bool) -> None:
        super().__init__()
        self.inner, self.weights = nn.MultiheadAttention(4, 2, batch_first=True), weights

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x, x, x, need_weights=self.weights)[0]


class ScaledAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(4, 12)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x).view(len(x), 3, 3, 2, 2).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return x + y.transpose(1, 2).reshape(x.shape)


class ImageAttention(nn.Module):
    """Of all places of a map, with a gain that begins at 0 in the paper."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query, self.key = nn.Conv2d(channels, 1, 1), nn.Conv2d(channels, 1, 1)
        self.value, self.gamma = nn.Conv2d(channels, channels, 1), nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        q = self.query(x).view(n, -1, h * w).permute(0, 2, 1)
        k = F.max_pool2d(self.key(x), 2).view(n, -1, h * w // 4)
        v = F.max_pool2d(self.value(x), 2).view(n, -1, h * w // 4)
        attention = torch.softmax(torch.bmm(q, k), dim=-1)
        return self.gamma * torch.bmm(v, attention.permute(0, 2, 1)).view(n, c, h, w) + x


class Transposed(nn.Module):
    """nn.Linear over the places of (n, channels, places)."""

    def __init__(self, n: int, m: int) -> None:
        super().__init__()
        self.mix, self.out = nn.Linear(3, 4), nn.Linear(4 * n // 3, m)

    def forward(self, x: Tensor) -> Tensor:
        y = self.mix(x.reshape(len(x), 3, -1).transpose(1, 2))
        return self.out(torch.tanh(y).flatten(1))


class ChannelsLast(nn.Module):
    """nn.Linear over the channels of a map, as in ConvNeXt."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.mix(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


class Squared(nn.Module):
    """Bilinear in its input."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.inner = nn.Bilinear(n, n, n)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x, torch.tanh(x))


class Einsum(nn.Module):
    def __init__(self, n: int, m: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, n // 2, 2, m))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("nhi,hijk->nk", x.view(len(x), 2, -1), self.weight.tanh())


# Maps


class Blur(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
        taps = taps[:, None] * taps[None, :]
        self.register_buffer("taps", (taps / taps.sum()).repeat(channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (2, 1, 2, 1)), self.taps, groups=x.shape[1])


class BatchDeviation(nn.Module):
    """The deviation over the batch as one more channel (minibatch stddev)."""

    def forward(self, x: Tensor) -> Tensor:
        spread = torch.sqrt(x.var(dim=0, unbiased=False) + 1e-8).mean()
        return torch.cat([x, spread.expand(len(x), 1, *x.shape[2:])], dim=1)


class BatchDiscrimination(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.T = nn.Parameter(torch.randn(n, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        m = torch.einsum("ni,ijk->njk", x, self.T)
        near = (-(m[:, None] - m[None]).square().sum(dim=3)).exp().sum(dim=1) - 1
        return torch.cat([x, near], dim=1)


class Fourier(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.rand(n // 2 + 1) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(x) * self.gain
        return (
            x
            + torch.fft.irfft(spectrum, n=x.shape[-1])
            + torch.log1p(spectrum.abs().square()).sum(dim=-1, keepdim=True)
        )


class Maxout(nn.Module):
    def __init__(self, n: int, m: int) -> None:
        super().__init__()
        self.inner = nn.Linear(n, 3 * m)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x).view(len(x), -1, 3).amax(dim=2)


class Warp(nn.Module):
    """A spatial transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([[[0.9, 0.11, 0.03], [-0.13, 1.07, 0.06]]]))

    def forward(self, x: Tensor) -> Tensor:
        grid = F.affine_grid(self.theta.expand(len(x), -1, -1), list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, align_corners=False)


# State, randomness, ways to call


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.tensor(0.3))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.strength * torch.randn_like(x)


class Dropped(nn.Module):
    """Dropout that knows the mode."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.4, self.training)


class Counting(nn.Module):
    """A counter and a running mean, neither of which the output depends on."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("passes", torch.tensor(0))
        self.register_buffer("mean", torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        self.mean = 0.9 * self.mean + 0.1 * x.mean(dim=0)  # with its graph
        return torch.tanh(x)


class Centred(Constants):
    """Less a running mean that this pass has moved."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.rand(width))

    def moved(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.mean.lerp_(x.mean(dim=0), 0.3)
        return self.mean.clone()

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x - self.constant(lambda: self.moved(x)))


class StraightThrough(Constants):
    """Rounded forth, untouched back."""

    def forward(self, x: Tensor) -> Tensor:
        return x + self.constant(lambda: (torch.round(4 * x) / 4 - x).detach())


class Checkpointed(nn.Module):
    def __init__(self, inner: nn.Module, reentrant: bool) -> None:
        super().__init__()
        self.inner, self.reentrant = inner, reentrant

    def forward(self, x: Tensor) -> Tensor:
        from torch.utils.checkpoint import checkpoint

        return checkpoint(self.inner, x, use_reentrant=self.reentrant)


class _OldTanh(torch.autograd.Function):
    """The old style: ctx in forward."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        out = torch.tanh(x)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, slope: Tensor) -> Tensor:
        (out,) = ctx.saved_tensors
        return slope * (1 - out * out)


class _NewTanh(torch.autograd.Function):
    """The new style: setup_context, for torch.func."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.tanh(x)

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, slope: Tensor) -> Tensor:
        (out,) = ctx.saved_tensors
        return slope * (1 - out * out)


class _FusedLeaky(torch.autograd.Function):
    """Bias and LeakyReLU in one, whose backward is a function of its own."""

    @staticmethod
    def forward(ctx, x: Tensor, bias: Tensor) -> Tensor:
        out = F.leaky_relu(x + bias, 0.2) * 2**0.5
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, slope: Tensor) -> tuple[Tensor, Tensor]:
        (out,) = ctx.saved_tensors
        return _FusedLeakyBackward.apply(slope, out)


class _FusedLeakyBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, slope: Tensor, out: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(out)
        given = slope * torch.where(out > 0, 1.0, 0.2) * 2**0.5
        return given, given.sum(dim=0)

    @staticmethod
    def backward(ctx, along: Tensor, along_bias: Tensor) -> tuple[Tensor, None]:
        (out,) = ctx.saved_tensors
        return (along + along_bias) * torch.where(out > 0, 1.0, 0.2) * 2**0.5, None


class FusedLeaky(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.rand(width))

    def forward(self, x: Tensor) -> Tensor:
        return _FusedLeaky.apply(x, self.bias)


def old_tanh(x: Tensor) -> Tensor:
    return _OldTanh.apply(x)


def new_tanh(x: Tensor) -> Tensor:
    return _NewTanh.apply(x)


# Weights in unusual places


class Tied(nn.Module):
    """Two layers with one weight, and its transpose in a third place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(width, width), nn.Linear(width, width)
        self.b.weight = self.a.weight

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.b(torch.tanh(self.a(x))))
        return F.linear(y, self.a.weight.t())


class Twice(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(torch.tanh(self.inner(x)))


class UnusedHead(nn.Module):
    def __init__(self, n: int, m: int) -> None:
        super().__init__()
        self.classes, self.out = nn.Linear(n, 3), nn.Linear(n, m)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(x))


class PlainList(nn.Module):
    """A weight that is also reached through a list that torch does not know of."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(width))
        self.places = [self.place]

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x + self.places[0])


class Lists(nn.Module):
    """Weights in torch's own lists and dictionaries."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gains = nn.ParameterList([torch.rand(width) + 0.5 for _ in range(2)])
        self.shifts = nn.ParameterDict({"a": nn.Parameter(torch.rand(width))})

    def forward(self, x: Tensor) -> Tensor:
        for gain in self.gains:
            x = torch.tanh(x * gain)
        return x + self.shifts["a"]


class Observed(nn.Module):
    """Hooks forward, which change what comes out, and back, which watch."""

    def __init__(self, inner: nn.Module, back: bool) -> None:
        super().__init__()
        self.inner = inner
        if back:
            inner.register_full_backward_hook(self.watch)
        else:
            inner.register_forward_hook(self.change)

    @staticmethod
    def watch(module: nn.Module, inward: Any, outward: Any) -> None:
        return None

    @staticmethod
    def change(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        return torch.tanh(output) + 0.1 * output.square()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(torch.tanh(x))


class Single(nn.Module):
    """Float32 within."""

    def __init__(self, inner: nn.Module, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.inner, self.dtype = inner, dtype

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(torch.tanh(x.to(self.dtype)).to(x.dtype))


# Labels


class ByLabel(nn.Module):
    """A net that sees (x, y): the label enters by an embedding, one-hot, or as a projection."""

    def __init__(self, how: str, n: int, m: int, classes: int = 3) -> None:
        super().__init__()
        self.how, self.classes = how, classes
        self.body, self.out = (
            nn.Linear(n + (classes if how == "one-hot" else 0), 5),
            nn.Linear(5, m),
        )
        if how != "one-hot":
            self.embed = nn.Embedding(classes, n if how == "product" else 5)
        if how == "norm":
            self.norm = ConditionalBatchNorm(5, classes)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        if self.how == "one-hot":
            x = torch.cat([x, F.one_hot(y, self.classes).to(x.dtype)], dim=1)
        if self.how == "product":
            x = x * self.embed(y)
        h = self.body(x)
        h = torch.tanh(self.norm(h, y) if self.how == "norm" else h)
        out = self.out(h)
        if self.how == "projection":
            out = out + (self.embed(y) * h).sum(dim=1, keepdim=True)
        return out


class Parts(nn.Module):
    """A logit beside the features that it is made of."""

    def __init__(self, inner: nn.Sequential) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        features = self.inner[:-1](x)
        return self.inner[-1](features), {"features": features}
