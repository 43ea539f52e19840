"""The tour of the README, a little shorter: the commands print what the page shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

README = Path(__file__).resolve().parent.parent.parent / "README.md"
SHORTER = {"--epochs 20": "--epochs 2", "--samples 10000": "--samples 500"}


def tour() -> list[tuple[str, list[str]]]:
    """Each command of the console blocks with the lines that follow it."""
    text = README.read_text(encoding="utf-8").replace("\\\n", "")
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    steps = [step.splitlines() for block in blocks for step in re.split(r"^\$ ", block, flags=re.M)[1:]]
    return [(command, shown) for command, *shown in steps]


def shape(lines: list[str]) -> list[str]:
    """Lines without numbers, which are not the same on every machine, and without the report's answer."""
    plain = [" ".join(re.sub(r"\d[\d.,]*", "#", line).split()) for line in lines]
    return [line for line in plain if not re.search(r"(Transfer|gain)\b.* at # training images", line)]


def test_the_tour(call, work):
    steps = tour()
    assert len(steps) >= 7
    for command, shown in steps:
        if "|" in command:
            continue  # a pipe of processes: see test_chain
        for long, short in SHORTER.items():
            command = command.replace(long, short)
        done = call(*shlex.split(command)[1:])
        assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
        out, err = done.stdout.decode().splitlines(), done.stderr.decode().splitlines()
        told = [*out, *err] if command.startswith("tlcli verify") else [*err, *out]
        assert shape(told) == shape(shown), command
        if not command.startswith("tlcli verify"):
            assert out == shown[-1:]


def test_every_link_between_the_pages_leads_somewhere():
    root = README.parent
    pages = [README, *root.glob("tlcli/**/*.md"), *root.glob("examples/**/*.md"), *root.glob("tests/**/*.md")]
    links = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in link
    ]
    assert len(links) > 20
    assert [(str(page), link) for page, link in links if not (page.parent / link).exists()] == []
