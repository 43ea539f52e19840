"""The colour, line and marker of every method, so that all figures agree.

The colours are those of Okabe & Ito (2008), darker where their contrast on white is below 3:1, each with a
lighter variant for the dark theme. Lines and markers differ, too. The page replaces all colours by
variables, so that figures follow the light and dark themes.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

COLOURS: dict[str, tuple[str, str]] = {
    "ink": ("#1b1d21", "#e8eaee"),
    "muted": ("#5d636e", "#a2a9b5"),
    "grid": ("#dfe2e7", "#363b44"),
    "paper": ("#fefefe", "#15171b"),
    "control": ("#6b7280", "#9aa0ab"),
    "blue": ("#0072b2", "#3d9fe0"),
    "vermillion": ("#d55e00", "#f07d2e"),
    "green": ("#00875f", "#22c296"),
    "pink": ("#b5588f", "#e08cbd"),
    "purple": ("#6a51a3", "#a78bdc"),
    "ochre": ("#a66f00", "#e0a83a"),
    "olive": ("#757000", "#c2ba3a"),
    "wine": ("#882255", "#d77aa7"),
    "teal": ("#2d7d77", "#62bdb5"),
    "indigo": ("#4a4fb0", "#8f94ee"),
    "brown": ("#8a4b2a", "#cf9068"),
    "rust": ("#b0303c", "#ee7b82"),
    "slate": ("#3f6480", "#86aecb"),
}
"""The colours of each variable of the page, in the light and in the dark theme."""

VARIABLES = {light: name for name, (light, _) in COLOURS.items()}
"""The colours that the page replaces by variables."""


def colour(name: str) -> str:
    """The light variant of a named colour."""
    return COLOURS[name][0]


def css(dark: bool) -> str:
    """The declarations of the page's variables, for its style sheet."""
    return " ".join(f"--{name}: {pair[dark]};" for name, pair in COLOURS.items())


INK, MUTED, GRID, PAPER = (colour(name) for name in ("ink", "muted", "grid", "paper"))
TRAIN, TEST = colour("ochre"), colour("blue")
CLASSES = tuple(
    colour(n)
    for n in ("blue", "vermillion", "green", "pink", "ochre", "purple", "olive", "wine", "teal", "control")
)

METHODS: dict[str, tuple[str, str]] = {
    "scratch": (colour("control"), "s"),
    "freeze": (colour("blue"), "o"),
    "finetune": (colour("vermillion"), "^"),
    "lp-ft": (colour("green"), "D"),
    "l2-sp": (colour("pink"), "v"),
    "lwf": (colour("purple"), "P"),
    "replay": (colour("ochre"), "X"),
    "anchored": (colour("wine"), "p"),
    "ridge": (colour("teal"), "h"),
    "logistic": (colour("indigo"), "d"),
    "knn": (colour("olive"), "*"),
}
"""Colour and marker of tlcli's own methods."""

SPARE = tuple((colour(name), marker) for name, marker in (("brown", "<"), ("rust", ">"), ("slate", "8")))
"""Colours and markers for further methods, by their names, equal on all pages; their lines are dashed."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "h", "d", "<", ">", "8", "*")
DASHES: tuple[object, ...] = (
    "-",
    (0, (5, 2)),
    (0, (2, 1.4)),
    (0, (6, 2, 1.5, 2)),
    (0, (1, 1)),
    (0, (8, 2, 2, 2, 2, 2)),
)

RC = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Helvetica", "Arial"],
    "font.size": 9.0,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.7,
    "lines.markersize": 5.5,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "tlcli",
    "path.simplify": True,
}


@dataclass(frozen=True)
class Look:
    """Colour, marker and line of one arm."""

    colour: str
    marker: str
    line: object
    number: int
    """The number of the arm, by which the page hides its marks."""


def looks(arms: list[tuple[str, str]]) -> dict[str, Look]:
    """The look of each arm, from (method, arm) pairs: colour by method, marker and line by arm."""
    seen: dict[str, int] = {}
    result: dict[str, Look] = {}
    for method, arm in arms:
        if arm in result:
            continue
        place = seen[method] = seen.get(method, -1) + 1
        shade, first = METHODS.get(method) or SPARE[zlib.crc32(method.encode()) % len(SPARE)]
        markers = [first, *(m for m in MARKERS if m != first)]
        dash = DASHES[(place + (method not in METHODS)) % len(DASHES)]
        result[arm] = Look(shade, markers[place % len(markers)], dash, len(result))
    return result
