"""Notes on the methods of comparison, once for the whole page."""

from __future__ import annotations

from collections.abc import Iterable

from tlcli.report.document import Block, Text
from tlcli.report.registry import section
from tlcli.report.study import Study

WORDS = (
    "An arm is a method with its options; a run is one training of it with one seed. Scratch is the "
    "control: the same network, trained from a random start.",
    "The 95 % interval of a mean is Student's, over the runs, or over the training sets where there are "
    "three or more of one size. It holds for these test images, and fewer than three values have none. The "
    "interval for new images also counts the chance of the test images (crossed random effects; of one run "
    "Clopper and Pearson's).",
    "A difference between two arms is taken run by run (same training set, same seed) on the same test "
    "images. Its interval counts both the chance of the training and that of the test images: crossed "
    "random effects, the quasi-F of Clark (1973), degrees of freedom after Satterthwaite (1946). Over the "
    "images alone one lucky training would pass for a better method, over the runs alone a lucky test set.",
    "Several comparisons are one family where one command made their arms, at one number of training "
    "images. Their intervals hold all at once with 95 %, and p values are multiplied by the size of the "
    "family (Bonferroni; Dunn 1961): a difference is shown exactly where its interval leaves zero out. "
    "Each number of training images is a question of its own: over many of them, one in twenty families "
    "may mislead.",
    "A method is said to be better from three runs on. One run of each arm is two networks: McNemar's "
    "exact test (1947; Dietterich 1998), with the interval of Clopper and Pearson for the images on which "
    "the two differ.",
    "Detectable difference: the true difference that a comparison shows with a power of 80 % (Bloom 1995). "
    "Equivalent: the whole simultaneous interval lies within the margin that the user gave.",
)


@section("notes", "How the numbers are compared", order=80, per_task=False, folded=True)
def notes(study: Study, task: None) -> Iterable[Block]:
    """The methods of comparison, with their sources."""
    if study.tasks:
        yield from (Text(t) for t in WORDS)
