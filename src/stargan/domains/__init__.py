"""Domains: the labels of a model, their layout as vectors, and requests in words."""

from stargan.domains.space import UNKNOWN, Domains, Group, Head, LabelSet

__all__ = ["UNKNOWN", "Domains", "Group", "Head", "LabelSet"]
