"""Loss surfaces of an image GAN at the end of its training (Durall et al. 2021, Figure 2).

An NSGAN is trained, and the ends of both players' spectra are recorded after each epoch. At the end
of training, the loss is computed over two planes per player, with the training projected on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pandas import DataFrame, concat
from torch import Tensor
from typing_extensions import Unpack

from helpers.analysis.surfaces import PLANES, eigen_plane, loss_plane, projected
from helpers.datasets import load
from helpers.experiments import protocol
from helpers.experiments.parts import Context
from helpers.experiments.protocol import How, Measured, Quantity, Reading, Rows, Wanted
from helpers.experiments.setting import TrainingSetting, optimizers_for
from helpers.games.game import PLAYERS, Game
from helpers.games.judging import Judging
from helpers.games.networks import joint_point, network_game
from helpers.losses.table import find_loss
from helpers.models import Players, dcgan
from helpers.operators import hessian
from helpers.spectra import top_eigenpairs
from helpers.training.data import EpochBatches
from helpers.training.single import TrainingResult
from helpers.training.train import train as train_gan

VERSION = 1
_MARGIN = 1.25  # how far a plane reaches beyond the training's points
_RECORDS = 45  # epochs kept of a course, at most
_TOLERANCE = 0.05  # relative tolerance of an eigenvalue along the training


@dataclass(frozen=True, kw_only=True)
class Setting(TrainingSetting):
    """How an NSGAN is trained.

    >>> Setting().rates
    (0.0002, 0.0002)
    """

    METHODS = ("adam",)
    NUDGED = ()


@dataclass(frozen=True, kw_only=True)
class Size(protocol.Size):
    """How large the GAN is, how long it is trained, and how closely its end is looked at."""

    data: str = "mnist"  # a name in `helpers.datasets.NAMES`
    images: int = 60_000  # images of the set, at most
    epochs: int = 180
    width: int = 16
    latent: int = 100
    batch: int = 512
    rate_factor: float = 1.0  # factor on both rates: a short training has to hurry
    hessian_images: int = 200
    kept: int = 9  # projected points of the training, besides its start
    places: int = 17  # places along either direction of a plane


READINGS = {
    "DCGAN, Adam": Reading(
        Setting(),
        "Sections 4.1 and 5.1: the non-saturating loss, MNIST, 180 epochs; ours: a DCGAN without "
        "norm in D, Adam at 2e-4 with betas 0.5 and 0.999, batches, images of the Hessians",
        stated=False,
    )
}
ARMS: dict[str, dict[str, Any]] = {"nsgan": {}}
SIZES = {
    "quick": Size(
        data="digits",
        images=700,
        epochs=4,
        width=4,
        latent=16,
        batch=50,
        rate_factor=10.0,
        hessian_images=16,
        kept=4,
        places=13,
        lacks="MNIST, 176 of 180 epochs",
    ),
    "full": Size(lacks="nothing that the paper states; its nets, rates and batches are not known"),
}
WANTED = [
    Wanted(tuple(READINGS), tuple(ARMS), "full", range(100, 103), "A06; for a GPU, minutes each")
]


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training left, and the games that its networks play on the same images."""

    loss: str
    run: TrainingResult
    reals: Tensor  # (n, 1, 32, 32) the images on which losses are taken
    latents: Tensor  # (n, latent)
    epochs: list[int]  # epochs after which networks were kept, from 0
    passes: int  # iterations per epoch

    def game(self, epoch: int) -> Game:
        """The game after a kept epoch, with the buffers that the networks had then."""
        players = self.run.players_at(epoch * self.passes)
        return network_game(*players, self.latents, self.reals, loss=self.loss)

    def point(self, epoch: int) -> Tensor:
        """(p + q,) weights after a kept epoch, where the images are."""
        return joint_point(*self.run.players_at(epoch * self.passes)).to(self.reals.device)


def train(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Trained:
    """Train one GAN; after each epoch the ends of both spectra are recorded.

    Args:
        setting, size: what to train, on which images, and how long.
        data: folder of the images, as for `helpers.datasets.load`.
        how: as `helpers.experiments.protocol.How` says.

    Raises:
        ValueError, Diverged: as in `helpers.training.train`.
        FileNotFoundError: as in `helpers.datasets.load`.

    >>> from dataclasses import replace
    >>> size = replace(SIZES["quick"], images=50, epochs=1, width=2, kept=1)
    >>> train(Setting(), size, seed=0).run.records["low_g"].shape
    (1,)
    """
    given = Context(**how)
    images = load(size.data, root=data)
    reals = images.subset(min(size.images, len(images)), seed=0).images
    passes = len(reals) // size.batch
    fixed = reals[: size.hessian_images].to(given.device)
    stream = torch.Generator().manual_seed(given.seed)
    latents = torch.randn(len(fixed), size.latent, generator=stream, device="cpu").to(given.device)
    epochs = sorted({int(each) for each in np.linspace(0, size.epochs, size.kept + 1).round()})
    run = train_gan(
        dcgan(seed=given.seed, latent=size.latent, width=size.width, normed=False),
        EpochBatches(reals, latent=size.latent, size=size.batch, seed=given.seed),
        loss=find_loss(setting.loss),
        optimizer=optimizers_for(setting.hurried(size.rate_factor)),
        iterations=passes * size.epochs,
        judging=Judging(joint_batch=True),
        recording=given.recording(
            every=passes,
            observe=_Ends(setting.loss, fixed, latents, given.seed),
            snapshots={passes * epoch for epoch in epochs},
            save_every=passes,
        ),
        device=given.device,
    )
    return Trained(setting.loss, run, fixed, latents, epochs, passes)


@dataclass(frozen=True)
class _Ends:
    """Largest and smallest eigenvalue of each player's Hessian, and the norm of G's gradient."""

    loss: str
    reals: Tensor
    latents: Tensor
    seed: int

    def __call__(self, players: Players) -> dict[str, float]:
        game = network_game(*players, self.latents, self.reals, loss=self.loss)
        point = joint_point(*players)
        record = {"slope_g": float(game.gradient("G", point).norm())}
        for player in PLAYERS:
            H = hessian(game, player, point, route="retained")
            for name, which in (("top", "LA"), ("low", "SA")):
                found = top_eigenpairs(H, 1, which, seed=self.seed, tolerance=_TOLERANCE)
                record[f"{name}_{player.lower()}"] = float(found.values[0])
        return record


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """What the evidence keeps: "members", of one row, and four courses.

    members: "top_g", "low_g", "top_d" and "low_d", the ends of the spectra after the last epoch;
        "second_over_first_g" and "second_over_first_d", ratios for the plane of the two largest;
        "slope_growth", the norm of G's gradient at the end over that after the second epoch.
    ends: the same ends and "slope_g", the norm of G's gradient, after an "epoch".
    planes: the curvatures "first" and "second" of a "player" along a "plane", which is that of the
        two largest eigenvalues ("top") or of the largest and the smallest ("ends").
    surface: a row per place "x" along the first direction, with the logarithms of the loss "at 00"
        on, at evenly spaced places from -"reach" to "reach" along the second one.
    path: the training on a plane, as `helpers.analysis.ProjectedPath` names it.

    Raises:
        FloatingPointError: as in `loss_plane`; and what `train` raises.

    >>> from dataclasses import replace
    >>> size = replace(SIZES["quick"], images=50, epochs=1, width=2, kept=1, places=3)
    >>> found = measure(Setting(), size, seed=0)
    >>> found["surface"].shape  # two planes of each player
    (12, 7)
    """
    trained = train(setting, size, data=data, **how)
    parts: dict[str, list[DataFrame]] = {"planes": [], "surface": [], "path": []}
    for player in PLAYERS:
        for plane in PLANES:
            looked = looked_at(trained, player, plane, size.places, seed=how["seed"])
            for table, frame in looked.items():
                about = {"player": player, "plane": plane}
                parts[table].append(frame.assign(**about)[[*about, *frame.columns]])
    frames = {table: concat(found, ignore_index=True) for table, found in parts.items()}
    ends = ends_of(trained)
    member: dict[str, float] = {"member": 0, "diverged": 0}
    member |= {name: ends[name].iloc[-1] for name in ("top_g", "low_g", "top_d", "low_d")}
    member["slope_growth"] = ends["slope_g"].iloc[-1] / ends["slope_g"].iloc[:2].iloc[-1]
    for _, row in frames["planes"].query("plane == 'top'").iterrows():
        member[f"second_over_first_{row['player'].lower()}"] = row["second"] / row["first"]
    return {"members": DataFrame([member]), "ends": _few(ends)} | frames


def ends_of(trained: Trained) -> DataFrame:
    """A row per epoch, as `measure` says."""
    records = trained.run.records
    names = ("top_g", "low_g", "top_d", "low_d", "slope_g")
    epochs = np.arange(1, len(records["top_g"]) + 1)
    return DataFrame({"epoch": epochs} | {name: records[name] for name in names})


def _few(rows: DataFrame) -> DataFrame:
    """At most 45 rows, the last one among them."""
    step = -(-len(rows) // _RECORDS)
    return rows.iloc[(len(rows) - 1) % step :: step].reset_index(drop=True)


def looked_at(
    trained: Trained, player: str, plane: str, places: int, *, seed: int
) -> dict[str, DataFrame]:
    """One plane of one player: "planes", "surface" and "path", as `measure` says."""
    epochs = trained.epochs
    game, end = trained.game(epochs[-1]), trained.point(epochs[-1])
    points = torch.stack([trained.point(epoch) for epoch in epochs])
    found = eigen_plane(game, player, end, plane, seed=seed)
    path = projected(game, end, points, found.directions, player=player)
    # Planes hold the path, and reach as far on the other side of its end.
    reach = _MARGIN * np.maximum(np.abs(path.places).max(axis=0), 1e-3)
    x, y = (np.linspace(-far, far, places) for far in reach)
    heights = loss_plane(game, end, found.directions, player=player, x=x, y=y).logarithm
    surface = {"x": x, "reach": reach[1]}
    surface |= {f"at {k:02d}": column.round(4) for k, column in enumerate(heights.T)}
    along: dict[str, Any] = {"epoch": epochs, "first": path.places[:, 0]}
    along |= {"second": path.places[:, 1], "share": path.share}
    along |= {name: getattr(path, name) for name in ("plane_loss", "held_loss", "true_loss")}
    curvature = {"first": found.values[:1], "second": found.values[1:]}
    tables = {"planes": curvature, "surface": surface, "path": along}
    return {table: DataFrame(columns) for table, columns in tables.items()}


def _lowest(rows: Rows, player: str) -> list[float]:
    """The smallest eigenvalue over the largest, by member."""
    own = rows["nsgan"]
    return (own[f"low_{player}"] / own[f"top_{player}"]).tolist()


QUANTITIES: dict[str, dict[str, Quantity]] = {
    "A06": {
        "d_min_over_max_eigenvalue": lambda rows: _lowest(rows, "d"),
        "g_min_over_max_eigenvalue": lambda rows: _lowest(rows, "g"),
        "g_smaller_curvature_in_plane": lambda rows: (
            rows["nsgan"]["second_over_first_g"].dropna().tolist()
        ),
        "g_gradient_growth": lambda rows: rows["nsgan"]["slope_growth"].tolist(),
    }
}
