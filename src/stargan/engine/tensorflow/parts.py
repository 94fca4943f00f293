"""Parts of a batch, which go through G one after the other.

The result of an image does not depend on the others, and every term of G's loss is a mean over images. Fewer
activations have to be kept, and feature maps stay in the cache.
"""

from collections.abc import Callable, Mapping

import tensorflow as tf

PART_SIDE = 256
"""Sum of the sides of the images in a part: two images of 128 px, four of 64 px."""

Found = tuple[dict[str, tf.Tensor], list[tf.Tensor]]


def size(images: tf.Tensor) -> int:
    """Images in a part, which divides (N, H, W, 3) images evenly."""
    count, height, width = images.shape[:3]
    most = max(1, PART_SIDE // max(height, width))
    return max(each for each in range(1, min(most, count) + 1) if count % each == 0)


def join(network: Callable[..., tf.Tensor], size: int, *tensors: tf.Tensor) -> tf.Tensor:
    """Applies a network to the parts of some tensors, and joins its results."""
    count = tensors[0].shape[0]
    if size == count:
        return network(*tensors)
    split = tuple(tf.reshape(tensor, (count // size, size, *tensor.shape[1:])) for tensor in tensors)
    joined = tf.map_fn(lambda part: network(*part), split, parallel_iterations=1, fn_output_signature=tf.float32)
    return tf.reshape(joined, (count, *joined.shape[2:]))


def mean(compute: Callable[[Mapping[str, tf.Tensor]], Found], tensors: Mapping[str, tf.Tensor], size: int) -> Found:
    """The mean over the parts of some terms and their gradients.

    Args:
        compute: Returns them for a part.
        tensors: What is split, each along its first axis.
        size: Images in a part.
    """
    count = tensors["images"].shape[0] // size
    if count == 1:
        return compute(tensors)
    split = {name: tf.reshape(each, (count, size, *each.shape[1:])) for name, each in tensors.items()}

    def part(index: tf.Tensor | int) -> Found:
        terms, gradients = compute({name: each[index] for name, each in split.items()})
        return {name: term / count for name, term in terms.items()}, [each / count for each in gradients]

    def add(index: tf.Tensor, *sums: tf.Tensor) -> list[tf.Tensor]:
        return [index + 1, *(a + b for a, b in zip(sums, tf.nest.flatten(part(index)), strict=True))]

    first = part(0)
    _, *sums = tf.while_loop(
        lambda index, *_: index < count, add, [tf.constant(1), *tf.nest.flatten(first)], parallel_iterations=1
    )
    found: Found = tf.nest.pack_sequence_as(first, sums)
    return found
