"""Logs that other tools read during a training: a CSV file and a TensorBoard folder per run."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tlcli.errors import TlcliError


class RunLogs:
    """Writes the logs of Keras's `CSVLogger` and `TensorBoard` for each run: pass it as `measured`.

    `loss` and `accuracy` are of the training images, `val_loss` and `val_accuracy` of the validation part,
    as in Keras, and `test_loss` and `test_accuracy` of the test part, which nothing is chosen on. `epoch`
    counts passes over the training images; TensorBoard's step is the number of samples seen.

    Args:
        name: The name of the folder for all runs of one call, below `csv` and `tensorboard`.
        csv: The folder for `name/RUN.csv`.
        tensorboard: The folder for `name/RUN/train` and `name/RUN/validation`.
        replace: Replace logs that are there already, instead of refusing.

    Raises:
        TlcliError: The logs exist, or TensorBoard is wanted and not installed.
    """

    def __init__(
        self,
        name: str,
        *,
        csv: str | Path | None = None,
        tensorboard: str | Path | None = None,
        replace: bool = False,
    ) -> None:
        from tlcli.store import make_folder

        self.csv = None if csv is None else Path(csv) / name
        self.tensorboard = None if tensorboard is None else Path(tensorboard) / name
        if self.tensorboard is not None and importlib.util.find_spec("tensorboard") is None:
            raise TlcliError(
                "`log_dir` writes logs for TensorBoard, which is not installed. "
                "Run `pip install tensorboard`."
            )
        for folder in (self.csv, self.tensorboard):
            if folder is None:
                continue
            if not replace and folder.is_dir() and any(folder.iterdir()):
                raise TlcliError(f"{folder} holds logs already. Give `force` to write them anew.")
            make_folder(folder)
        self._open: dict[int, _RunLog] = {}
        """The log of each thread, which trains one run at a time."""

    def __call__(self, run: str, row: Mapping[str, float]) -> None:
        """Write one measurement. The first measurement of another run in a thread begins new files."""
        if self.csv is None and self.tensorboard is None:
            return
        thread = threading.get_ident()
        present = self._open.get(thread)
        if present is None or present.run != run:
            if present is not None:
                present.close()
            present = self._open[thread] = _RunLog(run, self.csv, self.tensorboard)
        present.write(row)

    def close(self) -> None:
        """Close all files."""
        while self._open:
            self._open.popitem()[1].close()

    def __enter__(self) -> RunLogs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _RunLog:
    """The open files of one run."""

    def __init__(self, run: str, csv: Path | None, tensorboard: Path | None) -> None:
        from keras.callbacks import CSVLogger, TensorBoard

        from tlcli.training.finished import safe_name

        self.run, self._rows = run, 0
        self._csv = self._tensorboard = None
        if csv is not None:
            path = csv / f"{safe_name(run)}.csv"
            path.unlink(missing_ok=True)  # a link is replaced, not followed
            self._csv = _start(CSVLogger(path))
        if tensorboard is not None:
            folder = tensorboard / safe_name(run)
            for old in folder.glob("*/events.out.tfevents.*"):
                old.unlink()
            self._tensorboard = _start(TensorBoard(folder, write_graph=False))

    def write(self, row: Mapping[str, float]) -> None:
        logs = keras_names(row)
        epoch = logs.pop("epoch", self._rows)
        if self._csv is not None:
            self._csv.keys = self._csv.keys or sorted(logs)  # else Keras adds empty val_ columns
            self._csv.on_epoch_end(epoch, logs)
        if self._tensorboard is not None:
            seen = int(logs.pop("samples_seen"))
            self._tensorboard.on_epoch_end(seen, logs)
        self._rows += 1

    def close(self) -> None:
        for callback in (self._csv, self._tensorboard):
            if callback is not None:
                callback.on_train_end()


def _start(callback: Any) -> Any:
    callback.set_model(_Uncompiled)
    callback.on_train_begin()
    return callback


class _Uncompiled:
    """A model without an optimizer, in the place of one that Keras trains."""

    optimizer = None


_NAMES = {
    "train_loss": "loss",
    "train_accuracy": "accuracy",
    "validation_loss": "val_loss",
    "validation_accuracy": "val_accuracy",
}


def keras_names(row: Mapping[str, float]) -> dict[str, float]:
    """A row of a history with the names of Keras's `fit`; the test part keeps its own."""
    return {_NAMES.get(name, name): value for name, value in row.items()}
