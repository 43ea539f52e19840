"""The plain arms: from scratch, frozen, fine-tuned."""

from __future__ import annotations

from tlcli.training.methods import Phase, method


@method("scratch", "same architecture, random start: the control", copies=False)
def scratch(copy: int, freeze: int) -> list[Phase]:
    return [Phase(frozen=0)]


@method("freeze", "copied layers stay as they are; the rest is trained", freezes=True)
def freeze(copy: int, freeze: int) -> list[Phase]:
    return [Phase(frozen=freeze)]


@method("finetune", "copied layers are the start; everything is trained")
def finetune(copy: int, freeze: int, *, rate_decay: float = 1.0) -> list[Phase]:
    """`rate_decay` below 1 slows each layer further from the head (Howard & Ruder 2018)."""
    return [Phase(frozen=0, rate_decay=rate_decay)]
