"""What changes in the course of a training: the learning rate and the weight of the classification loss."""

from stargan.config.training import Config


def learning_rate(config: Config, step: int) -> float:
    """The learning rate at one step: constant, then linear towards `final_lr` of it, in stairs of `decay_every`."""
    start = config.decay_from * config.steps
    stair = step // config.decay_every * config.decay_every
    if stair < start or config.steps <= start:
        return config.lr
    share = min((stair - start) / (config.steps - start), 1.0)
    return config.lr * (1 - share * (1 - config.final_lr))


def class_weight(config: Config, step: int) -> float:
    """The weight of the classification loss at one step: from `lambda_cls` linearly to `final_cls` of it."""
    return config.lambda_cls * (1 - step / config.steps * (1 - config.final_cls))
