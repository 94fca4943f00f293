"""Schedules of the learning rate and of the weight of the classification loss, over steps or over a time budget."""

from stargan.config.training import Config


def position(config: Config, step: int, seconds: float) -> int:
    """Returns where the schedules are, in steps; at `config.steps` they end, and the training with them.

    That is the step itself. If `minutes` run out before the steps, it is the same share of all steps as `seconds` of
    training are of the minutes.
    """
    if config.minutes is None:
        return step
    return max(step, int(config.steps * (seconds / (60 * config.minutes))))


def learning_rate(config: Config, step: int) -> float:
    """Returns the learning rate at a step.

    It is constant at first, then falls linearly to `final_lr` times its value, in steps of `decay_every` updates.
    """
    start = config.decay_from * config.steps
    last_change = step // config.decay_every * config.decay_every
    if last_change < start or config.steps <= start:
        return config.lr
    progress = min((last_change - start) / (config.steps - start), 1.0)
    return config.lr * (1 - progress * (1 - config.final_lr))


def class_weight(config: Config, step: int) -> float:
    """Returns the weight of the classification loss at a step.

    It changes linearly from `lambda_cls` to `final_cls` times that value.
    """
    return config.lambda_cls * (1 - step / config.steps * (1 - config.final_cls))
