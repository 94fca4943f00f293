"""Translating images by the million: shards into shards, files into files; here, on Ray or on Spark.

`translate_shard` and `translate_files` do the work, and know no cluster. `job.py` decides what is left to do, and
`on_ray.py` and `on_spark.py` call these functions on other machines.
"""

from stargan.inference.bulk.images import translate_images as translate_images
from stargan.inference.bulk.job import find as find
from stargan.inference.bulk.job import summary as summary
from stargan.inference.bulk.job import translate as translate
from stargan.inference.bulk.parts import Done as Done
from stargan.inference.bulk.parts import Files as Files
from stargan.inference.bulk.parts import Part as Part
from stargan.inference.bulk.parts import translate_files as translate_files
from stargan.inference.bulk.parts import translate_shard as translate_shard
from stargan.inference.bulk.request import Request as Request
