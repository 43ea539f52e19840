"""Draw figures with matplotlib's objects, without pyplot and its global state; equal input gives equal
files."""

from __future__ import annotations

import html
import io
import json
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, unquote

from tlcli.report import style

WIDE, SINGLE, NARROW = 7.2, 5.4, 4.1
"""Inches: the width of a figure on the page, of one with a single panel, and on a phone."""
DPI = 150
PAD = 0.08
"""Inches between panels and around them."""
TAG = "tag:"
"""The beginning of the name of an SVG group with a tag."""
_TAGS = re.compile(r"<[A-Za-z/][^>]*>")
SCALE = 1.6
"""Pixels of the page for a point of the figure, which make text of nine points as large as a caption."""
Legend = Sequence[tuple[str, dict[str, Any]]]
"""Labels, and the properties of the line before each."""


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
            # Characters that the built-in font lacks are boxes in the PNG and right in the SVG.
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
    legend: Legend = (),
    sharey: bool = False,
    sharex: bool = False,
) -> tuple[Any, list[Any]]:
    """A figure with `panels`, of which `columns` have room side by side; with room for one it is for a phone.

    `height` is that of one row in inches. The legend is above all panels, so that it covers nothing.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    width = width or (NARROW if columns == 1 else SINGLE if panels == 1 else WIDE)
    columns = max(1, min(columns, panels))
    rows = -(-panels // columns)
    room, across = _legend_room([label for label, _ in legend], width)
    figure = Figure(figsize=(width, rows * height + room))
    axes = figure.subplots(rows, columns, squeeze=False, sharey=sharey, sharex=sharex).ravel().tolist()
    for extra in axes[panels:]:
        extra.set_visible(False)
    if legend:
        # Until matplotlib 3.10, labels that begin with an underscore were left out: they are set below.
        drawn = figure.legend(
            [Line2D([], [], **look) for _, look in legend],
            [" "] * len(legend),
            loc="upper left",
            bbox_to_anchor=(0.005, 0.998),
            ncols=across,
            borderaxespad=0.2,
            handlelength=2.4,
            columnspacing=1.4,
            labelspacing=0.35,
        )
        for (label, look), line, text in zip(legend, drawn.legend_handles, drawn.get_texts(), strict=True):
            text.set_text(label)
            for part in filter(None, (line, text)):
                part.set_gid(look.get("gid"))
    return figure, axes[:panels]


def _legend_room(labels: Sequence[str], width: float) -> tuple[float, int]:
    """The height in inches that a legend of these labels takes in a figure of this width, and its columns."""
    if not labels:
        return 0.0, 1
    one = 0.55 + 0.075 * max(len(x) for x in labels)
    columns = max(1, min(len(labels), int((width - 0.1) / one)))
    return 0.1 + 0.185 * -(-len(labels) // columns), columns


def tag(artist: Any, *args: Any, **known: Any) -> None:
    """Tag an artist for the page's script (see `tag_of`)."""
    artist.set_gid(tag_of(*args, **known))


def tag_of(arm: int | None = None, tips: Sequence[str] = (), images: Sequence[int] | None = None) -> str:
    """A mark's arm, and the tip and images of each of its points, as the script reads them from its id."""
    known = {"arm": arm, "tips": list(tips) or None, "images": images}
    return TAG + quote(json.dumps({k: v for k, v in known.items() if v is not None}))


def lay_out(figure: Any) -> Any:
    """Place the panels, all of one size, so that their labels fit.

    matplotlib's own layout engines measure anew for every format. This measures once, and again if the panels
    have other ticks in their new size.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.dpi = DPI
    renderer = FigureCanvasAgg(figure).get_renderer()
    panels = [ax for ax in figure.axes if ax.get_visible() and ax.get_subplotspec() is not None]
    if panels:
        ticks = _ticks(panels)
        _place(figure, panels, _margins(panels, renderer), renderer)
        if _ticks(panels) != ticks:
            _place(figure, panels, _margins(panels, renderer), renderer)
    return figure


def _ticks(panels: Sequence[Any]) -> list[list[float]]:
    """Where the ticks of the panels are, in their present size."""
    return [axis.get_majorticklocs().tolist() for ax in panels for axis in (ax.xaxis, ax.yaxis)]


def _margins(panels: Sequence[Any], renderer: Any) -> dict[str, list[float]]:
    """The space of labels around the panels, in pixels, by side (`x0` is left), for each column or row."""
    rows, columns = panels[0].get_subplotspec().get_gridspec().get_geometry()
    margins = {side: [0.0] * n for side, n in (("x0", columns), ("x1", columns), ("y0", rows), ("y1", rows))}
    for ax in panels:
        outer, inner = ax.get_tightbbox(renderer, for_layout_only=True), ax.get_window_extent(renderer)
        spec = ax.get_subplotspec()
        for side, band in margins.items():
            k = spec.colspan.start if side[0] == "x" else spec.rowspan.start
            band[k] = max(band[k], abs(getattr(outer, side) - getattr(inner, side)))
    return margins


def _place(figure: Any, panels: Sequence[Any], margins: dict[str, list[float]], renderer: Any) -> None:
    columns, rows = len(margins["x0"]), len(margins["y0"])
    pad = PAD * figure.dpi
    legend = sum(x.get_window_extent(renderer).height + pad / 2 for x in figure.legends)
    full_width, full_height = figure.bbox.width, figure.bbox.height
    width = (full_width - sum(margins["x0"] + margins["x1"]) - pad * (columns + 1)) / columns
    height = (full_height - legend - sum(margins["y0"] + margins["y1"]) - pad * (rows + 1)) / rows
    for ax in panels:
        spec = ax.get_subplotspec()
        row, column = spec.rowspan.start, spec.colspan.start
        x = pad * (column + 1) + column * width + sum(margins["x0"][: column + 1] + margins["x1"][:column])
        y = legend + pad * (row + 1) + row * height + sum(margins["y1"][: row + 1] + margins["y0"][:row])
        ax.set_position(
            [x / full_width, 1 - (y + height) / full_height, width / full_width, height / full_height]
        )


_NO_DATES = {
    "png": ("Software",),
    "pdf": ("CreationDate", "Creator", "Producer"),
    "svg": ("Date", "Creator", "Format", "Type"),
}


def save(figure: Any, kind: str) -> bytes:
    """The figure as a file without a date: PNG on white; SVG (text as text) and PDF without a ground."""
    buffer, ground = io.BytesIO(), "white" if kind == "png" else "none"
    nothing = dict.fromkeys(_NO_DATES[kind])
    figure.savefig(buffer, format=kind, dpi=DPI, facecolor=ground, metadata=nothing)
    return buffer.getvalue()


def file_svg(svg: str) -> str:
    """The SVG as a separate file, on a white ground."""
    svg = _TAGS.sub(lambda tag: re.sub(rf' id="{TAG}[^"]*"', "", tag.group()), svg)
    return re.sub(r"(<svg[^>]*>)", r'\1<rect width="100%" height="100%" fill="#ffffff"/>', svg, count=1)


def page_svg(svg: str, alt: str, prefix: str) -> str:
    """The SVG for the page: without prolog, with unique ids, the page's colours, and a text alternative."""
    from tlcli.report.words import escape_html

    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style[^>]*>.*?</style>", "", svg, flags=re.DOTALL)
    svg = _TAGS.sub(lambda tag: _page_tag(tag.group(), prefix), svg)
    svg = re.sub(r"(<g[^>]*>)((?:\s*<use [^>]*/>)+)", _style_once, svg)
    box = re.search(r'viewBox="([^"]*)"', svg)
    frame = box.group(1) if box else "0 0 1 1"
    widest = round(SCALE * float(frame.split()[2]))
    head = f'<svg role="img" aria-label="{escape_html(alt)}" viewBox="{frame}" style="max-width: {widest}px" '
    head += 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    return re.sub(r"<svg[^>]*>", lambda _: head, svg, count=1)


def _page_tag(tag: str, prefix: str) -> str:
    """A tag on one line, with two decimals, unique ids, and the font and the colours of the page."""
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", re.sub(r"\s+", " ", tag))
    tag = re.sub(r"(\d\.\d\d)\d+", r"\1", tag)
    tag = re.sub(rf'\bid="{TAG}([^"]*)"', _attributes, tag)
    tag = re.sub(r'\bid="([^"]*)"', rf'id="{prefix}-\1"', tag)
    tag = re.sub(r'href="#([^"]*)"', rf'href="#{prefix}-\1"', tag)
    tag = re.sub(r"url\(#([^)]*)\)", rf"url(#{prefix}-\1)", tag)
    for colour, variable in style.VARIABLES.items():
        tag = tag.replace(colour, f"var(--{variable})")
    return tag


def _style_once(found: re.Match[str]) -> str:
    """Move the style that marks share to their group."""
    group, marks = found.groups()
    styles = set(re.findall(r' style="[^"]*"', marks))
    if len(styles) != 1 or "style=" in group:
        return found.group()
    style_of_all = styles.pop()
    return group.removesuffix(">") + style_of_all + ">" + marks.replace(style_of_all, "")


def _attributes(found: re.Match[str]) -> str:
    """A tag as the attributes that the script reads."""
    known = json.loads(unquote(found.group(1)))
    texts = {k: v if k == "arm" else json.dumps(v, ensure_ascii=False) for k, v in known.items()}
    return " ".join(f'data-{k}="{html.escape(str(v))}"' for k, v in texts.items())
