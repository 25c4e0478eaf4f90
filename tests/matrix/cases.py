"""The cases of the matrix: a layer or a habit of published GAN code each, in a tiny game."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from helpers.losses.penalty import GradientPenalty
from tests.matrix import layers as own

Nets = tuple[nn.Module, nn.Module]
Made = Callable[[], Any]  # a layer or several
SAMPLES = 6


@dataclass(frozen=True)
class Case:
    """Two nets, the data they see, and the keywords of their game.

    Args:
        name: of the layer or the habit.
        nets: G and D, drawn from torch's global generator.
        latent, sample: shapes of one latent and of one sample.
        asked: keywords of `network_game`, and of its `Judging` and `PassSettings`.
        words: a refusal names one of these, or a layer of the nets.
        needed: whether the default route must have an answer.
        reference: the nets that the judge differentiates, where they are not the given ones:
            without a cast to float32, or with the spectral norm settled.
        classes: of labels, 0 for a game without.
        tolerance: relative, of products.
        running: whether the nets are judged in the mode of evaluation.
        must: "refused" where no answer is right, "said" where one needs a warning.
    """

    name: str
    nets: Callable[[], Nets]
    latent: tuple[int, ...] = (3,)
    sample: tuple[int, ...] = (4,)
    asked: dict[str, Any] = field(default_factory=dict)
    words: str = ""
    needed: bool = False
    reference: Callable[[], Nets] | None = None
    classes: int = 0
    tolerance: float = 1e-6
    running: bool = False
    must: str = ""

    def built(self, seed: int, reference: bool = False) -> Nets:
        """The nets of a seed in float64."""
        make = self.reference if reference and self.reference else self.nets
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch says of its older norms
            torch.manual_seed(seed)
            generator, discriminator = make()
            return generator.double(), discriminator.double()

    def data(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Latents, reals and labels."""
        random = torch.Generator().manual_seed(100)
        z, x = (
            torch.randn(SAMPLES, *shape, generator=random, dtype=torch.float64)
            for shape in (self.latent, self.sample)
        )
        labels = torch.randint(self.classes, (SAMPLES,), generator=random) if self.classes else None
        return z, x, labels


def rows(d: Made, g: Made | None = None) -> Callable[[], Nets]:
    """A game of vectors. What is made stands between linear layers, five units in and out.

    Args:
        d, g: what stands in D, and in G, which is one linear layer without.
    """

    def make() -> Nets:
        first = nn.Linear(3, 4)
        if g is not None:
            first = nn.Sequential(nn.Linear(3, 5), *_listed(g()), nn.Linear(5, 4))
        return first, nn.Sequential(nn.Linear(4, 5), *_listed(d()), nn.Linear(5, 1))

    return make


def both(made: Made) -> Callable[[], Nets]:
    """The same in D and in G."""
    return rows(made, made)


def maps(d: Made, g: Made | None = None, *, seen: int = 3) -> Callable[[], Nets]:
    """A game of images (2, 8, 8). What is made stands at 4 x 4, with three channels in and out.

    Args:
        d, g: what stands in D, and in G, which is one layer without.
        seen: channels that come out in D.
    """

    def make() -> Nets:
        first = nn.ConvTranspose2d(3, 2, 8)
        if g is not None:
            last = nn.ConvTranspose2d(3, 2, 4, 2, 1)
            first = nn.Sequential(nn.ConvTranspose2d(3, 3, 4), *_listed(g()), last)
        return first, nn.Sequential(nn.Conv2d(2, 3, 4, 2, 1), *_listed(d()), nn.Conv2d(seen, 1, 4))

    return make


def _listed(found: Any) -> list[nn.Module]:
    return [found] if isinstance(found, nn.Module) else list(found)


def plain() -> nn.Module:
    return nn.Tanh()


def chain(*made: Callable[[], nn.Module]) -> Callable[[], list[nn.Module]]:
    """Layers with linear ones between them."""

    def make() -> list[nn.Module]:
        found: list[nn.Module] = []
        for each in made:
            found += [each(), nn.Linear(5, 5)]
        return found[:-1]

    return make


def mapped(*functions: Callable[[Tensor], Tensor]) -> Callable[[], list[nn.Module]]:
    return chain(*(partial(own.Apply, f) for f in functions))


def in_place(*kinds: Callable[..., nn.Module]) -> Callable[[], list[nn.Module]]:
    return chain(*(partial(kind, inplace=True) for kind in kinds))


def wrapped(make: Callable[[], Nets], wrap: Callable[[Any], nn.Module]) -> Callable[[], Nets]:
    """D as a whole, made another."""

    def made() -> Nets:
        generator, discriminator = make()
        return generator, wrap(discriminator)

    return made


def normed(norm: Callable[..., nn.Module]) -> Callable[[], Nets]:
    """A norm of weights on a layer of G and on both of D."""
    return lambda: (
        nn.Sequential(norm(nn.Linear(3, 5)), nn.Tanh(), nn.Linear(5, 4)),
        nn.Sequential(norm(nn.Linear(4, 5)), nn.LeakyReLU(0.2), norm(nn.Linear(5, 1))),
    )


class _Settled(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight / torch.linalg.matrix_norm(weight.flatten(1), 2)


def settled(layer: nn.Module) -> nn.Module:
    nn.utils.parametrize.register_parametrization(layer, "weight", _Settled())
    return layer


def labelled(how_g: str, how_d: str) -> Callable[[], Nets]:
    return lambda: (own.ByLabel(how_g, 3, 4), own.ByLabel(how_d, 4, 1))


def frozen(discriminator: nn.Sequential) -> nn.Sequential:
    discriminator[0].requires_grad_(False)
    return discriminator


def compiled(net: nn.Module) -> nn.Module:
    return torch.compile(net, backend="eager")


def transformer(outputs: int) -> nn.Module:
    layer = nn.TransformerEncoderLayer(4, 2, 5, dropout=0.0, batch_first=True)
    return own.Tokens(layer, outputs)


def tanh_layer() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 5), nn.Tanh())


SPECTRAL, WEIGHT = parametrizations.spectral_norm, parametrizations.weight_norm
LEAKY = partial(nn.LeakyReLU, 0.2, inplace=True)
MAP = {"latent": (3, 1, 1), "sample": (2, 8, 8)}
SMALL = {"latent": (3,), "sample": (2, 4, 4)}
TOKENS = {"latent": (6,), "sample": (6,)}
SETTLED, STORED = {"spectral_norm": "exact"}, {"batch_norm": "running"}
DATA, BETWEEN = (
    {"loss": "wgan", "penalty": GradientPenalty(10.0, where)} for where in ("data", "interpolates")
)
RANDOM = "random|noise|two values"


IN_PLACE = [
    Case("ReLU in place", both(in_place(nn.ReLU)), needed=True),
    Case(
        "DCGAN, LeakyReLU in place",
        maps(LEAKY, lambda: [nn.BatchNorm2d(3), nn.ReLU(True)]),
        **MAP,
        needed=True,
    ),
    Case("ELU, SELU, CELU in place", rows(in_place(nn.ELU, nn.SELU, nn.CELU)), needed=True),
    Case(
        "SiLU, Mish, Hardswish in place",
        rows(in_place(nn.SiLU, nn.Mish, nn.Hardswish)),
        needed=True,
    ),
    Case(
        "ReLU6, Hardtanh, Threshold in place",
        rows(in_place(nn.ReLU6, partial(nn.Hardtanh, -0.8, 0.8), partial(nn.Threshold, 0.1, 0.3))),
        needed=True,
    ),
    Case("leaky_relu_", both(mapped(lambda x: F.leaky_relu_(x, 0.2))), needed=True),
    Case(
        "elu_, selu_, silu_",
        rows(mapped(F.elu_, F.selu_, lambda x: F.silu(x, inplace=True))),
        needed=True,
    ),
    Case(
        "relu_, tanh_, sigmoid_",
        rows(mapped(torch.relu_, torch.tanh_, torch.sigmoid_)),
        needed=True,
    ),
    Case("y += f(x)", both(mapped(own.add_to_itself))),
    Case("y[:, 0] = ...", both(mapped(own.write_a_column))),
    Case("an empty tensor filled", rows(mapped(own.fill_a_buffer))),
    Case("mul_, add_, masked_fill_", rows(mapped(own.in_place_arithmetic))),
    Case(
        "x.sub_(m).div_(s) on the input",
        wrapped(rows(plain), lambda d: nn.Sequential(own.StandardizedInput(), *d)),
    ),
    Case(
        "residual block",
        rows(lambda: own.Residual(nn.Sequential(nn.Linear(5, 5), LEAKY(), nn.Linear(5, 5)))),
    ),
]

LINEAR = [
    Case("Linear on transposed 3-D", lambda: (nn.Linear(3, 6), own.Transposed(6, 1)), sample=(6,)),
    Case("Linear on 4-D", maps(lambda: own.ChannelsLast(3)), **MAP),
    Case("Bilinear", rows(lambda: own.Squared(5))),
    Case(
        "einsum",
        lambda: (
            nn.Linear(3, 4),
            nn.Sequential(own.Einsum(4, 5), nn.Tanh(), nn.Linear(5, 1)),
        ),
    ),
    Case(
        "dilated convolution",
        maps(lambda: [nn.Conv2d(3, 3, 3, padding=2, dilation=2), LEAKY()]),
        **MAP,
    ),
    Case(
        "grouped convolution",
        maps(lambda: [nn.Conv2d(3, 3, 3, padding=1, groups=3), nn.Tanh()]),
        **MAP,
    ),
    Case(
        "transposed convolution, strided",
        maps(
            plain,
            lambda: [
                nn.ConvTranspose2d(3, 3, 3, stride=2, padding=1, output_padding=1),
                LEAKY(),
                nn.AvgPool2d(2),
            ],
        ),
        **MAP,
    ),
    Case(
        "transposed convolution, dilated, grouped",
        maps(lambda: [nn.ConvTranspose2d(3, 3, 3, padding=2, dilation=2, groups=3), LEAKY()]),
        **MAP,
    ),
    *(
        Case(
            f"padding, {mode}",
            maps(lambda mode=mode: [nn.Conv2d(3, 3, 3, padding=1, padding_mode=mode), nn.Tanh()]),
            **MAP,
        )
        for mode in ("zeros", "reflect", "replicate", "circular")
    ),
]

NORMS = [
    Case("BatchNorm1d in G", rows(plain, lambda: [nn.BatchNorm1d(5), nn.Tanh()]), needed=True),
    Case("BatchNorm1d in D", rows(lambda: [nn.BatchNorm1d(5), nn.Tanh()]), needed=True),
    Case(
        "BatchNorm1d in D, one batch",
        rows(lambda: [nn.BatchNorm1d(5), nn.Tanh()]),
        asked={"joint_batch": True},
        needed=True,
    ),
    Case("BatchNorm2d in D", maps(lambda: [nn.BatchNorm2d(3), LEAKY()]), **MAP, needed=True),
    Case(
        "BatchNorm, stored statistics",
        both(lambda: [nn.BatchNorm1d(5), nn.Tanh()]),
        asked=STORED,
        running=True,
        needed=True,
    ),
    Case(
        "BatchNorm without stored ones",
        rows(lambda: [nn.BatchNorm1d(5, track_running_stats=False), nn.Tanh()]),
        needed=True,
    ),
    Case("LayerNorm", rows(lambda: [nn.LayerNorm(5), LEAKY()])),
    Case("GroupNorm", maps(lambda: [nn.GroupNorm(1, 3), LEAKY()]), **MAP),
    Case("InstanceNorm", maps(lambda: [nn.InstanceNorm2d(3, affine=True), LEAKY()]), **MAP),
    Case(
        "InstanceNorm that keeps statistics",
        maps(lambda: [nn.InstanceNorm2d(3, track_running_stats=True), nn.Tanh()]),
        **MAP,
    ),
    Case("RMSNorm", rows(lambda: [nn.RMSNorm(5), nn.Tanh()])),
    Case("pixel norm", rows(lambda: [own.PixelNorm(), LEAKY()])),
    Case("F.batch_norm by hand", both(lambda: [own.OwnBatchNorm(5), nn.Tanh()]), needed=True),
    Case(
        "F.batch_norm by hand, stored",
        rows(lambda: [own.OwnBatchNorm(5), nn.Tanh()]),
        asked=STORED,
        running=True,
        needed=True,
    ),
    Case("batch norm written out", both(lambda: [own.WrittenBatchNorm(5), nn.Tanh()]), needed=True),
    Case(
        "batch norm written out, stored",
        rows(lambda: [own.WrittenBatchNorm(5), nn.Tanh()]),
        asked=STORED,
        running=True,
        needed=True,
    ),
    Case("conditional batch norm", labelled("norm", "embedding"), classes=3, needed=True),
    Case("adaptive instance norm", lambda: (own.Styled(3, 4), nn.Conv2d(2, 1, 4)), **SMALL),
    Case("modulated convolution", lambda: (own.Modulated(3, 3), nn.Conv2d(2, 1, 4)), **SMALL),
]

WEIGHT_NORMS = [
    Case("spectral norm", normed(SPECTRAL), needed=True),
    Case(
        "spectral norm, settled",
        normed(SPECTRAL),
        asked=SETTLED,
        reference=normed(settled),
        needed=True,
    ),
    Case("spectral norm, old", normed(nn.utils.spectral_norm), needed=True),
    Case(
        "spectral norm, old, settled",
        normed(nn.utils.spectral_norm),
        asked=SETTLED,
        reference=normed(settled),
        needed=True,
    ),
    Case(
        "spectral norm, convolution",
        maps(lambda: [SPECTRAL(nn.Conv2d(3, 3, 3, padding=1)), LEAKY()]),
        **MAP,
        needed=True,
    ),
    Case(
        "spectral norm by hand, buffers",
        rows(lambda: [own.OwnSpectralNorm(5, 5), nn.Tanh()]),
        needed=True,
    ),
    Case(
        "spectral norm by hand, parameters",
        rows(lambda: [own.SpectralWrapper(nn.Linear(5, 5)), nn.Tanh()]),
        needed=True,
        words="`data`",
    ),
    Case(
        "spectral norm by hand, settled",
        rows(lambda: [own.OwnSpectralNorm(5, 5), nn.Tanh()]),
        asked=SETTLED,
        must="refused",
        words="spectral_norm|settled",
    ),
    Case("weight norm", normed(WEIGHT), needed=True),
    Case("weight norm, old", normed(nn.utils.weight_norm), needed=True),
    Case("weight norm by hand", rows(lambda: [own.OwnWeightNorm(5, 5), nn.Tanh()]), needed=True),
    Case(
        "weight standardisation",
        maps(lambda: [own.WeightStandardised(3, 3, 3, padding=1), LEAKY()]),
        **MAP,
    ),
    Case("equalised rate by a hook", normed(own.equalised)),
    Case("equalised rate by hand", rows(lambda: [own.EqualisedLinear(5, 5), nn.Tanh()])),
]

SEQUENCES = [
    Case("GRU", lambda: (nn.Linear(3, 4), own.Recurrent(nn.GRU, 4, 1)), needed=True),
    Case("GRUCell in G", lambda: (own.CellLoop(3, 4), nn.Linear(4, 1)), needed=True),
    Case("LSTM", lambda: (nn.Linear(3, 4), own.Recurrent(nn.LSTM, 4, 1))),
    Case(
        "MultiheadAttention",
        lambda: (nn.Linear(6, 6), own.Tokens(own.SelfAttention(True), 1)),
        **TOKENS,
        needed=True,
        words="attention",
    ),
    Case(
        "MultiheadAttention without weights",
        lambda: (nn.Linear(6, 6), own.Tokens(own.SelfAttention(False), 1)),
        **TOKENS,
        needed=True,
        words="attention",
    ),
    Case(
        "TransformerEncoderLayer",
        lambda: (nn.Linear(6, 6), transformer(1)),
        **TOKENS,
        needed=True,
        words="attention",
    ),
    Case(
        "scaled_dot_product_attention in G",
        lambda: (own.Tokens(own.ScaledAttention(), 6), nn.Linear(6, 1)),
        **TOKENS,
        needed=True,
        words="attention",
    ),
    Case(
        "self-attention of images",
        maps(lambda: [own.ImageAttention(3), LEAKY()]),
        **MAP,
        needed=True,
    ),
]

MAPS = [
    Case(
        "pixel shuffle",
        maps(plain, lambda: [nn.Conv2d(3, 12, 1), nn.PixelShuffle(2), LEAKY(), nn.AvgPool2d(2)]),
        **MAP,
    ),
    Case(
        "Upsample, nearest",
        maps(plain, lambda: [nn.Upsample(scale_factor=2), nn.Conv2d(3, 3, 3, 2, 1), nn.Tanh()]),
        **MAP,
    ),
    Case(
        "Upsample, bilinear",
        maps(lambda: [nn.Upsample(scale_factor=2, mode="bilinear"), nn.Tanh(), nn.AvgPool2d(2)]),
        **MAP,
    ),
    Case(
        "F.interpolate, bicubic and area",
        maps(
            lambda: [
                own.Apply(lambda x: F.interpolate(x, size=(6, 6), mode="bicubic")),
                nn.Tanh(),
                own.Apply(lambda x: F.interpolate(x, size=(4, 4), mode="area")),
            ]
        ),
        **MAP,
    ),
    Case("max pool", maps(lambda: [nn.Tanh(), nn.MaxPool2d(3, 1, 1)]), **MAP),
    Case("blur by a buffer", maps(lambda: [own.Blur(3), LEAKY()]), **MAP),
    Case("spatial transformer", maps(lambda: [own.Warp(), nn.Tanh()]), **MAP, words="grid_sampler"),
    Case("minibatch deviation", maps(lambda: [own.BatchDeviation(), LEAKY()], seen=4), **MAP),
    Case(
        "minibatch discrimination",
        wrapped(
            rows(plain),
            lambda d: nn.Sequential(*d[:-1], own.BatchDiscrimination(5), nn.Linear(7, 1)),
        ),
    ),
    Case("Fourier transform", rows(lambda: own.Fourier(5))),
    Case("PReLU, Softplus, GELU", rows(chain(nn.PReLU, nn.Softplus, nn.GELU))),
    Case("Maxout", rows(lambda: own.Maxout(5, 5))),
]

RANDOMNESS_AND_LABELS = [
    Case(
        "noise in forward",
        rows(plain, lambda: [own.Noisy(), nn.Tanh()]),
        words=RANDOM,
        must="refused",
    ),
    Case("nn.Dropout", rows(lambda: [nn.Tanh(), nn.Dropout(0.3)])),
    Case(
        "F.dropout by the mode",
        rows(lambda: [nn.Tanh(), own.Dropped()]),
        reference=rows(plain),
        words=RANDOM,
    ),
    Case("labels by an embedding", labelled("product", "embedding"), classes=3),
    Case("one_hot labels", labelled("one-hot", "one-hot"), classes=3),
    Case("projection of labels", labelled("embedding", "projection"), classes=3),
]

WAYS_TO_COMPUTE = [
    Case(
        "checkpoint, reentrant",
        rows(lambda: own.Checkpointed(tanh_layer(), True)),
        words="checkpoint|Function",
    ),
    Case(
        "checkpoint",
        rows(lambda: own.Checkpointed(tanh_layer(), False)),
        words="checkpoint|vmap",
    ),
    Case("autograd.Function, old style", rows(mapped(own.old_tanh)), words="Function|Old"),
    Case("autograd.Function, new style", rows(mapped(own.new_tanh)), words="Function|New"),
    Case("fused bias and LeakyReLU", rows(lambda: own.FusedLeaky(5)), words="Function|Fused"),
    Case("compiled", wrapped(rows(plain), compiled), words="compile|forward"),
    Case("forward hook", rows(lambda: own.Observed(nn.Linear(5, 5), back=False))),
    Case(
        "backward hook",
        rows(lambda: own.Observed(nn.Linear(5, 5), back=True)),
        words="hook|Function",
    ),
]

WEIGHTS_AND_STATE = [
    Case("a module used twice", rows(lambda: own.Twice(5))),
    Case("tied weights", both(lambda: own.Tied(5))),
    Case("first layer frozen", wrapped(rows(plain), frozen)),
    Case("unused head", rows(lambda: own.UnusedHead(5, 5))),
    Case("weight in a Python list", rows(lambda: own.PlainList(5)), words="place"),
    Case("ParameterList, ParameterDict", rows(lambda: own.Lists(5))),
    Case("counters written in forward", both(lambda: own.Counting(5))),
    Case("running mean used in forward", rows(plain, lambda: own.Centred(5))),
    Case(
        "straight-through rounding",
        rows(plain, own.StraightThrough),
        words="detach|StraightThrough",
    ),
]

PENALTIES = [
    Case("WGAN-GP, SiLU in place", rows(in_place(nn.SiLU), plain), asked=BETWEEN, needed=True),
    Case("WGAN-GP, LayerNorm", rows(lambda: [nn.LayerNorm(5), nn.Tanh()]), asked=DATA),
    Case(
        "WGAN-GP, BatchNorm",
        rows(lambda: [nn.BatchNorm1d(5), nn.Tanh()]),
        asked=DATA,
        needed=True,
    ),
    Case("WGAN-GP, GroupNorm", rows(lambda: [nn.GroupNorm(1, 5), nn.Tanh()]), asked=BETWEEN),
    Case(
        "WGAN-GP, InstanceNorm",
        maps(lambda: [nn.InstanceNorm2d(3, affine=True), nn.Tanh()]),
        **MAP,
        asked=DATA,
    ),
    Case("WGAN-GP, weight norm", normed(WEIGHT), asked=DATA, needed=True),
    Case("WGAN-GP, spectral norm", normed(SPECTRAL), asked=DATA, needed=True),
]

OUTPUTS = [
    Case(
        "pairing loss, batches",
        rows(in_place(nn.ReLU)),
        asked={"loss": "rs", "batch_size": 4},
        needed=True,
    ),
    Case(
        "float32 in forward",
        rows(lambda: own.Single(nn.Tanh())),
        tolerance=1e-4,
        reference=rows(lambda: own.Single(nn.Tanh(), torch.float64)),
        words="float32|precision",
        must="said",
    ),
    Case(
        "D ends in a sigmoid",
        wrapped(rows(plain), lambda d: d.append(nn.Sigmoid())),
        words="[Ss]igmoid|probabilit",
        must="refused",
    ),
    Case(
        "the logit of a sigmoid",
        wrapped(rows(plain), lambda d: d.append(nn.Sigmoid())),
        asked={"logit": torch.logit},
    ),
    Case("tuple output", wrapped(rows(plain), own.Parts), asked={"logit": lambda out: out[0]}),
    Case(
        "patches of logits",
        wrapped(maps(LEAKY), lambda d: d[:-1].append(nn.Conv2d(3, 1, 3))),
        **MAP,
        asked={"logit": lambda out: out.flatten(1).mean(dim=1)},
    ),
]

CASES = [
    *IN_PLACE,
    *LINEAR,
    *NORMS,
    *WEIGHT_NORMS,
    *SEQUENCES,
    *MAPS,
    *RANDOMNESS_AND_LABELS,
    *WAYS_TO_COMPUTE,
    *WEIGHTS_AND_STATE,
    *PENALTIES,
    *OUTPUTS,
]
