"""Transfer-learning experiments on images: the library behind the `tlcli` commands."""

__version__ = "0.1.0"
