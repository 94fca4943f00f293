"""What the server counts, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of one server.

    Args:
        waiting: Says how many requests are in the queue.
        kept: Says how many photos are in memory.
    """

    def __init__(self, waiting: Callable[[], int], kept: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "stargan_requests", "Requests answered", ("method", "path", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "stargan_request_seconds",
            "Time from the first byte of a request to the end of its answer",
            ("path",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.batches = Histogram(
            "stargan_batch_images",
            "Images in a batch of the generator",
            ("model",),
            buckets=BATCHES,
            registry=self.registry,
        )
        Gauge("stargan_queue", "Requests in work or waiting", registry=self.registry).set_function(waiting)
        Gauge("stargan_kept_photos", "Photos in memory", registry=self.registry).set_function(kept)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)
