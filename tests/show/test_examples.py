"""What a verdict is said to hold for: new images, new rows of a table, or new data."""

import pytest

from bnbench.show import formats, plots, report
from bnbench.show.remarks import examples
from tests.conftest import compare, record

FAR = [0.880, 0.882, 0.881, 0.879, 0.883, 0.880, 0.882, 0.881, 0.880, 0.882]
CALLED = {
    "fashion_mnist": "images",
    "own/table.csv": "rows",
    "own/table.csv.gz": "rows",
    "own/arrays.npz": "data",
}


@pytest.mark.parametrize(("dataset", "called"), CALLED.items())
def test_the_data_set_decides_everywhere(dataset: str, called: str) -> None:
    """Answer, tables, closing, plot and report have one word; JSON keeps its keys."""
    own = [f"data.dataset={dataset}"]
    own += ["data.label=class"] * dataset.endswith((".csv", ".csv.gz"))
    runs = [
        record(config, seed, value + gain, overrides=own)
        for config, gain in (("no_bn", 0.0), ("pre_act", 0.02))
        for seed, value in enumerate(FAR)
    ]
    (found,) = compared = compare(runs)
    assert examples(found.config.data) == called
    shown = [
        formats.to_markdown(compared),
        report.to_html(compared),
        plots.files.to_svg(plots.figure(found, ["differences"])),
    ]
    others = set(CALLED.values()) - {called}
    for page in shown:
        assert f"new {called}" in page
        assert not any(f"new {other}" in page for other in others)
    assert "new_images" in formats.to_json(compared)
