"""Bulk translation on Spark: shards or files as a job, and a column of images as a column."""

import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from stargan.errors import require
from stargan.inference.bulk.images import translate_images
from stargan.inference.bulk.job import Run
from stargan.inference.bulk.parts import Done, Part, attempt
from stargan.inference.bulk.request import Request
from stargan.inference.load import load
from stargan.inference.translator import Translator

_BATCH = 64  # images of a column that come from Spark at a time

_load = cache(load)  # once for each of Spark's processes


def cluster(session: Any, model: str | Path, out: str, request: Request) -> Run:
    """Returns what translates parts on a cluster, as `run` of `bulk.translate`; each part is a task.

    Args:
        session: The session of Spark.
        model: As in `load`; all machines must find it.
        out: As in `translate_shard`; all machines must reach it.
        request: What to make of every image.
    """

    def work(tables: Iterator[Any]) -> Iterator[Any]:
        for table in tables:
            loaded = _load(model, threads=1)
            parts = map(pickle.loads, table["part"])
            table["part"] = [pickle.dumps((part, attempt(loaded, part, out, request))) for part in parts]
            yield table

    def run(parts: Sequence[Part]) -> Iterator[tuple[Part, Done]]:
        rows = [(pickle.dumps(part),) for part in parts]
        table = session.createDataFrame(rows, "part binary").repartition(len(rows))
        yield from (pickle.loads(row.part) for row in table.mapInPandas(work, "part binary").collect())

    return run


def column(model: str | Path, request: Request) -> Callable[..., Any]:
    """Returns a function of a column of encoded images, for `select` and `withColumn`.

    It returns a column of translations, see `translate_images`: null for images that cannot be read.

    Args:
        model: As in `load`; all machines must find it.
        request: What to make of every image, with one target.

    Raises:
        MissingExtraError: Spark, pandas or PyArrow is not installed.
    """
    functions = require("pyspark.ml.functions", "spark", "translate on Spark")
    types = require("pyspark.sql.types", "spark", "translate on Spark")

    def prepare() -> Callable[[np.ndarray], np.ndarray]:
        loaded = _load(model, threads=1)
        return lambda contents: _translated(loaded, contents, request)

    udf: Callable[..., Any] = functions.predict_batch_udf(prepare, return_type=types.BinaryType(), batch_size=_BATCH)
    return udf


def _translated(model: Translator, contents: np.ndarray, request: Request) -> np.ndarray:
    made = np.empty(len(contents), object)
    made[:] = translate_images(model, [content or b"" for content in contents.tolist()], request)
    return made
