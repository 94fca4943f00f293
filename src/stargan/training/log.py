"""What a run writes down besides its weights: stats.jsonl, TensorBoard events, sample grids."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from stargan import images
from stargan.errors import require
from stargan.storage import write_bytes


class Record:
    """Writes the figures of a run; a context manager.

    Args:
        run: The run folder.
        step: Steps done before; lines of later steps, of a run that was killed, are dropped.
    """

    def __init__(self, run: Path, step: int) -> None:
        library = require("tensorboard.summary.writer.event_file_writer", "train", "write TensorBoard events")
        self.run = run
        self.path = run / "stats.jsonl"
        self._drop_after(step)
        self._file = self.path.open("a", encoding="utf-8")
        self._events = library.EventFileWriter(str(run))
        self._purge(step)

    def __enter__(self) -> "Record":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._events.close()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Adds one line of figures, and the same to TensorBoard."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        summary = self._protos().summary_pb2.Summary()
        for name, value in values.items():
            summary.value.add(tag=name, simple_value=value)
        self._event(step, summary=summary)

    def sample(self, step: int, sheet: Image.Image) -> None:
        """Keeps a sample grid as samples/step-N.png."""
        images.save(sheet, self.run / "samples" / f"step-{step:08}.png")

    def _event(self, step: int, **content: Any) -> None:
        event = self._protos().event_pb2.Event(wall_time=time.time(), step=step, **content)
        self._events.add_event(event)

    def _purge(self, step: int) -> None:
        """Tells TensorBoard to forget events of steps that are done again."""
        log = self._protos().event_pb2.SessionLog(status=self._protos().event_pb2.SessionLog.START)
        self._event(step + 1, session_log=log)

    @staticmethod
    def _protos() -> Any:
        from tensorboard.compat import proto
        from tensorboard.compat.proto import event_pb2, summary_pb2  # noqa: F401  (become attributes of proto)

        return proto

    def _drop_after(self, step: int) -> None:
        if not self.path.exists():
            return
        kept = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except ValueError:  # the line that a killed run was writing
                continue
        write_bytes(self.path, "".join(kept).encode())
