"""Domains: the labels of a model, their layout as vectors, and requests in words."""

from stargan.domains.labels import Group, LabelSet
from stargan.domains.space import UNKNOWN, Domains, Head

__all__ = ["UNKNOWN", "Domains", "Group", "Head", "LabelSet"]
