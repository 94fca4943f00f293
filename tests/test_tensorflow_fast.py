"""The fast forms of layers and updates in the TensorFlow engine: the plain forms' results; and updates in bf16."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from parity_engines import Side, difference, differences, draws, random_batch, side

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install '.[tensorflow]'")

import keras
import tensorflow as tf

from stargan.config import Config
from stargan.domains import Domains, Group, LabelSet
from stargan.engine.tensorflow import fast, losses, parts, precision

DOMAINS = Domains((LabelSet("a", (Group(("x", "y", "z")), Group(("u",)))),))
SMALL = Config(
    image_size=(16, 16), width=4, blocks=1, d_layers=2, batch_size=4, device="cpu", precision="fp32",
    recipe="paper", engine="tensorflow",
)  # fmt: skip


def gradients(layer: keras.layers.Layer, apply: fast.Apply, x: tf.Tensor) -> list[np.ndarray]:
    """A layer's output, and the gradients of its input and weights."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        out = apply(layer, x)
        total = tf.reduce_sum(tf.sin(3 * out))
    weights = [variable.value for variable in layer.trainable_variables]
    return [each.numpy() for each in (out, *tape.gradient(total, [x, *weights]))]


def compare(layer: keras.layers.Layer, apply: fast.Apply, shape: tuple[int, ...]) -> None:
    x = tf.constant(np.random.default_rng(0).normal(1, 2, shape), tf.float32)
    layer(x)  # builds it
    for variable in layer.trainable_variables:
        variable.assign_add(np.random.default_rng(1).normal(0, 0.1, variable.shape))
    for ours, theirs in zip(gradients(layer, apply, x), gradients(layer, lambda layer, x: layer(x), x), strict=True):
        assert ours.shape == theirs.shape
        assert difference(ours, theirs) < 1e-4


def operations(layer: keras.layers.Layer, apply: fast.Apply, shape: tuple[int, ...]) -> set[str]:
    function = tf.function(lambda x: apply(layer, x), autograph=False)
    graph = function.get_concrete_function(tf.TensorSpec(shape, tf.float32)).graph
    return {operation.type for operation in graph.get_operations()}


def test_instance_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "LARGE", 8 * 6 * 5)
    norm = keras.layers.GroupNormalization(groups=-1, epsilon=1e-5)
    compare(norm, fast.instance_norm, (3, 8, 6, 5))
    assert "FusedBatchNormV3" in operations(norm, fast.instance_norm, (3, 8, 6, 5))
    assert "FusedBatchNormV3" not in operations(norm, fast.instance_norm, (3, 7, 6, 5))


@pytest.mark.parametrize("size", [(4, 4), (2, 6)])
def test_strided_convolution(size: tuple[int, int]) -> None:
    convolution = keras.layers.Conv2D(7, 4, 2, "same")
    compare(convolution, fast.strided, (2, *size, 48))
    assert "Conv2D" not in operations(convolution, fast.strided, (2, *size, 48))
    assert "Conv2D" in operations(convolution, fast.strided, (32, *size, 48))


def test_parts_of_a_batch_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = side(SMALL, DOMAINS)
    state = whole.engine.state()
    monkeypatch.setattr(parts, "PART_SIDE", 32)
    assert parts.size(tf.zeros((4, 16, 16, 3))) == 2
    split = side(SMALL, DOMAINS)
    split.engine.load_state(state)
    for network in ("discriminator", "generator"):
        monkeypatch.setattr(parts, "PART_SIDE", 256)
        update(whole, network)
        monkeypatch.setattr(parts, "PART_SIDE", 32)
        update(split, network)
        assert max(differences(split.engine.state(), whole.engine.state()).values()) < 1e-4
        split.engine.load_state(whole.engine.state())


def update(each: Side, network: str) -> None:
    each.update(network, random_batch(SMALL, DOMAINS), 0, 1e-4, draws(each, SMALL, network))


def test_bf16_is_used_for_all_but_the_penalty(monkeypatch: pytest.MonkeyPatch) -> None:
    full, half = side(SMALL, DOMAINS), side(replace(SMALL, precision="bf16"), DOMAINS)
    formats, penalty = [], losses.gradient_penalty

    def watched(*arguments: Any, **options: Any) -> tf.Tensor:
        formats.append({layer.compute_dtype for layer in half.engine.updates.discriminator.named.values()})
        return penalty(*arguments, **options)

    monkeypatch.setattr(losses, "gradient_penalty", watched)
    assert (full.engine.precision, half.engine.precision) == ("fp32", "bf16")
    half.engine.load_state(full.engine.state())
    for network in ("discriminator", "generator"):
        for each in (full, half):
            update(each, network)
        half.engine.load_state(full.engine.state() | {k: v for k, v in half.engine.state().items() if "losses" in k})
    expected, found = full.engine.losses(), half.engine.losses()
    assert found == pytest.approx(expected, rel=0.05, abs=0.02)
    different = {name for name in expected if found[name] != expected[name]}
    assert {"d_real", "d_fake", "d_cls", "g_fake", "g_cls", "g_rec", "classifier"} <= different
    assert formats == [{"float32"}, {"float32"}]  # when the updates were traced
    weights = half.engine.updates.generator.parameters()
    assert {weight.dtype for weight in weights.values()} == {tf.float32}


def test_auto_means_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    auto = replace(SMALL, precision="auto")
    for took, expected in ((0.1, True), (0.9, False), (50.0, False)):
        precision.cpu_is_faster_in_bf16.cache_clear()
        monkeypatch.setattr(precision, "_seconds", lambda dtype, took=took: took if dtype == tf.bfloat16 else 1.0)
        assert precision.bf16(auto) is expected
        assert precision.bf16(replace(auto, precision="bf16"))
        assert not precision.bf16(replace(auto, plain=True))
    precision.cpu_is_faster_in_bf16.cache_clear()
