"""The schema of results, version 2: its tables and the arrays of their rows."""

from __future__ import annotations

from tlcli.store.elements import Array, Attribute
from tlcli.store.schema_parts import history_arrays, make_format, table_columns

_TARGETS = table_columns(
    "targets",
    "targets",
    ("name", "string", "names", "Its name in the runs: that of the dataset file."),
    ("content_sha256", "string", "text", "The content digest of the dataset."),
    ("source", "string", "text", "The published set; empty if unknown."),
    ("train_size", "int64", "index", "Training images."),
)

_REFITTED = tuple(
    Array(f"runs/source_refitted_{when}", "float64", ("runs",), f"{meaning} or NaN.", "no", "share?")
    for when, meaning in (
        ("before", "As `source_accuracy_before`, with a head fitted anew to the source's training images;"),
        ("after", "As `source_accuracy_after`, with a head fitted anew;"),
    )
)

_SECONDS = Array(
    "runs/seconds",
    "float64",
    ("runs",),
    "Wall-clock seconds of the run, with `record_seconds`; or NaN. Not part of the content.",
    "if known",
    "finite?",
)

_NOTES = Array(
    "targets/notes",
    "string",
    ("targets",),
    "Warnings that bear on the meaning of results, such as images that are in two parts; or empty.",
    "no",
    "text",
)

_RUNS = table_columns(
    "runs",
    "runs",
    ("method", "string", "text", "The registered name of the method."),
    ("arm", "string", "text", "The method with its options: `freeze:copy=2`."),
    ("dataset", "string", "text", "The name of its target."),
    ("size", "int64", "index", "Training images."),
    ("run", "int64", "index", "0, 1, ...: the repetition."),
    ("seed", "int64", "index", "Its seed."),
    ("parameters", "int64", "index", "Parameters of the network in all."),
    ("trainable_parameters", "int64", "index", "Parameters that were trained."),
    ("test_accuracy", "float64", "share?", "The last of its history; NaN if not measured."),
    ("test_loss", "float64", "finite?", "The last of its history: mean cross-entropy, in nats."),
    ("train_accuracy", "float64", "share?", "In inference mode, on up to 2,000 training images; or NaN."),
    ("samples", "int64", "count", "Training samples seen; or -1."),
    ("batch_size", "int64", "count", "Images per step; or -1."),
    ("copy", "int64", "count", "Weighted layers copied from the base, from the input on; or -1."),
    ("freeze", "int64", "count", "Copied layers that stay frozen in the first phase; or -1."),
    ("head_units", "string", "text", "Hidden layers of the new head, as `512,256`; empty: none."),
    ("head_dropout", "float64", "share?", "Dropout in such a head; NaN: none."),
    ("all_layers", "int64", "count", "1: the new head reads all layers, 0: one; -1: as the base's does."),
    ("architecture", "string", "text", "The registered name of the network; empty if unknown."),
    ("architecture_options", "string", "objects", "Its options, as JSON."),
    ("base", "string", "text", "The file name of the base; empty if unknown."),
    ("base_sha256", "string", "text", "The content digest of the base."),
    ("base_accuracy", "float64", "share?", "The base's accuracy on its own test part; or NaN."),
    ("relation", "string", "text", "`own`: images the base was trained on; `other`; empty: unknown."),
    ("source_accuracy_before", "float64", "share?", "The base's accuracy on the source's test part; or NaN."),
    ("source_accuracy_after", "float64", "share?", "The run's, with the base's head; or NaN."),
    ("selected", "string", "text", "The alternative that it chose, as an arm; empty: none."),
    ("selected_on", "string", "text", "The images that they were compared on."),
    ("candidates", "string", "objects", "Held-out accuracy and loss of each alternative, as JSON."),
    ("chosen", "string", "objects", "Values that the solver of the head chose (penalty, C), as JSON."),
    ("plugin", "string", "text", "The file or package that registered the method; empty: tlcli."),
    ("plugin_sha256", "string", "text", "Its digest; empty for tlcli's own."),
)

_NEIGHBOURS = table_columns(
    "neighbours",
    "neighbours",
    ("arm", "string", "text", "`knn` with the options that are not the default: `knn:metric=cosine`."),
    ("dataset", "string", "text", "The name of its target."),
    ("size", "int64", "index", "Training images, which are the neighbours."),
    ("k", "int64", "index", "The number of neighbours that vote."),
    ("metric", "string", "text", "`euclidean` or `cosine`."),
    ("weights", "string", "text", "`uniform` or `distance`."),
    ("power", "float64", "positive", "Each number x was replaced by sign(x) |x|^power."),
    ("layer", "string", "text", "The layer that was embedded; empty if unknown."),
    ("mirrored", "int64", "index", "1: embeddings are means of an image's and its mirror image's."),
    ("test_accuracy", "float64", "share?", "Accuracy on the test part with this k; NaN if not measured."),
    ("cv_accuracy", "float64", "share?", "Leave-one-out accuracy on the training part with this k; or NaN."),
    (
        "selected_on",
        "string",
        "text",
        "The data for the choice of k: `cross-validation` or `test`; or empty.",
    ),
    ("left_out", "int64", "count", "Training images that were left out in turn; or -1."),
    ("base", "string", "text", "The file name of the network that was embedded; empty if unknown."),
    ("base_sha256", "string", "text", "Its content digest."),
)

_RANKINGS = table_columns(
    "rankings",
    "rankings",
    ("base", "string", "text", "The file name of the base."),
    ("base_sha256", "string", "text", "Its content digest."),
    ("architecture", "string", "text", "The registered name of its network."),
    ("layer", "string", "text", "The layer that was embedded."),
    ("width", "int64", "index", "The length of each embedding."),
    ("dataset", "string", "text", "The name of its target."),
    ("size", "int64", "index", "Training images."),
    ("images", "int64", "index", "The training images that were scored."),
    ("logistic", "float64", "share", "Accuracy of a logistic head on held-out training images."),
    ("neighbours", "float64", "share", "Accuracy of the nearest neighbours, each image left out in turn."),
    ("log_me", "float64", "finite", "LogME: the evidence of linear regression, per image and class."),
    ("h_score", "float64", "finite", "The H-score, with the covariance shrunk."),
    ("leep", "float64", "finite?", "LEEP, in nats per image; NaN for a base without a head."),
)

_PREDICTIONS = "The predicted class of each image of the target's test part."

RESULTS = make_format(
    "tlcli-results",
    "results",
    "tlcli transfer`, `tlcli knn` or `tlcli rank",
    "The runs of one grid, datasets x methods x repetitions; or classifications by nearest neighbours; or a "
    "ranking of bases. A table has one dataset for each column; row i of it has its arrays in the group i.",
    (
        *_RUNS,
        *_REFITTED,
        _SECONDS,
        *history_arrays("trainings/*/", 2),
        Array("trainings/*/test/predictions", "int64", ("N",), _PREDICTIONS, "no", values="index", scope=2),
        Array(
            "trainings/*/test/logits",
            "float32",
            ("N", "classes"),
            "The logits, minus the largest of each image; 12 significant bits.",
            "no",
            values="finite",
            scope=2,
        ),
        *_NEIGHBOURS,
        Array("sweeps/*/k", "int64", ("K",), "Every k that was tried.", "no", values="index", scope=2),
        *(
            Array(f"sweeps/*/{name}_accuracy", "float64", ("K",), meaning, "no", "share?", scope=2)
            for name, meaning in (
                ("cv", "Leave-one-out accuracy for each k."),
                ("test", "Test accuracy for each k; NaN if not measured."),
            )
        ),
        Array("sweeps/*/predictions", "int64", ("N",), _PREDICTIONS, "no", values="index", scope=2),
        *_RANKINGS,
        *_TARGETS,
        _NOTES,
        Array(
            "tests/*/class_names",
            "string",
            ("classes",),
            "The names of the classes of target i.",
            "with its group",
            values="names",
            scope=2,
        ),
        Array(
            "tests/*/labels",
            "int64",
            ("N",),
            "The class of each test image.",
            "with its group",
            values="index",
            scope=2,
        ),
        Array(
            "tests/*/source_index",
            "int64",
            ("N",),
            "Its position in the published set.",
            "with its group",
            values="index",
            scope=2,
        ),
    ),
    (Attribute("/", "recipe", "json object", "What all runs share."),),
)
