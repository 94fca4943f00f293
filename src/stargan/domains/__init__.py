"""Domains: what a model can be asked for, the layout of its labels, and requests in words."""

from stargan.domains.space import Domains, Group, Head, LabelSet

__all__ = ["Domains", "Group", "Head", "LabelSet"]
