"""What a record says of the data that its run was made on."""

import numpy as np

from bnbench.datasets import scales
from bnbench.datasets.dataset import Dataset
from bnbench.evidence.records import Array, DataSummary


def summarize(
    dataset: Dataset, feature_scales: scales.Scales, correct: Array | None
) -> DataSummary:
    """Return the summary; ``correct`` is bool (test rows,), None where the run diverged."""

    def count(labels: Array) -> tuple[int, ...]:
        return tuple(np.bincount(labels, minlength=dataset.classes).tolist())

    return DataSummary(
        sha256=dataset.sha256,
        rows=(len(dataset.y_train), len(dataset.y_val), len(dataset.y_test)),
        classes=dataset.classes,
        class_names=dataset.class_names,
        test_rows_by_class=count(dataset.y_test),
        test_correct_by_class=None if correct is None else count(dataset.y_test[correct]),
        feature_scales=(feature_scales.low, feature_scales.high),
        feature_reach=feature_scales.reach,
    )


def feature_scales(dataset: Dataset) -> scales.Scales:
    """Return the scales of the features over the training rows; see `DataSummary`."""
    return scales.feature_scales(dataset.x_train, dataset.scale)
