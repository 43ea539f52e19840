"""The architectures, built by name. Importing this package needs no Keras; building a network does."""

from __future__ import annotations

from tlcli.environment import set_environment
from tlcli.models.registry import Architecture, architecture, architectures, parse_options

__all__ = ["Architecture", "architecture", "architectures", "parameter_counts", "parse_options"]

set_environment()


def parameter_counts(
    name: str,
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
    options: dict[str, object] | None = None,
) -> tuple[int, int]:
    """Parameters of an architecture, in all and trainable, as built for images and classes.

    Args:
        name: A registered architecture.
        input_shape: Height, width, channels; by default what it was made for.
        classes: Likewise.
        options: The architecture's options.
    """
    from tlcli.quiet import import_keras

    import_keras()
    from tlcli.models.network import build, counts

    arch = architecture(name)
    network = build(name, input_shape or arch.input_shape, classes or arch.classes, options)
    return counts(network.model)
