"""Figures made of matplotlib's objects (no pyplot, no state left behind), rendered alike each time."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tlcli.report import style

WIDE, NARROW = 7.2, 4.1
"""Inches: the width of a figure on the page, and on a phone."""
DPI = 150
SCALE = 1.6
"""Pixels of the page for a point of the figure: text of nine points is then as large as a caption."""


@contextmanager
def drawing_style() -> Iterator[None]:
    """matplotlib's settings for the figures of a report, for the time of the block."""
    import logging

    import matplotlib

    fonts = logging.getLogger("matplotlib.font_manager")
    level = fonts.level
    fonts.setLevel(logging.ERROR)
    try:
        with matplotlib.rc_context(), warnings.catch_warnings():
            # Names in scripts that the built-in font lacks are boxes in the PNG and right in the SVG.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(style.RC)
            yield
    finally:
        fonts.setLevel(level)


def grid(
    panels: int,
    columns: int,
    *,
    height: float = 2.6,
    width: float | None = None,
    sharey: bool = False,
    sharex: bool = False,
    legend: float = 0.0,
) -> tuple[Any, list[Any]]:
    """A figure with so many panels; `height` is of one row in inches, `legend` the room on top for one."""
    from matplotlib.figure import Figure

    columns = max(1, min(columns, panels))
    rows = -(-panels // columns)
    width = width or (WIDE if columns > 1 else NARROW if panels > 1 else 5.4)
    total = rows * height + legend
    figure = Figure(figsize=(width, total), layout="constrained")
    engine: Any = figure.get_layout_engine()
    engine.set(rect=(0, 0, 1, 1 - legend / total), w_pad=0.06, h_pad=0.06, wspace=0.03, hspace=0.04)
    axes = figure.subplots(rows, columns, squeeze=False, sharey=sharey, sharex=sharex).ravel().tolist()
    for extra in axes[panels:]:
        extra.set_visible(False)
    return figure, axes[:panels]


def legend_on_top(figure: Any, handles: Sequence[Any], labels: Sequence[str], *, columns: int) -> None:
    """One legend for all panels, above them, where it covers nothing."""
    figure.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(0.005, 0.998),
        ncols=columns,
        borderaxespad=0.2,
        handlelength=2.4,
        columnspacing=1.4,
        labelspacing=0.35,
    )


def legend_room(labels: Sequence[str], width: float) -> tuple[float, int]:
    """The height in inches that a legend of these labels takes in a figure of this width, and its columns."""
    if not labels:
        return 0.0, 1
    one = 0.55 + 0.075 * max(len(x) for x in labels)
    columns = max(1, min(len(labels), int((width - 0.1) / one)))
    return 0.1 + 0.185 * -(-len(labels) // columns), columns


def lay_out(figure: Any) -> Any:
    """Place the panels once and for all, so that it is not done again for each format."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")
    return figure


def to_png(figure: Any) -> bytes:
    """The figure on white. The canvas is called directly: `savefig` would go through it all once more."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    figure.dpi = DPI
    figure.patch.set_facecolor("white")
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def to_svg(figure: Any) -> str:
    """The figure as SVG with text as text, and nothing in it that changes from day to day."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    figure.patch.set_facecolor("none")
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    FigureCanvasSVG(figure).print_svg(buffer, metadata=nothing)
    return buffer.getvalue()


def file_svg(svg: str) -> str:
    """The SVG as a file of its own, on a white ground."""
    return re.sub(r"(<svg[^>]*>)", r'\1<rect width="100%" height="100%" fill="#ffffff"/>', svg, count=1)


def page_svg(svg: str, alt: str, prefix: str) -> str:
    """The SVG to stand in the page: no prolog, ids of its own, the page's colours, and a text alternative."""
    from tlcli.report.words import escape_html

    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style[^>]*>.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<[^>]*>", lambda tag: _shorter(tag.group()), svg)
    svg = re.sub(r'\bid="([^"]*)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r'href="#([^"]*)"', rf'href="#{prefix}-\1"', svg)
    svg = re.sub(r"url\(#([^)]*)\)", rf"url(#{prefix}-\1)", svg)
    for colour, variable in style.VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    box = re.search(r'viewBox="([^"]*)"', svg)
    frame = box.group(1) if box else "0 0 1 1"
    widest = round(SCALE * float(frame.split()[2]))
    head = f'<svg role="img" aria-label="{escape_html(alt)}" viewBox="{frame}" style="max-width: {widest}px" '
    head += 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    return re.sub(r"<svg[^>]*>", lambda _: head, svg, count=1)


def _shorter(tag: str) -> str:
    """A tag without line breaks, with two decimals, and in the font of the page."""
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", re.sub(r"\s+", " ", tag))
    return re.sub(r"(\d\.\d\d)\d+", r"\1", tag)
