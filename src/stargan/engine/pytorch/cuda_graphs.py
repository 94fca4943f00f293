"""Updates as CUDA graphs: recorded once, then replayed with one launch instead of thousands."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]
Update = Callable[[Tensors], dict[str, Tensor]]

WARM_UPS = 3  # eager calls before recording: libraries select kernels, compilers run, Adam allocates its state


class Recorder:
    """Runs updates of fixed shapes: the first few calls eagerly, later ones as recorded CUDA graphs.

    A graph repeats the work of the device and runs no Python. So an update must do the same work at every call, read
    everything that changes from its tensors, and never wait for the device. The graphs share one memory pool, since no
    two of them run at once. Their results stay valid until the same update runs again.
    """

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()
        self.pool = torch.cuda.graph_pool_handle()
        self.calls: dict[str, int] = {}
        self.recordings: dict[str, Recording] = {}

    def __call__(self, name: str, update: Update, tensors: Tensors) -> dict[str, Tensor]:
        """Runs an update.

        Args:
            name: Identifies the update; calls with the same name must pass tensors of the same shapes.
            update: Takes the tensors, changes weights in place and returns the tensors to be read later.
            tensors: The inputs by name.

        Returns:
            The result of `update`, by name.
        """
        if name in self.recordings:
            return self.recordings[name](tensors)
        self.calls[name] = self.calls.get(name, 0) + 1
        if self.calls[name] <= WARM_UPS:
            return self._run_eagerly(update, tensors)
        self.recordings[name] = self._record(update, tensors)
        return self.recordings[name](tensors)

    def forget(self) -> None:
        """Discards all recordings. Call this when tensors that they use have been replaced by others."""
        self.calls.clear()
        self.recordings.clear()
        self.pool = torch.cuda.graph_pool_handle()  # a pool that all its graphs have left cannot be used again

    def _run_eagerly(self, update: Update, tensors: Tensors) -> dict[str, Tensor]:
        """Runs an update without a graph, on the side stream, as CUDA requires of warm-up calls."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            outputs = update(tensors)
        torch.cuda.current_stream().wait_stream(self.stream)
        return outputs

    def _record(self, update: Update, tensors: Tensors) -> "Recording":
        inputs = {name: tensor.clone() for name, tensor in tensors.items()}
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            outputs = update(inputs)
        return Recording(graph.replay, inputs, outputs)


class Recording:
    """One recorded update.

    Args:
        replay: Runs the graph, which reads the inputs and writes the outputs.
        inputs: The tensors that the graph reads, by name.
        outputs: The tensors that the graph writes, by name.
    """

    def __init__(self, replay: Callable[[], None], inputs: Tensors, outputs: dict[str, Tensor]) -> None:
        self.replay, self.inputs, self.outputs = replay, inputs, outputs

    def __call__(self, tensors: Tensors) -> dict[str, Tensor]:
        """Copies the tensors into the inputs, runs the graph and returns its outputs."""
        for name, tensor in tensors.items():
            self.inputs[name].copy_(tensor)
        self.replay()
        return self.outputs
