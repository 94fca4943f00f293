"""Named starting points of a configuration, and where each number of them comes from.

"Paper" is Choi et al., CVPR 2018 (arXiv 1711.09020); "official" is github.com/yunjey/stargan; "taki0112" is
github.com/taki0112/StarGAN-Tensorflow. Settings that a recipe does not name are `Config`'s defaults, which are the
paper's: network sizes (tables 4 and 5), lambda_cls 1, lambda_rec 10 (section 4), lambda_gp 10 (eq. 8), Adam with betas
0.5 and 0.999, batch 16, lr 1e-4, flips with probability 0.5, five updates of D for one of G (section 5.1). The paper
does not speak of a running mean of G's weights; every recipe of a source turns it off, ours keeps it.
"""

from stargan.config.training import Config
from stargan.domains.names import suggest
from stargan.domains.presets import CELEBA_ATTRIBUTES, CELEBA_HAIR
from stargan.errors import ConfigError

RECIPES: dict[str, Config] = {
    "default": Config(),
    # Paper, section 5.1: the 178 px centre, resized to 128; 10 epochs at 1e-4, then linearly to 0 over 10 more.
    # CelebA's 202,599 pictures less 2,000 for testing are 12,537 batches of 16: 20 epochs are 250,740 updates of D.
    "celeba": Config(
        recipe="celeba",
        attributes=CELEBA_ATTRIBUTES,  # official main.py, line 83: the selected attributes by default
        exclusive=(",".join(CELEBA_HAIR),),
        crop=178,
        steps=250_740,
        ema=0.0,
    ),
    # Paper, section 5.1: 100 epochs and 100 more with decay. 4,824 pictures of RaFD, 90 % for training, are
    # 271 batches of 16: 200 epochs are 54,200 updates of D.
    "rafd": Config(recipe="rafd", crop=256, steps=54_200, ema=0.0),  # crop: official main.py, line 61
    # Paper, section 3.3: the data sets take turns. The schedule of CelebA, the larger one, for each of two sets.
    "joint": Config(recipe="joint", steps=501_480, ema=0.0),
    # Official, main.py: line 74 (200,000 updates, for every data set), 75 (decay over the last 100,000), 60 (crop 178).
    # solver.py, lines 335-338: the decay is applied every 1,000 updates, but each time by the amount that was meant for
    # one, lr / 100,000; a hundred of these leave 0.999 of the learning rate.
    "official": Config(
        recipe="official",
        attributes=CELEBA_ATTRIBUTES,
        exclusive=(",".join(CELEBA_HAIR),),
        crop=178,
        steps=200_000,
        decay_from=0.5,
        decay_every=1000,
        final_lr=0.999,
        ema=0.0,
    ),
    # taki0112, main.py: lines 12-13 (20 epochs of 10,000 updates), 18 (decay from epoch 10), 20-24 (lr, weights).
    # StarGAN.py: line 306 (falls once an epoch; the last one runs at 0.1 of the start), 319 (G at updates 1, 6, ...,
    # from a batch of its own). ops.py: line 10 (Xavier), 134 (classification averaged over the attributes, weight
    # 10: with our sum over five attributes that is 2). Its pictures are squashed to a square and, by chance of the
    # program's start, enlarged by 15 px and cut at random (utils.py); ours are cut to the centre.
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
    # Ours, for a training of hours rather than days: what won at equal processor time (docs/experiments.md). The mask
    # keeps what need not change; then more weight on the classes makes G change anything, and paint too much later on,
    # so it falls; a D whose classification is not steep asks for what can be seen, and without transposed convolutions
    # G draws fewer grids. Few updates of D for one of G, small batches and a high rate, which falls to zero, change the
    # most in a given time.
    "modern": Config(
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
    ),
    # `stargan demo --train`: what two cores of a CPU learn in less than four minutes. The mask keeps what need not
    # change from the first step on; hinge needs no penalty and one update of D for one of G, and changes more in the
    # same time; the larger reconstruction weight keeps the rest.
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

SUMMARIES = {
    "default": "the paper's networks and losses, 200,000 updates, EMA",
    "celeba": "the paper's training on CelebA",
    "rafd": "the paper's training on RaFD, facial expressions",
    "joint": "the paper's training on two data sets at once",
    "official": "the authors' code, github.com/yunjey/stargan",
    "taki0112": "the TensorFlow code, github.com/taki0112/StarGAN-Tensorflow",
    "modern": "our best for a training of hours, not days",
    "demo": "a small model in a few minutes, 32 pixels",
}
"""One line for each recipe, for the help."""


def recipe(name: str) -> Config:
    """The settings of a named recipe.

    Raises:
        ConfigError: There is none of that name.
    """
    if name not in RECIPES:
        raise ConfigError(f"--recipe {name}: unknown{suggest(name, list(RECIPES))}")
    return RECIPES[name]
