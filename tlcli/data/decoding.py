"""Decode image files to uint8 pixels with Pillow: a few at a time, each once, noting unreadable ones."""

from __future__ import annotations

import io
import tempfile
import warnings
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from tlcli.data import scale
from tlcli.data.deep import deep_form, has_alpha, read_deep
from tlcli.data.fitting import Fit, resize
from tlcli.data.image_room import room_to_decode
from tlcli.data.source import ReportCounts
from tlcli.errors import TlcliError
from tlcli.store.budget import Budget

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

S = TypeVar("S")
T = TypeVar("T")

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF")
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".gif"),
)
_DEEP_SUFFIXES = (".png", ".tif", ".tiff", ".pgm", ".pnm")
"""Endings of files that can have more than 8 bits a channel."""

White = Callable[[], float]
"""A function that gives the value of white in images of more than 8 bits a channel."""

_THREADS = 2
_RUN = 8
"""Images that a thread is given at a time: to give it one takes a tenth of the time of decoding a small
one."""
_BLOCK_BYTES = 1 << 25
"""Decoded pixels held in memory at a time, or one image."""
_WHOLE = 1 << 20
"""The most bytes of a file that are read in one piece."""
_LONGEST_REASON = 200
_ORIENTATION = 0x0112
"""The EXIF tag; its values in Pillow's terms below."""
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


class Readable(Protocol):
    """A file that can be opened: a `pathlib.Path` or a `ZipEntry`."""

    @property
    def name(self) -> str: ...

    def open(self, mode: str) -> Any: ...

    def is_file(self) -> bool: ...


class UnreadableError(Exception):
    """The reason why an image cannot be used."""


@dataclass(frozen=True)
class DecodedImages:
    """The result of decoding a list of images."""

    images: np.ndarray
    """uint8, M x H x W x C, on disk; one channel where every image is grey."""
    kept: np.ndarray
    """int64, M: their positions in the list."""
    failures: list[tuple[int, str]]
    """The positions of images that could not be read, with the reason."""
    other_size: tuple[int, tuple[int, int]] | None
    """The position of the first image of another size, with its height and width."""
    brightest: int = 255
    """The greatest value of any pixel."""


def decode_one(
    file: Readable,
    fit: Fit | None = None,
    white: White | float | None = None,
    budget: Budget | None = None,
) -> np.ndarray:
    """The pixels of one image, uint8: H x W if it is grey, else H x W x 3.

    The image is turned upright by its EXIF orientation, fitted as `fit` says, and shown over white where it
    is transparent; an animation gives its first frame. `white` becomes 255: a number holds for every image, a
    function for images of more than 8 bits a channel (without it, they have 16). Raises UnreadableError, also
    if memory is too small, and TlcliError if the budget (by default a new one) is used up.
    """
    fit = fit or Fit()

    def ask(image: ImageFile) -> tuple[str, float | None]:
        form = deep_form(image)
        if callable(white):
            return form, white() if form else None
        return form, white

    def read(image: ImageFile, opened: IO[bytes], answer: tuple[str, float | None]) -> np.ndarray:
        from PIL import Image as Pillow

        orientation = _orientation(image)
        target = (fit.size[::-1] if orientation < 5 else fit.size) if fit.size else None
        if target and image.format == "JPEG":
            # The decoder halves the resolution as long as twice the size needed is left.
            image.draft(None, (2 * target[0], 2 * target[1]))
        pixels = _grey_or_colour(image, opened, *answer)
        if fit.channels == 1:
            pixels = pixels.convert("L")
        if target:
            pixels = resize(pixels, target, fit.how)
        if orientation in _TURNS:
            pixels = pixels.transpose(Pillow.Transpose[_TURNS[orientation]])
        return np.asarray(pixels)

    return _read_image(file, ask, read, budget)


def range_of_deep(files: Sequence[Readable], budget: Budget) -> scale.Range | None:
    """The range of those images that have more than 8 bits a channel; None where none has, or can be read."""

    def read(image: ImageFile, opened: IO[bytes], form: str) -> scale.Range | None:
        if not form:
            return None
        pixels = read_deep(image, form, opened)
        return scale.range_of(pixels[..., :-1] if has_alpha(form) else pixels, "the pixels")

    found: scale.Range | None = None
    for file in files:
        if str(file).lower().endswith(_DEEP_SUFFIXES):
            try:
                one = _read_image(file, deep_form, read, budget)
            except UnreadableError:
                continue
            found = found.join(one) if found and one else one or found
    return found


def _read_image(
    file: Readable,
    ask: Callable[[ImageFile], S],
    read: Callable[[ImageFile, IO[bytes], S], T],
    budget: Budget | None,
) -> T:
    """The result of `read`, which takes an image, its file and the answer of `ask`. Raises UnreadableError
    for every failure.

    `ask` may read images, too. It is called before the image takes working memory: a thread that holds memory
    and waits for more could wait for ever.
    """
    from PIL import Image, UnidentifiedImageError

    budget = budget or Budget(str(file))
    try:
        if not file.is_file():  # reading a pipe could wait for ever
            raise UnreadableError("no regular file")
        with file.open("rb") as opened:
            content = opened.read(_WHOLE + 1)
            if not content:
                raise UnreadableError("empty file")
            # Pillow reads a header in forty pieces, for each of which threads take turns.
            source = io.BytesIO(content) if len(content) <= _WHOLE else opened
            image = Image.open(source, formats=FORMATS)
            answer = ask(image)
            with room_to_decode(budget, file, source, image):
                return read(image, source, answer)
    except (UnreadableError, TlcliError):
        raise
    except UnidentifiedImageError:
        raise UnreadableError("no image in a format that is read") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnreadableError("declares too many pixels") from None
    except Exception as error:  # Pillow raises many kinds of errors on a damaged file
        raise UnreadableError(str(error).split("\n")[0][:_LONGEST_REASON] or type(error).__name__) from None


def decode_all(
    files: Sequence[Readable],
    size: tuple[int, int],
    budget: Budget,
    *,
    fit: Fit | None = None,
    white: White | float | None = None,
    progress: ReportCounts | None = None,
) -> DecodedImages:
    """Decode every image once, in order, into a temporary file without a name.

    `size` is height and width: with a `fit`, images are brought to it; the reading ends at the first that
    has another. Memory is bounded by a block of images, whatever their number; the temporary file is taken
    from the budget until the last user of the images is gone.
    """
    height, width = size
    step = max(1, min(512, _BLOCK_BYTES // (height * width * 3)))
    block = np.empty((step, height, width, 3), np.uint8)
    kept: list[int] = []
    failures: list[tuple[int, str]] = []
    all_grey, brightest = True, 0

    def decode(position: int, slot: int) -> bool | str | tuple[int, int]:
        """Fill one slot of the block. Returns whether the image is grey; else the reason, or its size."""
        try:
            pixels = decode_one(files[position], fit, white, budget)
        except UnreadableError as error:
            return str(error)
        if pixels.shape[:2] != size:
            return pixels.shape[0], pixels.shape[1]
        block[slot] = pixels[..., None] if pixels.ndim == 2 else pixels
        return pixels.ndim == 2

    def decode_run(run: range, first: int) -> list[bool | str | tuple[int, int]]:
        return [decode(position, position - first) for position in run]

    # The file has no name: it vanishes with the last user of the array, whatever happens.
    with (
        tempfile.TemporaryFile(prefix="tlcli-") as spool,
        ThreadPoolExecutor(_THREADS) as pool,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        for start in range(0, len(files), step):
            positions = range(start, min(start + step, len(files)))
            length = max(1, min(_RUN, len(positions) // _THREADS))
            runs = [positions[i : i + length] for i in range(0, len(positions), length)]
            outcomes = [outcome for run in pool.map(decode_run, runs, repeat(start)) for outcome in run]
            for position, outcome in zip(positions, outcomes, strict=True):
                if isinstance(outcome, tuple):
                    return DecodedImages(block[:0], np.empty(0, np.int64), failures, (position, outcome))
                if isinstance(outcome, str):
                    failures.append((position, outcome))
                else:
                    kept.append(position)
                    all_grey = all_grey and outcome
            good = [slot for slot, outcome in enumerate(outcomes) if not isinstance(outcome, str)]
            budget.take(len(good) * block[0].nbytes, "its images")
            for slot in good:
                _append(spool, block[slot])
                brightest = max(brightest, int(block[slot].max(initial=0)))
            if progress:
                progress(positions.stop, len(files))
        images = _map(spool, (len(kept), height, width, 3))
        if isinstance(images, np.memmap):
            weakref.finalize(images._mmap, budget.give_back, images.nbytes)  # type: ignore[attr-defined]
    return DecodedImages(
        images[..., :1] if all_grey else images, np.array(kept, np.int64), failures, None, brightest
    )


def _append(spool: IO[bytes], block: np.ndarray) -> None:
    try:
        spool.write(block.data)
    except OSError as error:
        raise TlcliError(
            f"Cannot keep decoded images in {tempfile.gettempdir()}: {error.strerror}; "
            "make room or set TMPDIR to another folder."
        ) from None


def _map(spool: IO[bytes], shape: tuple[int, ...]) -> np.ndarray:
    spool.flush()
    if not shape[0]:
        return np.empty(shape, np.uint8)
    return np.memmap(spool, np.uint8, "r", shape=shape)


def _orientation(image: Image) -> int:
    return int(image.getexif().get(_ORIENTATION, 1)) if image.format in ("JPEG", "WEBP", "PNG") else 1


def _grey_or_colour(image: ImageFile, opened: IO[bytes], form: str, white: float | None) -> Image:
    """The decoded image in mode L or RGB. `form` is that of more than 8 bits a channel, if it has them."""
    from PIL import Image as Pillow

    if form:
        deep = read_deep(image, form, opened)
        values = scale.to_bytes(deep, 65535 if white is None else white)
        if has_alpha(form):
            values[..., -1] = deep[..., -1] >> 8
        found = Pillow.fromarray(values)
        del deep, values  # their memory is needed for what follows
        return _eight_bits(found)
    pixels = _eight_bits(image)
    if white is not None and white != 255:
        return pixels.point(
            [min(255, round(value * 255 / white)) for value in range(256)] * len(pixels.getbands())
        )
    return pixels


def _eight_bits(image: Image) -> Image:
    mode = image.mode
    if mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        return _over_white(image, "L" if mode.startswith("L") else "RGB")
    if mode in ("L", "RGB"):
        return image
    return image.convert("L" if mode == "1" else "RGB")


def _over_white(image: Image, mode: str) -> Image:
    """An image with transparency over white, some rows at a time: a step takes memory for its rows alone."""
    from PIL import Image as Pillow

    opaque = Pillow.new(mode, image.size)
    step = max(1, _BLOCK_BYTES // (64 * image.width))
    for top in range(0, image.height, step):
        rows = image.crop((0, top, image.width, min(top + step, image.height))).convert("RGBA")
        white = Pillow.new("RGBA", rows.size, "white")
        opaque.paste(Pillow.alpha_composite(white, rows).convert("RGB").convert(mode), (0, top))
    return opaque
