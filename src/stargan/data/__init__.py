"""Labelled images: data sets on disk, the cache of decoded images, batches, and cartoon faces."""
