"""Updates as CUDA graphs: recorded once, then replayed by one call in place of thousands of small ones."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]
Update = Callable[[Tensors], dict[str, Tensor]]

WARM_UPS = 3  # calls that are done as ever: libraries choose their kernels, compilers compile, Adam makes its slots


class Recorder:
    """Does updates that always have the same shapes, the first few as ever, then as recordings.

    A recording repeats what the device did, not what Python said: an update must do the same work at every call, take
    all that changes from its tensors, and wait for nothing. The graphs share one pool of memory, since no two of them
    run at once; their results stay valid until the same update is done again.
    """

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()
        self.pool = torch.cuda.graph_pool_handle()
        self.calls: dict[str, int] = {}
        self.recordings: dict[str, Recording] = {}

    def __call__(self, name: str, update: Update, tensors: Tensors) -> dict[str, Tensor]:
        """Does the update of that name.

        Args:
            name: The same for the same update, of tensors of the same shapes.
            update: Takes the tensors, changes weights, returns what is to be read later.
            tensors: By name.
        """
        if name in self.recordings:
            return self.recordings[name](tensors)
        self.calls[name] = self.calls.get(name, 0) + 1
        if self.calls[name] <= WARM_UPS:
            return self._aside(update, tensors)
        self.recordings[name] = self._record(update, tensors)
        return self.recordings[name](tensors)

    def forget(self) -> None:
        """Begins anew: for when tensors that the recordings know have been replaced by others."""
        self.calls.clear()
        self.recordings.clear()
        self.pool = torch.cuda.graph_pool_handle()  # no graph may join a pool that all others have left

    def _aside(self, update: Update, tensors: Tensors) -> dict[str, Tensor]:
        """On a stream of its own, as what is recorded must have been done before."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            found = update(tensors)
        torch.cuda.current_stream().wait_stream(self.stream)
        return found

    def _record(self, update: Update, tensors: Tensors) -> "Recording":
        inputs = {name: tensor.clone() for name, tensor in tensors.items()}
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            outputs = update(inputs)
        return Recording(graph.replay, inputs, outputs)


class Recording:
    """One update, recorded.

    Args:
        replay: Repeats it, from the inputs into the outputs.
        inputs: Where it reads.
        outputs: Where it writes.
    """

    def __init__(self, replay: Callable[[], None], inputs: Tensors, outputs: dict[str, Tensor]) -> None:
        self.replay, self.inputs, self.outputs = replay, inputs, outputs

    def __call__(self, tensors: Tensors) -> dict[str, Tensor]:
        """Does it once more, with other tensors."""
        for name, tensor in tensors.items():
            self.inputs[name].copy_(tensor)
        self.replay()
        return self.outputs
