"""Data sets: where they are found, how they are read, split and described."""

import gzip
import hashlib
import math
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bnbench.datasets import dataset, fashion_mnist
from bnbench.datasets.dataset import FASHION_MNIST, SAMPLE
from bnbench.experiments.config import DataConfig

needs_full_data = [
    pytest.mark.data,
    pytest.mark.skipif(
        not dataset.status()[FASHION_MNIST][0].path,
        reason="the full Fashion-MNIST data set is not installed",
    ),
]


def idx(array: NDArray[np.uint8]) -> bytes:
    """Pack an array as the original files are packed."""
    header = struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape)
    return gzip.compress(header + array.tobytes(), mtime=0)


def write_stand_ins(folder: Path) -> dict[str, str]:
    """Write four small files of the originals' form; return the MD5 of each one's content."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, sums = np.random.default_rng(0), {}
    for part, rows in (("train", 40), ("t10k", 20)):
        images = rng.integers(0, 256, (rows, 28, 28), dtype=np.uint8)
        labels = (np.arange(rows) % 10).astype(np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            name, packed = f"{part}-{kind}-ubyte.gz", idx(array)
            (folder / name).write_bytes(packed)
            sums[name] = hashlib.md5(gzip.decompress(packed)).hexdigest()
    return sums


def places(data_dir: Path | None = None) -> set[Path]:
    return {file.path.parent for file in dataset.status(data_dir)[FASHION_MNIST] if file.path}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, with stand-ins in ``originals`` and their checksums in place of the real."""
    monkeypatch.setattr(fashion_mnist, "FILES", write_stand_ins(tmp_path / "originals"))
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "debian")
    monkeypatch.setattr(fashion_mnist, "BASE_URL", "http://127.0.0.1:1/")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.delenv("BNBENCH_DATA_DIR", raising=False)
    return tmp_path


def own_arrays(**changes: Any) -> dict[str, Any]:
    """Twelve training and six test rows of three classes, as a user might save them."""
    rng = np.random.default_rng(1)
    arrays = {
        "x_train": rng.normal(size=(12, 5)),
        "y_train": np.arange(12) % 3,
        "x_test": rng.normal(size=(6, 5)),
        "y_test": np.arange(6) % 3,
    }
    return arrays | changes


def settings(path: str, validation_size: int = 3) -> DataConfig:
    """Return settings of any data set, also such as no config file may have."""
    return DataConfig.model_construct(dataset=path, validation_size=validation_size)


def save(path: Path, arrays: dict[str, Any]) -> str:
    np.savez(path, **arrays)
    return str(path)


def test_the_sample_is_balanced_and_any_ten_rows_hold_every_class() -> None:
    """The shipped sample has 200 training and 50 test images of each class, taking turns."""
    sample = dataset.load(settings("fashion_mnist_sample", 10))
    y_train = np.concatenate([sample.y_train, sample.y_val])
    assert np.bincount(y_train).tolist() == [200] * 10
    assert np.bincount(sample.y_test).tolist() == [50] * 10
    assert (y_train == np.arange(2000) % 10).all()
    assert sample.x_train.shape == (1990, 784)
    assert (sample.classes, sample.features, sample.feature_shape) == (10, 784, (28, 28))


def test_images_stay_uint8_and_labels_become_int32() -> None:
    """Images are kept as stored, to be scaled by 1/255 on the device."""
    sample = dataset.load(settings("fashion_mnist_sample", 100))
    for x in (sample.x_train, sample.x_val, sample.x_test):
        assert x.dtype == np.uint8
        assert x.flags.c_contiguous
    for y in (sample.y_train, sample.y_val, sample.y_test):
        assert y.dtype == np.int32
    assert sample.scale == 1 / 255


def test_the_validation_part_is_the_last_rows_of_the_training_set() -> None:
    """The two parts in a row are the training set, whatever the size of the split."""
    small, large = (dataset.load(settings("fashion_mnist_sample", size)) for size in (10, 500))
    assert len(large.x_val) == len(large.y_val) == 500
    joined = [np.concatenate([part.x_train, part.x_val]) for part in (small, large)]
    assert (joined[0] == joined[1]).all()
    assert small.sha256 == large.sha256


def test_the_fingerprint_is_what_its_description_says(tmp_path: Path) -> None:
    """SHA-256 over type, shape and bytes of the four stored arrays, so that anyone can check it."""
    arrays = own_arrays()
    digest = hashlib.sha256()
    for array in arrays.values():
        digest.update(f"{array.dtype.str}{array.shape}".encode() + array.tobytes())
    assert (
        dataset.load(settings(save(tmp_path / "own.npz", arrays), 3)).sha256 == digest.hexdigest()
    )
    arrays["y_test"] = arrays["y_test"][::-1]
    assert (
        dataset.load(settings(save(tmp_path / "own.npz", arrays), 3)).sha256 != digest.hexdigest()
    )


def test_describe_needs_no_file_for_the_named_sets(home: Path) -> None:
    """What `show` prints about Fashion-MNIST does not depend on its being there."""
    assert dataset.describe(settings("fashion_mnist")) == ((28, 28), 10, 60_000)
    assert dataset.describe(settings("fashion_mnist_sample")) == ((28, 28), 10, 2_000)


def test_data_imports_neither_keras_nor_urllib_request() -> None:
    """Commands that train nothing start fast."""
    code = "import sys, bnbench.datasets.dataset\n"
    code += "print({'keras', 'tensorflow', 'ssl'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"


def test_search_order(home: Path) -> None:
    """The Debian folder is used where the Keras cache has nothing, the cache where it has."""
    write_stand_ins(home / "debian")
    assert places() == {home / "debian"}
    cache = home / ".keras/datasets/fashion-mnist"
    write_stand_ins(cache)
    assert places() == {cache}
    assert dataset.load(settings("fashion_mnist", 10)).x_train.shape == (30, 784)


def test_keras_home_moves_the_cache(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """KERAS_HOME takes the place of ~/.keras, as in Keras."""
    write_stand_ins(home / "elsewhere/datasets/fashion-mnist")
    monkeypatch.setenv("KERAS_HOME", str(home / "elsewhere"))
    assert places() == {home / "elsewhere/datasets/fashion-mnist"}


def test_data_dir_comes_first_and_from_two_places(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--data-dir goes before BNBENCH_DATA_DIR, and that before every other folder."""
    write_stand_ins(home / "debian")
    write_stand_ins(home / "environment")
    monkeypatch.setenv("BNBENCH_DATA_DIR", str(home / "environment"))
    assert places() == {home / "environment"}
    assert places(home / "originals") == {home / "originals"}


def test_data_dir_may_hold_a_fashion_mnist_folder(home: Path) -> None:
    """The parent folder will do, such as ~/.keras/datasets or /usr/share/datasets."""
    write_stand_ins(home / "sets/fashion-mnist")
    assert dataset.load(settings("fashion_mnist", 10), home / "sets").x_test.shape == (20, 784)


def test_the_files_may_come_from_several_folders(home: Path) -> None:
    """Each file counts by its checksum, wherever it lies."""
    write_stand_ins(home / "debian")
    cache = home / ".keras/datasets/fashion-mnist"
    write_stand_ins(cache)
    (cache / "t10k-labels-idx1-ubyte.gz").unlink()
    assert places() == {cache, home / "debian"}
    assert len(dataset.load(settings("fashion_mnist", 10)).y_test) == 20


def test_a_file_packed_in_another_way_is_the_same_file(home: Path) -> None:
    """The checksum is of the content: distributions pack the same files anew."""
    path = home / "originals/train-images-idx3-ubyte.gz"
    before = dataset.load(settings("fashion_mnist", 10), home / "originals").sha256
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1, mtime=1))
    assert dataset.load(settings("fashion_mnist", 10), home / "originals").sha256 == before


def test_status_of_what_is_not_there(home: Path) -> None:
    """Each file that is nowhere is listed, with the two ways to get the data set."""
    found = dataset.status()
    assert [file.problem for file in found[FASHION_MNIST]] == ["not found"] * 4
    assert places() == set()
    assert "apt-get install dataset-fashion-mnist" in dataset.ADVICE[FASHION_MNIST]
    assert "BNBENCH_DATA_DIR" in dataset.ADVICE[FASHION_MNIST]
    assert [file.path for file in found[SAMPLE]] == [fashion_mnist.SAMPLE_PATH]


@pytest.mark.parametrize("shape", [(1,), (7,), (4, 3), (2, 3, 2, 1)])
def test_own_features_of_any_shape_are_flattened(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """A row may have any shape; its values keep their order."""
    x_train = np.arange(12 * math.prod(shape), dtype=np.float32).reshape(12, *shape)
    x_test = np.zeros((6, *shape), np.float32)
    path = save(tmp_path / "own.npz", own_arrays(x_train=x_train, x_test=x_test))
    own = dataset.load(settings(path, 3))
    assert (own.x_train == x_train[:9].reshape(9, -1)).all()
    assert (own.feature_shape, own.features, own.classes) == (shape, math.prod(shape), 3)
    assert dataset.describe(settings(path)) == (shape, 3, 12)


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f4", "f8", "i1", "i8", ">u2", "?"])
def test_own_numbers_become_float32_as_they_are(tmp_path: Path, dtype: str) -> None:
    """Everything but uint8 is taken unscaled, as float32 of the machine's byte order."""
    values = np.arange(60).reshape(12, 5).astype(dtype)
    own = dataset.load(settings(save(tmp_path / "own.npz", own_arrays(x_train=values)), 3))
    assert own.x_train.dtype == np.dtype(np.float32)
    assert (own.x_train == values[:9].astype(np.float64)).all()
    assert own.scale == 1.0


@pytest.mark.parametrize("dtype", ["u1", "i8", ">i4", "u8"])
def test_own_labels_may_be_a_column_of_any_integers(tmp_path: Path, dtype: str) -> None:
    """Labels of shape (rows, 1), as Keras's own data sets have them, are taken too."""
    y_train = (np.arange(12) % 3).astype(dtype)
    path = save(tmp_path / "own.npz", own_arrays(y_train=y_train[:, None]))
    own = dataset.load(settings(path, 3))
    assert own.y_train.tolist() == [0, 1, 2] * 3
    assert own.y_train.dtype == np.int32


def test_own_arrays_may_be_compressed_and_in_fortran_order(tmp_path: Path) -> None:
    """How numpy laid the arrays out makes no difference to the values."""
    arrays = own_arrays(x_train=np.asfortranarray(own_arrays()["x_train"]))
    np.savez_compressed(tmp_path / "packed.npz", **arrays)
    packed = dataset.load(settings(str(tmp_path / "packed.npz"), 3))
    plain = dataset.load(settings(save(tmp_path / "own.npz", own_arrays()), 3))
    assert (packed.x_train == plain.x_train).all()
    assert packed.x_train.flags.c_contiguous
    assert packed.sha256 == plain.sha256


def test_very_many_features_are_reported_before_training(tmp_path: Path) -> None:
    """Compiling for them takes minutes, in which nothing else would be heard."""
    x = np.zeros((12, 20_001), np.uint8)
    path = save(tmp_path / "own.npz", own_arrays(x_train=x, x_test=x[:6]))
    reported: list[str] = []
    dataset.load(settings(path), report=reported.append)
    assert reported == [
        f"{path}: 20,001 features: the first epoch may take minutes, as a program is compiled for "
        "them; keep fewer, where few matter"
    ]


def test_an_own_file_is_found_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path starts where the command runs."""
    save(tmp_path / "own.npz", own_arrays())
    monkeypatch.chdir(tmp_path)
    assert dataset.load(settings("own.npz", 3)).classes == 3


class TestFullData:
    """Against the four real files."""

    pytestmark = needs_full_data

    def test_fashion_mnist_is_whole(self) -> None:
        """55,000 + 5,000 + 10,000 images, 7,000 of each class."""
        whole = dataset.load(settings("fashion_mnist", 5_000))
        parts = (whole.y_train, whole.y_val, whole.y_test)
        assert [len(part) for part in parts] == [55_000, 5_000, 10_000]
        assert np.bincount(np.concatenate(parts)).tolist() == [7_000] * 10
        assert whole.x_train.max() == 255
        assert whole.sha256 == "51bad0352284eacba9865b8317af0b9281dae4f52f7f667217f2ee65f7069790"

    def test_the_sample_is_drawn_as_its_readme_says(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The recipe beside the sample gives the same arrays again from the real files."""
        found = dataset.status()[FASHION_MNIST]
        folder = tmp_path / "files"
        folder.mkdir()
        for file in found:
            assert file.path
            (folder / file.name).symlink_to(file.path)
        readme = fashion_mnist.SAMPLE_PATH.with_name("README.md").read_text(encoding="utf-8")
        recipe = readme.split("```python\n")[1].split("```")[0]
        monkeypatch.chdir(tmp_path)
        exec(recipe.replace(str(fashion_mnist.DEBIAN_FOLDER), str(folder)), {})
        drawn = dataset.load(settings("fashion_mnist_sample.npz", 100))
        assert drawn.sha256 == dataset.load(settings("fashion_mnist_sample", 100)).sha256

    def test_the_sample_s_images_are_real_ones(self) -> None:
        """Each training image of the sample is one of the training set's, with its label."""
        whole = dataset.load(settings("fashion_mnist", 100))
        sample = dataset.load(settings("fashion_mnist_sample", 100))
        for drawn, parts in (("train", ("train", "val")), ("test", ("test",))):
            labels: dict[bytes, int] = {}
            for part in parts:
                images, classes = getattr(whole, f"x_{part}"), getattr(whole, f"y_{part}")
                labels |= dict(zip(map(bytes, images), classes, strict=True))
            images = getattr(sample, f"x_{drawn}")
            found = [labels[bytes(image)] for image in images]
            assert found == list(getattr(sample, f"y_{drawn}"))
