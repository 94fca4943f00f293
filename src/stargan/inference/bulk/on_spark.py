"""Bulk translation on Spark: shards or files as a job, and a column of images as a column."""

import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from stargan.errors import require
from stargan.inference.bulk.images import translate_images
from stargan.inference.bulk.job import Run
from stargan.inference.bulk.parts import Done, Part, attempt
from stargan.inference.bulk.request import Request
from stargan.inference.load import load
from stargan.inference.translator import Translator


@cache
def _load(model: str | Path) -> Translator:
    """Loads a model once for each of Spark's processes, which have one processor each."""
    return load(model, threads=1)


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
            loaded = _load(model)
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

    It returns a column of translations, see `translate_images`: null for images that cannot be read. It is a
    `pandas_udf`, since `predict_batch_udf` cannot return bytes. Of each batch that Spark hands over
    (`spark.sql.execution.arrow.maxRecordsPerBatch`), all translations are in memory.

    Args:
        model: As in `load`; all machines must find it.
        request: What to make of every image, with one target.

    Raises:
        MissingExtraError: Spark, pandas or PyArrow is not installed.
    """
    functions = require("pyspark.sql.functions", "spark", "translate on Spark")
    pandas = require("pandas", "spark", "translate on Spark")

    def translated(contents: Any) -> Any:
        return pandas.Series(translate_images(_load(model), [content or b"" for content in contents], request))

    translated.__annotations__ = {"contents": pandas.Series, "return": pandas.Series}  # which Spark reads
    udf: Callable[..., Any] = functions.pandas_udf(translated, "binary")
    return udf
