"""Public data sets as they are published, and the cohorts that they become."""

from weakmask.datasets.public.registry import PublicSet, public_set, public_sets, read_public

__all__ = ["PublicSet", "public_set", "public_sets", "read_public"]
