"""Tables of labels that cannot be used are told, with what is wrong in them."""

from __future__ import annotations

import pytest

from tlcli.data.tables import read_table
from tlcli.errors import TlcliError
from tlcli.store.budget import Budget


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        ("", "is empty"),
        ("file,label\n", "names of columns alone"),
        ("file,label\na.png,cat\nb.png\n", "has 1 cells in the row of b.png"),
        ("file,label\na.png,cat\nb.png,\n", "has no label in row 2"),
        ("file,label,part\na.png,cat,upper\n", "has the part 'upper': expected train, validation or test"),
        ("file,label\na.png," + "x" * 200_000, "cannot be read: field larger than"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, content, words):
    path = tmp_path / "labels.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(TlcliError, match=words):
        read_table(path, path.name, Budget(path.name))


def test_what_a_table_says(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("\ufeffImage;Class;Split;Patient\na.png; cat ;val;7\n\nb.png;dog;train;\n")
    table = read_table(path, path.name, Budget(path.name))
    assert (table.files, table.labels) == (["a.png", "b.png"], ["cat", "dog"])
    assert (table.parts, table.groups) == (["validation", "train"], ["7", ""])
