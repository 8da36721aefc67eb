"""Masks to clinical numbers."""
