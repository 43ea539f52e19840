"""Nearest neighbours on embeddings, and the statistics of comparing methods."""
