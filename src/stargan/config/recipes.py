"""Named sets of settings, with the source of each number.

"Paper" is Choi et al., CVPR 2018 (arXiv 1711.09020); "official" is github.com/yunjey/stargan; "taki0112" is
github.com/taki0112/StarGAN-Tensorflow. Settings that a recipe does not name have `Config`'s defaults, which are the
paper's: network sizes (tables 4 and 5), lambda_cls 1, lambda_rec 10 (section 4), lambda_gp 10 (eq. 8), Adam with betas
0.5 and 0.999, batch 16, lr 1e-4, flips with probability 0.5, five updates of D per update of G (section 5.1). The paper
does not mention an EMA of G's weights, so the recipes taken from a source turn it off; our own keep it.
"""

from collections.abc import Iterable
from dataclasses import replace

from stargan import old_names
from stargan.config.architecture import EDIT_SIDES, fitting_size
from stargan.config.training import Config
from stargan.domains.names import suggest
from stargan.domains.presets import CELEBA_ATTRIBUTES, CELEBA_HAIR
from stargan.errors import ConfigError

# Ours, for hours of training instead of days: the best settings at equal processor time (docs/experiments.md). The
# attention mask keeps what need not change. With it, G needs a larger classification weight to change anything at all;
# that weight falls because G would otherwise paint too much later on. The penalty on the gradient of D's classification
# makes G produce changes that people can see, and resize convolutions reduce checkerboard patterns. Few updates of D
# per update of G, small batches and a high learning rate that falls to zero achieve the most in a given time.
_MODERN = Config(
    recipe="modern",
    attention_mask=True,
    resize_conv=True,
    batch_size=8,
    steps=100_000,
    n_critic=2,
    lambda_cls=10.0,
    final_cls=0.5,
    lambda_cls_gp=20.0,
    lr=5e-4,
)

# CycleGAN (Zhu et al. 2017, arXiv 1703.10593), sections 3.3, 4 and 7: 9 residual blocks for 256 pixels (6 for 128),
# 70x70 PatchGANs, least squares, cycle weight 10, identity weight 0.5 times that, a buffer of 50 translations,
# batches of one image of each domain, Adam at 2e-4, weights from N(0, 0.02). Its 200 epochs, the second half with a
# linear decay, are 267,000 updates on horse2zebra (1,067 and 1,334 images).
_CYCLEGAN = Config(
    recipe="cyclegan",
    method="cyclegan",
    image_size=(256, 256),
    blocks=9,
    d_layers=3,
    batch_size=1,
    n_critic=1,
    objective="lsgan",
    lambda_identity=0.5,
    buffer=50,
    init="normal",
    lr=2e-4,
    ema=0.0,
)

RECIPES: dict[str, Config] = {
    "paper": Config(),
    # Paper, section 5.1: the central 178 px, resized to 128; 10 epochs at 1e-4, then linear decay to 0 over 10 more.
    # The central 178 of CelebA's 178x218 px are as much as fits, which is the default (official main.py, line 60).
    # CelebA's 202,599 images minus 2,000 for testing are 12,537 batches of 16; 20 epochs are 250,740 updates of D.
    "celeba": Config(
        recipe="celeba",
        attributes=CELEBA_ATTRIBUTES,  # official main.py, line 83: the selected attributes by default
        exclusive=(",".join(CELEBA_HAIR),),
        steps=250_740,
        ema=0.0,
    ),
    # Paper, section 5.1: 100 epochs and 100 more with decay. 90 % of RaFD's 4,824 images are for training, which makes
    # 271 batches of 16; 200 epochs are 54,200 updates of D. The photos are cut to 256x256 beforehand, with the faces in
    # the centre, so that official main.py, line 61 (crop 256), is as much as fits.
    "rafd": Config(recipe="rafd", steps=54_200, ema=0.0),
    # Paper, section 3.3: the data sets take turns. Each of the two sets gets the schedule of CelebA, the larger one.
    "joint": Config(recipe="joint", steps=501_480, ema=0.0),
    # Official, main.py: line 74 (200,000 updates, for every data set), 75 (decay over the last 100,000), 60 (crop 178,
    # which is as much as fits in CelebA's images).
    # solver.py, lines 335-338: the decay is applied every 1,000 updates, but each time by the amount intended for a
    # single update, lr / 100,000. After a hundred of these, 0.999 of the learning rate remains.
    "official": Config(
        recipe="official",
        attributes=CELEBA_ATTRIBUTES,
        exclusive=(",".join(CELEBA_HAIR),),
        steps=200_000,
        decay_from=0.5,
        decay_every=1000,
        final_lr=0.999,
        ema=0.0,
    ),
    # taki0112, main.py: lines 12-13 (20 epochs of 10,000 updates), 18 (decay from epoch 10), 20-24 (lr, weights).
    # StarGAN.py: line 306 (lr falls once per epoch; the last epoch runs at 0.1 of the initial lr), 319 (G at updates
    # 1, 6, ..., on its own batch). ops.py: line 10 (Xavier), 134 (classification averaged over the attributes with
    # weight 10, which equals weight 2 for our sum over five attributes). It squashes images to a square and, depending
    # on one random draw at the start of the program, enlarges them by 15 px and crops at random (utils.py); ours are
    # centre-cropped.
    "taki0112": Config(
        recipe="taki0112",
        attributes=CELEBA_ATTRIBUTES,
        exclusive=(",".join(CELEBA_HAIR),),
        steps=200_000,
        decay_from=0.5,
        decay_every=10_000,
        final_lr=0.0,
        lambda_cls=2.0,
        g_first=True,
        g_own_batch=True,
        init="xavier",
        ema=0.0,
    ),
    "modern": _MODERN,
    # Ours, for larger images, see docs/scale.md. The networks of `modern` for 128 pixels, so that its models can start
    # these. D pools its classification; with the seven or eight layers that would otherwise fit these sizes, it would
    # have 179 or 716 million weights instead of 45.
    "modern-256": replace(_MODERN, recipe="modern-256", image_size=(256, 256), cls_pooling=True),
    "modern-512": replace(_MODERN, recipe="modern-512", image_size=(512, 512), cls_pooling=True, batch_size=4),
    # Ours, the default: an edit generator and a discriminator that looks through a pretrained network. Rates, weights
    # and their reasons: docs/training.md.
    "edit": Config(
        recipe="edit",
        generator="edit",
        details=32,
        palette=True,
        blocks=3,
        discriminator="projected",
        targets="changes",
        rare=4.0,
        batch_size=8,
        steps=40_000,
        n_critic=1,
        warm_up=200,
        objective="hinge",
        augment=True,
        lambda_cls=0.9,
        lambda_rec=5.0,
        lambda_change=0.35,
        lr=4e-4,
        beta1=0.0,
        beta2=0.99,
        decay_from=0.8,
        final_lr=0.1,
        ema=0.999,
    ),
    # Ours, for `stargan distill`: an edit generator with an eleventh of the multiplications of `edit`.
    "student": Config(
        recipe="student",
        generator="edit",
        width=16,
        blocks=6,
        details=0,
        palette=True,
        targets="changes",
        batch_size=16,
        steps=20_000,
        n_critic=1,
        objective="hinge",
        lambda_cls=0.2,
        lambda_rec=50.0,
        lr=1e-3,
        decay_from=0.3,
        ema=0.998,
    ),
    "cyclegan": _CYCLEGAN,
    # DIAT (Li et al. 2016, arXiv 1610.05586) for both directions: an adversarial loss, and no way back. Instead,
    # translations keep D's features of the image. Networks, optimizer and weights are ours: CycleGAN's.
    "diat": replace(_CYCLEGAN, recipe="diat", lambda_rec=0.0, lambda_identity=0.0, lambda_features=1.0),
    # pix2pix (Isola et al. 2017, arXiv 1611.07004), sections 3 and 6: a U-Net with eight levels for 256 pixels, a 70x70
    # PatchGAN that also sees the image to translate, weight 100 for the distance to the truth, batches of one pair,
    # Adam at 2e-4, weights from N(0, 0.02). 200 epochs of 400 facades are 80,000 updates. The linear decay over their
    # second half is that of the authors' PyTorch code.
    "pix2pix": Config(
        recipe="pix2pix",
        method="pix2pix",
        image_size=(256, 256),
        blocks=8,
        d_layers=3,
        batch_size=1,
        n_critic=1,
        objective="gan",
        lambda_rec=100.0,
        init="normal",
        steps=80_000,
        lr=2e-4,
        ema=0.0,
    ),
    # For `stargan demo --train`: two CPU cores learn this in less than four minutes. The attention mask keeps what need
    # not change from the first step on. The hinge objective needs no penalty and only one update of D per update of G,
    # and changes more in the same time; the larger reconstruction weight preserves the rest.
    "demo": Config(
        recipe="demo",
        image_size=(32, 32),
        width=16,
        blocks=3,
        d_layers=4,
        attention_mask=True,
        batch_size=8,
        steps=3600,
        n_critic=1,
        objective="hinge",
        lambda_rec=50.0,
        lr=1e-3,
        ema=0.99,
        targets="balanced",
        sample_every=500,
        checkpoint_every=500,
    ),
}

DEFAULT = "edit"
"""The recipe for people's own data: one data set, square images of 64, 128, 256 or 512 pixels."""

OTHERWISE = "modern"
"""The recipe for people's own data where `DEFAULT` cannot train."""

FOR_SIZES = {256: "modern-256", 512: "modern-512"}
"""The recipes instead of `OTHERWISE`, by the shorter side from which on they are the default."""

OF_METHOD: dict[str, str] = {"stargan": DEFAULT, "cyclegan": "cyclegan", "pix2pix": "pix2pix"}
"""The recipe of each method."""

SUMMARIES = {
    "edit": "our best for your own data, with an edit generator",
    "modern": "our best for several data sets at once and for other image sizes",
    "modern-256": "the same from 256 pixels on",
    "modern-512": "the same from 512 pixels on",
    "student": "a small generator that learns from a --teacher; stargan distill selects it",
    "demo": "a small model in a few minutes, 32 pixels",
    "paper": "the paper's networks and losses, 200,000 updates, EMA",
    "celeba": "the paper's training on CelebA",
    "rafd": "the paper's training on RaFD, facial expressions",
    "joint": "the paper's training on two data sets at once",
    "official": "the authors' code, github.com/yunjey/stargan",
    "taki0112": "the TensorFlow code, github.com/taki0112/StarGAN-Tensorflow",
    "cyclegan": "CycleGAN's paper: two domains, unpaired images",
    "diat": "as CycleGAN, but D's features are kept instead of the way back",
    "pix2pix": "pix2pix's paper: pairs of images",
}
"""One line for each recipe, for the help."""


def recipe(name: str) -> Config:
    """Returns the settings of a recipe.

    Raises:
        ConfigError: There is no recipe with that name.
    """
    known = old_names.RECIPES.get(name, name)
    if known not in RECIPES:
        raise ConfigError(f"--recipe {name}: unknown{suggest(name, list(RECIPES))}")
    return RECIPES[known]


def base(
    name: str | None,
    method: str | None = None,
    size: tuple[int, int] | None = None,
    *,
    generator: str | None = None,
    discriminator: str | None = None,
    sets: int = 1,
) -> Config:
    """Returns the settings to start from: of the recipe `name`, by default the one that fits the other settings.

    Args:
        name: The recipe, if one is given.
        method: The method, if one is given.
        size: The image size, (width, height), if one is given.
        generator: The generator, if one is given.
        discriminator: The discriminator, if one is given.
        sets: The number of data sets.

    Raises:
        ConfigError: There is no such recipe, or it is for another method.
    """
    if name is None:
        own = OF_METHOD.get(method or "stargan", DEFAULT)
        able = sets == 1 and generator in (None, "edit") and discriminator in (None, "projected")
        becomes = fitting_size(size or Config.image_size, "stargan")  # 63 pixels become 64, for which there is `edit`
        return RECIPES[_for_data(becomes, able, generator) if own == DEFAULT else own]
    found = recipe(name)
    if method in OF_METHOD and method != found.method:
        raise ConfigError(f"--recipe {name}: is for --method {found.method}; leave it out with --method {method}")
    return found


def _for_data(size: tuple[int, int], able: bool, generator: str | None) -> str:
    """The recipe for people's own data. `able` is whether `DEFAULT` can train it if the image size fits, too."""
    if able and (generator == "edit" or (size[0] == size[1] and size[0] in EDIT_SIDES)):  # other sizes are fitted
        return DEFAULT
    return [OTHERWISE, *(name for side, name in FOR_SIZES.items() if min(size) >= side)][-1]


def why_not_default(name: str | None, base: Config, given: Iterable[str | None]) -> str:
    """What to tell the user where `base` chose another recipe than `DEFAULT`; empty where it did not.

    Args:
        name: The recipe, if one is given.
        base: The settings that were chosen.
        given: The generator and the discriminator, if they are given: then the user knows.
    """
    if name is not None or base.recipe not in (OTHERWISE, *FOR_SIZES.values()) or any(given):
        return ""
    *some, last = map(str, EDIT_SIDES)
    sides = f"{', '.join(some)} or {last}"
    return f"recipe {base.recipe}; {DEFAULT}, the default, needs one data set and square images of {sides} pixels"


def layers_for(base: Config, fitting: int) -> int:
    """Returns the layers of D for another image size, for which `fitting` are usual.

    A D that takes any size keeps those of the recipe `base`, unless they are too many.
    """
    if base.method != "stargan":
        return base.d_layers
    any_size = base.cls_pooling or base.discriminator == "projected"  # here, only the attribute classifier has them
    return min(base.d_layers, fitting) if any_size else fitting
