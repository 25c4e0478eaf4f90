"""Where the trainings of narrow nets end: the spectra there, on a few of their images.

No paper has these numbers. Each one is searched for on its own, so that one search which does not
converge costs no other number. Eigenvalues of large modulus say little about rotation and about
instability: those of largest imaginary part and the leftmost ones may be much smaller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import Unpack

from helpers.analysis.endpoints import searched
from helpers.experiments.image_training import standard_normal
from helpers.experiments.narrow_setting import Setting
from helpers.experiments.narrow_watch import LATENT
from helpers.experiments.parts import in_folder, kept
from helpers.experiments.protocol import How, Size
from helpers.games.game import Game
from helpers.games.networks import joint_point, network_game
from helpers.losses.penalty import GradientPenalty
from helpers.models import Players
from helpers.models.copying import copied
from helpers.operators import hessian, jacobian
from helpers.spectra import EigenPairs, game_eigenvalues, top_eigenpairs

END = (
    *("sharpness", "curvature_low", "curvature_high"),
    *("modulus", "imaginary", "imaginary_share", "leftmost", "relative_norm"),
)
_TOLERANCE = 0.05  # of the residuals, relative to each eigenvalue


def end_of(
    before: Players,
    after: Players,
    reals: Tensor,
    *,
    loss: str,
    penalty: GradientPenalty | None = None,
    seed: int,
    top: int,
) -> dict[str, float]:
    """The spectra at the end of a training, by the names in `END`.

    "sharpness" is the largest eigenvalue of D's own Hessian, "curvature_low" and "curvature_high"
    are the ends of G's. Of the game's Jacobian there are the largest "modulus" of an eigenvalue,
    the largest "imaginary" part, its size, "imaginary_share", which is that over the modulus, and
    "leftmost", the least real part. "relative_norm" is the vector field's norm over that at the
    start. A number is NaN where its own search does not converge or meets products that are not
    finite; all are where `top` is 0.

    Args:
        before, after: both nets at the start and at the end of the training.
        reals: (n, ...) images of the game, which has as many latents.
        loss, penalty: what was trained with.
        seed: of the latents.
        top: leading eigenvalues that the modulus is searched among; 0 leaves all out.

    Raises:
        ValueError: as `helpers.games.network_game`.

    >>> from helpers.models import mlp
    >>> nets = [Players(mlp([128, 1], seed=s), mlp([1, 1], seed=s)) for s in (0, 1)]
    >>> found = end_of(*nets, standard_normal(4, 1, seed=0), loss="js", seed=0, top=1)
    >>> 0 < found["relative_norm"], 0 <= found["imaginary"] <= 1.1 * found["modulus"]
    (True, True)
    """
    if not top:
        return dict.fromkeys(END, float("nan"))
    weight = next(after.generator.parameters())
    reals = reals.to(weight)
    latents = standard_normal(len(reals), LATENT, seed=seed).to(weight)
    here = Players(*(copied(net).to(weight.device) for net in before))
    start, game = (
        network_game(*nets, latents, reals, loss=loss, penalty=penalty) for nets in (here, after)
    )
    point = joint_point(*after)

    def of_game(which: str, k: int = 1) -> NDArray[Any]:
        def search() -> EigenPairs:
            operator = jacobian(game, point, route="retained")
            return game_eigenvalues(operator, k, which, tolerance=_TOLERANCE)

        return searched(search, k)[0]

    def of_player(player: str, which: str) -> float:
        def search() -> EigenPairs:
            operator = hessian(game, player, point, route="retained")
            return top_eigenpairs(operator, 1, which, tolerance=_TOLERANCE)

        return float(searched(search, 1)[0].real[0])

    found = {
        "sharpness": of_player("D", "LA"),
        "curvature_low": of_player("G", "SA"),
        "curvature_high": of_player("G", "LA"),
        "modulus": float(np.abs(of_game("LM", top)).max()),
        "imaginary": float(np.abs(of_game("LI").imag).max()),
        "leftmost": float(of_game("SR").real.min()),
        "relative_norm": _norm(game, point) / (_norm(start, joint_point(*here)) or float("nan")),
    }
    modulus = found["modulus"]  # 0 where nothing moves, which is no rotation either way
    found["imaginary_share"] = found["imaginary"] / modulus if modulus else float("nan")
    return {name: found[name] for name in END}


def kept_end(
    find: Callable[[], dict[str, Any]], setting: Setting, size: Size, **how: Unpack[How]
) -> dict[str, Any]:
    """What `find` gives of a member's end, kept in its folder, so that it is searched for once.

    Args:
        find: gives numbers by name.
        setting, size: the member's; a file of another one is refused.
        how: as `helpers.experiments.protocol.How` says, the seed and the folder being the member's.

    Raises:
        ValueError, Paused: as `helpers.experiments.parts.kept`.

    >>> from helpers.experiments.imbalance import SIZES
    >>> kept_end(lambda: {"modulus": 2.0}, Setting(), SIZES["quick"], seed=0)
    {'modulus': 2.0}
    """
    run = {"setting": repr(setting), "size": repr(size), "seed": how["seed"]}
    return kept(find, in_folder(how.get("folder"), "end.pt"), run, how.get("until"))


def _norm(game: Game, point: Tensor) -> float:
    """The norm of the field; NaN where it is not finite."""
    try:
        found = float(game.vector_field(point).norm())
    except FloatingPointError:
        return float("nan")
    return found if np.isfinite(found) else float("nan")
