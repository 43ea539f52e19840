"""Sources of images, and the datasets that are cut from them."""

from tlcli.data import classes
from tlcli.data.classes import ClassExpression
from tlcli.data.digit_halves import write_mat
from tlcli.data.joining import join
from tlcli.data.loading import load_source
from tlcli.data.naming import default_name
from tlcli.data.source import Source, SourceInfo, class_part, published_classes, sources
from tlcli.data.splitting import split
from tlcli.store.records import Part

__all__ = [
    "ClassExpression",
    "Part",
    "Source",
    "SourceInfo",
    "class_part",
    "classes",
    "default_name",
    "join",
    "load_source",
    "published_classes",
    "sources",
    "split",
    "write_mat",
]
