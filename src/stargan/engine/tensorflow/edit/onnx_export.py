"""The ONNX graph of an edit generator, written layer by layer from its arrays."""

import numpy as np

from stargan.config import Architecture
from stargan.config.architecture import DETAIL_CHANNELS
from stargan.engine.edit_constants import GRAY, GRID, GROUPS, MAPS, PALETTE, SLOPE
from stargan.engine.tensorflow.onnx_graph import Arrays, Graph


def edit_generator(architecture: Architecture, num_labels: int, weights: Arrays, half: bool) -> bytes:
    """Writes the graph from `images` and `change` to `translated`, which `EditGenerator.call` describes."""
    side = architecture.image_size[0]
    graph = _EditGraph(weights, half)
    graph.embedded = graph.active(graph.product("change", "embed"))
    first = graph.active(graph.layer(graph.folded("images", side, side // GRID), "stem"))
    second = graph.active(graph.group_norm(graph.layer(first, "down1", stride=2), "norm1", GROUPS))
    x = graph.layer(second, "down2", stride=2)
    for index in range(architecture.blocks):
        x = graph.residual(x, f"blocks.{index}")
    x = graph.active(graph.modulation(x, "norm2"))
    x = middle = graph.residual(graph.up(x, second, "up1"), "middle")
    x = graph.up(x, first, "up2")
    drawn = ["last", "gray", "paint"] if architecture.palette else ["last"]
    maps = graph.joined(*(graph.layer(x, name) for name in drawn))
    maps = graph.softened(graph.unfolded(maps, MAPS // GRID), 6 + len(drawn))
    if architecture.palette:
        maps = graph.painted(maps, graph.colours(middle, side))
    enlarge = side // MAPS
    if enlarge > 1:
        maps = graph.resized(maps, enlarge, "linear")
    parts = graph.split(maps, 7, 1) if architecture.palette else [maps]
    if architecture.details:
        parts[0] = graph.node("Add", parts[0], graph.details(x, side, enlarge))
    inputs: dict[str, list[int | str]] = {"images": ["batch", 3, side, side], "change": ["batch", num_labels]}
    return graph.finish(graph.edited(*parts), "translated", ["batch", 3, side, side], inputs)


class _EditGraph(Graph):
    """The parts of an edit generator, each as in `EditGenerator`.

    Attributes:
        embedded: The embedded change.
    """

    embedded = ""

    def layer(self, x: str, name: str, *, stride: int = 1) -> str:
        """A convolution, with bias if it has one."""
        padding = (self.shape(f"{name}.weight")[2] - 1) // 2
        return self.convolution(x, name, bias=self.has(f"{name}.bias"), pads=[padding] * 4, strides=[stride, stride])

    def product(self, x: str, name: str) -> str:
        """A matrix product."""
        return self.node("Gemm", x, self.weight(f"{name}.weight"), transB=1)

    def planes(self, x: str) -> str:
        """(N, C) as (N, C, 1, 1)."""
        return self.node("Unsqueeze", x, self.constant(np.array([2, 3])))

    def active(self, x: str) -> str:
        """The leaky ReLU."""
        return self.node("LeakyRelu", x, alpha=SLOPE)

    def group_norm(self, x: str, name: str, groups: int) -> str:
        """A group normalisation, by the instance normalisation of each group."""
        channels = self.shape(f"{name}.weight")[0]
        ones, zeros = (self.constant(np.full(groups, value, np.float32)) for value in (1, 0))
        flat = self.node("Reshape", x, self.constant(np.array([0, groups, -1])))
        flat = self.node("InstanceNormalization", flat, ones, zeros, epsilon=1e-5)
        back = self.node("Reshape", flat, self.node("Shape", x))
        scale, shift = (
            self.node("Reshape", self.weight(f"{name}.{kind}"), self.constant(np.array([channels, 1, 1])))
            for kind in ("weight", "bias")
        )
        return self.node("Add", self.node("Mul", back, scale), shift)

    def modulation(self, x: str, name: str, groups: int = GROUPS) -> str:
        """A group norm whose scale and shift depend on the embedded change."""
        channels = self.shape(f"{name}.norm.weight")[0]
        both = self.planes(self.product(self.embedded, f"{name}.affine"))
        scale, shift = self.nodes_of("Split", [both, self.constant(np.array([channels, channels]))], 2, axis=1)
        factor = self.node("Add", scale, self.constant(np.array(1, np.float32)))
        return self.node("Add", self.node("Mul", self.group_norm(x, f"{name}.norm", groups), factor), shift)

    def residual(self, x: str, name: str) -> str:
        """A residual block."""
        inner = self.layer(self.active(self.modulation(x, f"{name}.norm1")), f"{name}.first")
        return self.node("Add", x, self.layer(self.active(self.modulation(inner, f"{name}.norm2")), f"{name}.second"))

    def up(self, x: str, kept: str, name: str) -> str:
        """Doubles the size, with features of the encoder."""
        x = self.resized(self.layer(x, f"{name}.reduce"), 2, "nearest")
        gate = self.layer(self.node("Concat", x, kept, axis=1), f"{name}.gate")
        gate = self.node("Sigmoid", self.node("Add", gate, self.planes(self.product(self.embedded, f"{name}.label"))))
        joined = self.node("Concat", x, self.node("Mul", kept, gate), axis=1)
        return self.active(self.modulation(self.layer(joined, f"{name}.mix"), f"{name}.norm"))

    def colours(self, x: str, side: int) -> str:
        """Colours from elsewhere in the image, by attention to its cells."""
        cells = GRID // 2
        part = side // cells
        colours = self.node("AveragePool", "images", kernel_shape=[part, part], strides=[part, part])
        flat = [
            self.node("Reshape", each, self.constant(np.array([0, channels, cells**2])))
            for each, channels in (
                (self.layer(x, "palette.query"), PALETTE),
                (self.layer(x, "palette.key"), PALETTE),
                (colours, 3),
            )
        ]
        likeness = self.node("MatMul", self.node("Transpose", flat[0], perm=[0, 2, 1]), flat[1])
        likeness = self.node("Mul", likeness, self.constant(np.array(PALETTE**-0.5, np.float32)))
        weights = self.node("Transpose", self.node("Softmax", likeness, axis=2), perm=[0, 2, 1])
        mixed = self.node(
            "Reshape", self.node("MatMul", flat[2], weights), self.constant(np.array([0, 3, cells, cells]))
        )
        return self.resized(mixed, MAPS // cells, "linear")

    def painted(self, maps: str, colours: str) -> str:
        """Adds the colours, times the last map, to the offsets."""
        others, offset, gray, paint = self.split(maps, 4, 3, 1, 1)
        return self.joined(others, self.node("Add", offset, self.node("Mul", paint, colours)), gray)

    def details(self, x: str, side: int, enlarge: int) -> str:
        """Details at the full size of the image."""
        seen = self.active(self.layer(self.folded("images", side, enlarge), "refine.look"))
        known = self.resized(self.layer(x, "refine.reduce"), MAPS // GRID, "nearest")
        mixed = self.layer(self.node("Concat", seen, known, axis=1), "refine.mix")
        mixed = self.active(self.modulation(mixed, "refine.norm", DETAIL_CHANNELS))
        return self.softened(self.unfolded(self.layer(mixed, "refine.last"), enlarge), 7)

    def edited(self, maps: str, amount: str = "") -> str:
        """x + m (tanh(g x + o) - x), where o has the amount of the gray of x, if there is one."""
        mask, gain, offset = self.split(maps, 1, 3, 3)
        if amount:
            weights = self.constant(np.array(GRAY, np.float32).reshape(1, 3, 1, 1))
            gray = self.node("Conv", "images", weights, kernel_shape=[1, 1])
            offset = self.node("Add", offset, self.node("Mul", amount, gray))
        gain = self.node("Add", gain, self.constant(np.array(1, np.float32)))
        drawn = self.node("Tanh", self.node("Add", self.node("Mul", gain, "images"), offset))
        change = self.node("Mul", self.node("Sigmoid", mask), self.node("Sub", drawn, "images"))
        return self.node("Add", "images", change)

    def joined(self, *parts: str) -> str:
        """One after the other along the channels."""
        return self.node("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]

    def split(self, x: str, *channels: int) -> list[str]:
        """The inverse of `joined`."""
        return self.nodes_of("Split", [x, self.constant(np.array(channels))], len(channels), axis=1)

    # ---------------------------------------------------------------- pixels

    def folded(self, images: str, side: int, factor: int) -> str:
        """Turns cells of pixels into channels."""
        cells = side // factor
        x = self.node("Reshape", images, self.constant(np.array([0, 3, cells, factor, cells, factor])))
        x = self.node("Transpose", x, perm=[0, 1, 3, 5, 2, 4])
        return self.node("Reshape", x, self.constant(np.array([0, 3 * factor**2, cells, cells])))

    def unfolded(self, cells: str, factor: int) -> str:
        """The inverse of `folded`."""
        return self.node("DepthToSpace", cells, blocksize=factor, mode="CRD")

    def softened(self, maps: str, count: int) -> str:
        """Weights 1, 2, 1 in each direction."""
        x = self.node("Pad", maps, self.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1])), mode="edge")
        line = np.array([1, 2, 1], np.float32) / 4
        kernel = self.constant(np.tile(np.outer(line, line), (count, 1, 1, 1)))
        return self.node("Conv", x, kernel, kernel_shape=[3, 3], group=count)  # quicker than average pools

    def resized(self, x: str, factor: int, mode: str) -> str:
        """Enlarges by repeating pixels, or linearly."""
        scales = self.constant(np.array([1, 1, factor, factor], np.float32))
        if mode == "nearest":
            how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        else:
            how = {"coordinate_transformation_mode": "half_pixel"}
        return self.node("Resize", x, "", scales, mode=mode, **how)
