"""`tlcli datasets`."""

from __future__ import annotations

from tlcli.cli.options import Debug, Json, Quiet
from tlcli.cli.output import print_json, print_table

EXAMPLES = ["tlcli datasets", "tlcli datasets --json"]


def datasets(as_json: Json = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """List the data sets that are built in.

    Anything else that `tlcli split --dataset` takes is a path: a folder of images in class folders, an .npz,
    a .mat, or a file of tlcli's own.
    """
    from tlcli.data import sources

    listed = sources()
    if as_json:
        print_json({"datasets": [vars(info) for info in listed]})
        return
    print_table(
        ("name", "train", "test", "classes", "image", "summary"),
        [
            (
                s.name,
                f"{s.train:,}",
                f"{s.test:,}",
                str(s.classes),
                "x".join(map(str, s.image_shape)),
                s.summary,
            )
            for s in listed
        ],
    )
