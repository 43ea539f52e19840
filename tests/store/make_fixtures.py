"""Write one small file of each kind: `PYTHONPATH=tests python tests/store/make_fixtures.py FOLDER`.

Run once for each released version of the formats; what is in `fixtures/` is never written again. The other
files there are what the commands made of digits: `train-base` (trained), `transfer --save` (grid, network),
`embed --layer all --mirrored` (embedded) and `knn --metric cosine --power 0.5` (neighbours).
"""

from __future__ import annotations

import sys
from pathlib import Path

from small_records import make_checkpoint, make_dataset, make_embeddings, make_headless, make_results

from tlcli import store


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)

    def write(name: str, record: store.Record, *parents: store.Record) -> store.Record:
        return store.write(folder / f"{name}.h5", record, command=f"fixture {name}", parents=parents)

    dataset = write("dataset", make_dataset())
    checkpoint = write("checkpoint", make_checkpoint(), dataset)
    embeddings = write("embeddings", make_embeddings(), checkpoint, dataset)
    write("headless", make_headless(), dataset)
    write("results", make_results(), embeddings)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
