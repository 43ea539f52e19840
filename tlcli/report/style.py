"""How things look: one place for the colour, line and marker of every method, so that they agree everywhere.

The colours are those of Okabe & Ito (2008), told apart by colour-blind readers, too; line and marker differ
as well.
`INK`, `MUTED`, `GRID` and `PAPER` are stand-ins that the page replaces by its own variables, so that figures
follow
light and dark.
"""

from __future__ import annotations

from dataclasses import dataclass

INK, MUTED, GRID, PAPER = "#1b1d21", "#5d636e", "#dfe2e7", "#fefefe"
CONTROL = "#767b85"
OKABE_ITO = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#a89f00")
TRAIN, TEST = "#e69f00", "#0072b2"

VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    PAPER: "paper",
    CONTROL: "control",
    "#0072b2": "blue",
    "#d55e00": "vermillion",
    "#009e73": "green",
}
"""Colours that the page replaces by variables of its own, so that they can be seen in the dark, too."""

METHODS: dict[str, tuple[str, str]] = {
    "scratch": (CONTROL, "s"),
    "freeze": ("#0072b2", "o"),
    "finetune": ("#d55e00", "^"),
    "lp-ft": ("#009e73", "D"),
    "l2-sp": ("#cc79a7", "v"),
    "lwf": ("#56b4e9", "P"),
    "replay": ("#e69f00", "X"),
    "knn": ("#a89f00", "*"),
}
"""Colour and marker of the methods that everybody has; others get what is left, in order of their names."""

SPARE_COLOURS = ("#882255", "#44aa99", "#332288", "#aa4499", "#999933", "#661100")
"""For methods beyond those (after Tol 2021); they are dashed, too."""
SPARE_MARKERS = ("<", ">", "p", "h", "d", "8")
SHADES = (0.0, 0.35, 0.55)
"""How much white is in the colour of the first, second and third arm of one method."""
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


def looks(arms: list[tuple[str, str]]) -> dict[str, Look]:
    """The look of each arm, from (method, arm) pairs: the colour by method, the line by the arm within it.

    Where there is one method alone (an ablation, say) and shades would not do, its arms differ like methods.
    """
    unknown = sorted({method for method, _ in arms} - set(METHODS))
    used = {METHODS[method][0] for method, _ in arms if method in METHODS}
    spare = [*(c for c in OKABE_ITO if c not in used), *SPARE_COLOURS]
    table = dict(METHODS)
    for i, method in enumerate(unknown):
        table[method] = (spare[i % len(spare)], SPARE_MARKERS[i % len(SPARE_MARKERS)])
    alone = len({method for method, _ in arms}) == 1 and len(set(arms)) > len(SHADES)
    others = list(zip(spare[len(unknown) :], [marker for _, marker in METHODS.values()], strict=False))
    seen: dict[str, int] = {}
    result: dict[str, Look] = {}
    for method, arm in arms:
        if arm in result:
            continue
        k = seen.get(method, 0)
        seen[method] = k + 1
        dash = DASHES[(k if method in METHODS else k + 1) % len(DASHES)]
        if alone:
            result[arm] = Look(*(others[(k - 1) % len(others)] if k else table[method]), dash)
        else:
            colour, marker = table[method]
            again, step = divmod(k, len(SHADES))
            # Once the shades are used up they come again, with another marker.
            markers = [marker, *(m for m in SPARE_MARKERS if m != marker)]
            result[arm] = Look(shade(colour, step), markers[again % len(markers)], dash)
    return result


def shade(colour: str, step: int) -> str:
    """The same hue, lighter with each step: the second and third arm of one method."""
    mix = SHADES[step]
    channels = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(c + (255 - c) * mix):02x}" for c in channels)
