"""The name that a split gives its file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from tlcli.data.classes import ClassExpression
from tlcli.data.fitting import parse_size

_LONGEST = 80


def default_name(
    dataset: str | Sequence[str],
    classes: str,
    *,
    proportion: float | None = None,
    size: int | None = None,
    multiple_of: int = 1,
    validation: float = 0.0,
    seed: int = 0,
    sampling: str = "nested",
    labels: str = "fine",
    image_size: int | str | tuple[int, int] | None = None,
    fit: str = "stretch",
    channels: int | None = None,
    suffix: str = ".h5",
) -> str:
    """A file name that states the options: `mnist-6-9-p0.01.h5`.

    Dataset (its name, or the last part of its path), class expression, then only what differs from the
    default:
    -pPROPORTION or -nSIZE, -mMULTIPLE, -vVALIDATION, the sampling, -sSEED. The name is safe on every file
    system, whatever is passed in; a short digest replaces unsafe or long parts.
    """
    parts = ["+".join(_stem(name) for name in ([dataset] if isinstance(dataset, str) else dataset))]
    if labels != "fine":
        parts.append(_stem(labels))
    if (size_of_images := parse_size(image_size)) is not None:
        parts.append("x".join(str(side) for side in size_of_images))
    if fit != "stretch":
        parts.append(fit)
    if channels is not None:
        parts.append({1: "grey", 3: "colour"}.get(channels, str(channels)))
    parts.append(_classes(classes))
    if proportion is not None:
        parts.append(f"p{_number(proportion)}")
    if size is not None:
        parts.append(f"n{size}")
    if multiple_of != 1:
        parts.append(f"m{multiple_of}")
    if validation:
        parts.append(f"v{_number(validation)}")
    if sampling != "nested":
        parts.append(sampling)
    if seed:
        parts.append(f"s{seed}")
    name = "-".join(parts)
    if len(name.encode()) > _LONGEST:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = name.encode()[:_LONGEST].decode(errors="ignore") + "-" + digest
    return name + suffix


def _stem(dataset: str) -> str:
    if dataset == "-":
        return "stdin"
    path = Path(dataset)
    name = path.name or path.resolve().name
    known = (
        *(".h5", ".hdf5", ".npz", ".npy", ".mat", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar"),
        *(".csv", ".tsv", ".txt", ".bin", ".idx"),
    )
    stem = next((name[: -len(s)] for s in known if name.lower().endswith(s)), name)
    return _safe_name(stem if stem not in ("", ".", "..") else path.resolve().name) or "dataset"


def _classes(expression: str) -> str:
    asked = ClassExpression(expression)
    if asked.file is not None:
        return "except-" + _stem(asked.file)
    if asked.random_part is not None:
        return "random" + _safe_name(asked.random_part)
    return "+".join(_safe_name(piece) for piece in expression.split("+"))


def _safe_name(text: str) -> str:
    """Keep letters and digits of any script, dots, dashes and underscores; a digest replaces other signs."""
    safe = re.sub(r"[^\w.-]+", "_", text).strip("._-")
    plain = re.sub(r"[\s,]+", "_", text.strip()).strip("._-")
    if safe == plain:
        return safe
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()  # names may be any bytes
    return f"{safe}-{digest[:6]}".lstrip("-")


def _number(value: float) -> str:
    """The shortest decimal that reads back as the value, without an exponent."""
    return f"{value:.12f}".rstrip("0").rstrip(".") if "e" in repr(value) else repr(value).removesuffix(".0")
