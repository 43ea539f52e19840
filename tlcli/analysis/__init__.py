"""Nearest neighbours on embeddings, and the statistics of comparing methods."""

from tlcli.analysis import knn, statistics

__all__ = ["knn", "statistics"]
