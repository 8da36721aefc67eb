"""Segmentation networks from the weak labels that radiologists already write down."""

__version__ = "0.1.0"
