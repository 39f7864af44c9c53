"""Damaged, missing and hostile data: a clear error each time, and nothing unverified returned."""

import errno
import gzip
import io
import json
import os
import pickle
import re
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnbench import memory
from bnbench.datasets import dataset, fashion_mnist
from bnbench.errors import EnvironmentFault, InputError
from tests.conftest import ROOT
from tests.datasets.test_dataset import home as home  # a fixture
from tests.datasets.test_dataset import own_arrays, save, settings

IMAGES = "train-images-idx3-ubyte.gz"
LABELS = "t10k-labels-idx1-ubyte.gz"
Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


def whole(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


class Server(ThreadingHTTPServer):
    """Serves the files of a folder; ``answers`` are given first, one for each request."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answers: list[Answer] = []
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        name = self.path.rpartition("/")[2]
        server.asked.append(name)
        answer = server.answers.pop(0) if server.answers else whole
        answer(self, (server.folder / name).read_bytes())

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test output clean."""


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server(home / "originals") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setattr(fashion_mnist, "BASE_URL", f"http://127.0.0.1:{server.server_port}/")
        yield server
        server.shutdown()
        thread.join()


def load(home: Path, data_dir: Path | None = None) -> tuple[dataset.Dataset, list[str]]:
    lines: list[str] = []
    return dataset.load(settings("fashion_mnist", 10), data_dir, lines.append), lines


def cache(home: Path) -> Path:
    return home / ".keras/datasets/fashion-mnist"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def empty(content: bytes) -> bytes:
    return b""


def web_page(content: bytes) -> bytes:
    return b"<!doctype html><title>Sign in to the network</title>"


def other_numbers(content: bytes) -> bytes:
    raw = gzip.decompress(content)
    return gzip.compress(raw[:-1] + bytes([raw[-1] ^ 1]))


def bomb(content: bytes) -> bytes:
    return gzip.compress(bytes(fashion_mnist.MAX_FILE_BYTES + 1), 1)


damages = pytest.mark.parametrize(
    "damage", [truncated, flipped, empty, web_page, other_numbers, bomb]
)


# Damaged files


@damages
@pytest.mark.parametrize("name", [IMAGES, LABELS])
def test_a_damaged_file_in_the_data_dir_is_refused_and_left_alone(
    home: Path, damage: Callable[[bytes], bytes], name: str
) -> None:
    """The message names the file; nothing is renamed, downloaded or looked for elsewhere."""
    path = home / "originals" / name
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(EnvironmentFault, match=re.escape(f"{path}: damaged: ")):
        load(home, home / "originals")
    assert path.read_bytes() == before
    assert len(names(home / "originals")) == 4
    files = dataset.status(home / "originals")["fashion_mnist"]
    assert [file.name for file in files if not file.path] == [name]


@damages
def test_a_damaged_file_in_the_cache_is_set_aside_and_fetched_once_more(
    home: Path, server: Server, damage: Callable[[bytes], bytes]
) -> None:
    """The good copy takes its place, the damaged one stays to be looked at."""
    good = load(home)[0].sha256
    path = cache(home) / IMAGES
    broken = damage(path.read_bytes())
    path.write_bytes(broken)
    server.asked.clear()
    dataset, lines = load(home)
    assert dataset.sha256 == good
    assert server.asked == [IMAGES]
    assert (cache(home) / f"{IMAGES}.damaged").read_bytes() == broken
    assert lines == [
        f"downloading {fashion_mnist.BASE_URL}{IMAGES} to {cache(home)}",
        f"{path}: was damaged, set aside as {IMAGES}.damaged",
    ]
    assert len(names(cache(home))) == 5


def test_a_damaged_file_is_passed_over_where_another_copy_is_good(home: Path) -> None:
    """The Debian folder's copy is used without a download; the damaged file is named."""
    (home / "originals").rename(home / "debian")
    cache(home).mkdir(parents=True)
    (cache(home) / LABELS).write_bytes(b"")
    (line,) = load(home)[1]
    assert line.startswith(f"{cache(home) / LABELS}: damaged: ")
    assert line.endswith(f"passed over, {home / 'debian' / LABELS} is used")


def test_a_data_dir_that_lacks_files_is_not_passed_over(home: Path) -> None:
    """What the user names must hold the data; elsewhere is not looked silently."""
    (home / "originals" / IMAGES).rename(home / IMAGES)
    (home / "originals").rename(home / "debian")
    for folder, lacking in ((home / "debian", IMAGES), (home / "nowhere", LABELS)):
        with pytest.raises(EnvironmentFault, match=f"^{folder}: lacks .*{lacking}") as caught:
            load(home, folder)
        assert "BNBENCH_DATA_DIR" in str(caught.value)
        assert caught.value.exit_code == 3


def test_a_folder_or_a_pipe_in_the_place_of_a_file_is_no_file(home: Path) -> None:
    """Only regular files are opened, so that a pipe cannot hang the search."""
    for name in (IMAGES, LABELS):
        (home / "originals" / name).unlink()
    (home / "originals" / IMAGES).mkdir()
    os.mkfifo(home / "originals" / LABELS)
    with pytest.raises(EnvironmentFault, match=f"lacks {IMAGES}, {LABELS}"):
        load(home, home / "originals")


@damages
def test_a_damaged_sample_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[bytes], bytes]
) -> None:
    """The shipped sample is verified as well."""
    path = tmp_path / "sample.npz"
    content = fashion_mnist.SAMPLE_PATH.read_bytes()
    path.write_bytes(web_page(content) if damage is other_numbers else damage(content))
    monkeypatch.setattr(fashion_mnist, "SAMPLE_PATH", path)
    with pytest.raises(EnvironmentFault, match=r"sample\.npz: damaged: .*; reinstall bnbench"):
        dataset.load(settings("fashion_mnist_sample", 10))
    (file,) = dataset.status()["fashion_mnist_sample"]
    assert (file.path, file.content) == (None, b"")


# Downloads


def test_a_download_is_verified_kept_and_not_repeated(home: Path, server: Server) -> None:
    """All four files are fetched once; the next time they are found in the cache."""
    fetched, lines = load(home)
    assert len(server.asked) == len(lines) == 4
    assert names(cache(home)) == set(fashion_mnist.FILES)
    again, lines = load(home)
    assert (again.sha256, lines) == (fetched.sha256, [])
    assert len(server.asked) == 4


def cut_off(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(truncated(content))


def silent_cut(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(truncated(content))


def failing(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_error(503)


def lacking(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_error(404)


def hanging_up(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.close_connection = True


def not_http(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.wfile.write(b"220 mail.example ready\r\n")


def sign_in(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    whole(handler, web_page(content))


def tampered(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    whole(handler, other_numbers(content))


def endless(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(bytes(1 << 16))


def to_a_file(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_response(302)
    handler.send_header("Location", "file:///etc/hostname")
    handler.end_headers()


bad_answers = pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (cut_off, "cut off"),
        (silent_cut, "cut off"),
        (failing, "HTTP Error 503"),
        (lacking, "HTTP Error 404"),
        (hanging_up, "closed connection"),
        (not_http, "220 mail"),
        (sign_in, "no gzip file"),
        (tampered, "the MD5 of its content is"),
        (endless, "it sent more than 100,000 bytes"),
        (to_a_file, "HTTP Error 302"),
    ],
)


@bad_answers
def test_a_failed_download_leaves_nothing_behind(
    home: Path, server: Server, monkeypatch: pytest.MonkeyPatch, answer: Answer, reason: str
) -> None:
    """Two attempts, then exit 3 with the address, the reason and the two ways to get the data."""
    monkeypatch.setattr(fashion_mnist, "MAX_FILE_BYTES", 100_000)
    server.answers = [answer, answer]
    with pytest.raises(EnvironmentFault, match=reason) as caught:
        load(home)
    message = str(caught.value)
    assert f"{fashion_mnist.BASE_URL}{IMAGES} failed: " in message
    assert "apt-get install dataset-fashion-mnist" in message
    assert "BNBENCH_DATA_DIR" in message
    assert message.count("\n") == 1
    assert server.asked == [IMAGES, IMAGES]
    assert names(cache(home)) == set()


@bad_answers
def test_one_bad_answer_is_mended_by_the_second_attempt(
    home: Path, server: Server, monkeypatch: pytest.MonkeyPatch, answer: Answer, reason: str
) -> None:
    """A passing fault of the network costs one retry."""
    monkeypatch.setattr(fashion_mnist, "MAX_FILE_BYTES", 100_000)
    server.answers = [answer]
    assert load(home)[0].classes == 10
    assert server.asked[:3] == [IMAGES, IMAGES, "train-labels-idx1-ubyte.gz"]
    assert names(cache(home)) == set(fashion_mnist.FILES)


def stalled(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    time.sleep(1)


def trickled(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_response(200)
    handler.end_headers()
    for position in range(400):
        handler.wfile.write(content[position : position + 1])
        time.sleep(0.05)


def trickled_header(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
    for _ in range(400):
        handler.wfile.write(b"x")
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("answer", "socket_seconds", "reason", "attempts"),
    [
        (stalled, 0.2, "timed out", 2),
        (trickled, 10.0, "not done within 0.5 s", 1),
        (trickled_header, 10.0, "not done within 0.5 s", 1),
    ],
)
def test_a_slow_server_is_given_up(
    home: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer,
    socket_seconds: float,
    reason: str,
    attempts: int,
) -> None:
    """Silence is bounded, and so is the whole, however slowly the bytes trickle in."""
    monkeypatch.setattr(fashion_mnist, "SOCKET_SECONDS", socket_seconds)
    monkeypatch.setattr(fashion_mnist, "TOTAL_SECONDS", 0.5)
    server.answers = [answer, answer]
    started = time.monotonic()
    with pytest.raises(EnvironmentFault, match=reason):
        load(home)
    assert time.monotonic() - started < 10  # to the end it would take twice as long
    assert len(server.asked) == attempts
    assert names(cache(home)) == set()


def test_without_a_network_the_damaged_file_stays_and_is_named(home: Path) -> None:
    """A failed download changes nothing in the cache."""
    cache(home).mkdir(parents=True)
    (cache(home) / IMAGES).write_bytes(b"half a file")
    with pytest.raises(EnvironmentFault, match="refused") as caught:
        load(home)
    assert str(caught.value).startswith(f"{cache(home) / IMAGES}: damaged: 11 bytes")
    assert (cache(home) / IMAGES).read_bytes() == b"half a file"


@pytest.mark.parametrize("blocked", [".keras", ".keras/datasets", ".keras/datasets/fashion-mnist"])
def test_a_file_in_the_place_of_the_cache(home: Path, server: Server, blocked: str) -> None:
    """The folder that cannot be made is named, with the cure, before anything is fetched."""
    (home / blocked).parent.mkdir(parents=True, exist_ok=True)
    (home / blocked).write_text("in the way")
    with pytest.raises(EnvironmentFault, match="KERAS_HOME") as caught:
        load(home)
    assert str(caught.value).startswith(f"{cache(home)}: cannot be written: ")
    assert server.asked == []


@pytest.mark.skipif(os.getuid() == 0, reason="permission bits do not bind root")
def test_a_cache_without_write_permission(home: Path, server: Server) -> None:
    """A read-only cache is reported as such, not as a failed download."""
    cache(home).mkdir(parents=True)
    cache(home).chmod(0o500)
    with pytest.raises(EnvironmentFault, match="not writable"):
        load(home)
    assert server.asked == []


@pytest.mark.parametrize("operation", ["fsync", "replace"])
def test_a_disk_fault_while_storing(
    home: Path, server: Server, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """A full disk is named with the folder, and no temporary file is left."""

    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, operation, full)
    with pytest.raises(EnvironmentFault, match=r"No space left on device; .*KERAS_HOME"):
        load(home)
    assert names(cache(home)) == set()


def test_without_a_home_folder(home: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no home to keep a download in, KERAS_HOME is the cure."""
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(EnvironmentFault, match="no home folder to keep it in; set KERAS_HOME"):
        load(home)
    monkeypatch.setenv("KERAS_HOME", str(home / "kept"))
    assert load(home)[0].classes == 10


PROCESS = """
import json, sys
from bnbench.datasets import dataset, fashion_mnist
from bnbench.experiments.config import DataConfig
fashion_mnist.FILES, fashion_mnist.BASE_URL = json.loads(sys.argv[1]), sys.argv[2]
fashion_mnist.DEBIAN_FOLDER /= "none"
print("ready", flush=True)
sys.stdin.readline()
print(dataset.load(DataConfig(dataset="fashion_mnist", validation_size=10)).sha256)
"""


@pytest.mark.parametrize("before", [None, b"damaged"])
def test_two_processes_download_at_once(home: Path, server: Server, before: bytes | None) -> None:
    """Both get the verified data, and the cache ends whole, without temporary files."""
    if before is not None:
        cache(home).mkdir(parents=True)
        for name in fashion_mnist.FILES:
            (cache(home) / name).write_bytes(before)
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                PROCESS,
                json.dumps(fashion_mnist.FILES),
                fashion_mnist.BASE_URL,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    printed = {process.communicate(timeout=20)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert printed == {load(home)[0].sha256 + "\n"}
    kept = {name for name in names(cache(home)) if not name.endswith(".damaged")}
    assert kept == set(fashion_mnist.FILES)


# .npz files


def refused(path: Path | str, validation_size: int = 3) -> str:
    """Return the message with which a file is refused, the same line that `show` would give."""
    with pytest.raises(InputError) as caught:
        dataset.load(settings(str(path), validation_size))
    assert caught.value.exit_code == 2
    return str(caught.value).removeprefix(f"{path}: ")


def fingerprint_or_message(path: Path) -> str:
    try:
        return dataset.load(settings(str(path), 3)).sha256
    except InputError as error:
        return str(error)


def header(descr: str, shape: str) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def save_raw(path: Path, x_train: bytes, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write a file whose ``x_train`` is made of these bytes and whose other arrays are good."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for key, array in own_arrays().items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            archive.writestr(f"{key}.npy", x_train if key == "x_train" else buffer.getvalue())
    return path


def test_a_path_without_a_file(tmp_path: Path) -> None:
    """A missing file, a folder, a pipe and impossible names are bad input, as the config is."""
    os.mkfifo(tmp_path / "pipe.npz")
    for path in (tmp_path / "none.npz", tmp_path, tmp_path / "pipe.npz", "x" * 5000, "\0.npz"):
        assert refused(path).startswith(f"data.dataset: {path}: no such file; expected")


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 nearly", b"\x93NUMPY\x01\x00"])
def test_a_file_that_is_no_npz(tmp_path: Path, content: bytes) -> None:
    """Whatever else bears the name is refused with the file's name."""
    path = tmp_path / "own.npz"
    path.write_bytes(content)
    assert refused(path).startswith("damaged, or not written by numpy.savez: ")


def test_a_truncated_or_flipped_npz_never_passes_unnoticed(tmp_path: Path) -> None:
    """Cut or bit-flipped anywhere: refused, or the very same arrays (unused bytes of the zip)."""
    good = Path(save(tmp_path / "good.npz", own_arrays()))
    content, wanted = good.read_bytes(), dataset.load(settings(str(good), 3)).sha256
    path = tmp_path / "bad.npz"
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        assert refused(path).startswith("damaged")
    for position in range(0, len(content), 13):
        changed = bytearray(content)
        changed[position] ^= 0x10
        path.write_bytes(changed)
        result = fingerprint_or_message(path)
        assert result == wanted or result.startswith(f"{path}: ")


def test_missing_arrays_are_all_named(tmp_path: Path) -> None:
    """One message says what is lacking and what is there."""
    path = save(tmp_path / "own.npz", {"x_train": np.ones((3, 2)), "labels": np.arange(3)})
    assert refused(path) == "lacks y_train, x_test, y_test; it holds labels, x_train"


class Canary:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    """An object array is refused before anything in it runs."""
    canary = tmp_path / "canary"
    path = save(tmp_path / "own.npz", own_arrays(y_train=np.array([Canary(str(canary))] * 12)))
    assert refused(path) == "y_train: holds Python objects (pickles), which are never loaded"
    with pytest.raises(InputError, match="never loaded"):
        dataset.describe(settings(path))
    plain = save_raw(tmp_path / "plain.npz", pickle.dumps(Canary(str(canary))))
    assert refused(plain).startswith("damaged, or not written by numpy.savez: ")
    assert not canary.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header("'<f8'", f"({10**12}, 10)") + bytes(100), "needs 80,000,000,000,000 bytes, the "),
        (header("'<f8'", "(10, 5)") + bytes(399), "needs 400 bytes, the file holds 399"),
        (header("'<f8'", "(10, 5)") + bytes(401), "needs 400 bytes, the file holds 401"),
        (header("'<f8'", "(-2, -25)") + bytes(400), "of one row or more, found float64 ("),
        (header("'<f8'", "(0, 5)"), "of one row or more, found float64 ("),
        (header("'<f8'", "()") + bytes(8), "of one row or more, found float64 ("),
        (header("'<f8'", "5") + bytes(40), "shape is not valid"),
        (header("()", "(1,)"), "damaged"),
        (header("'nonsense'", "(1,)"), "damaged"),
        (header("[('a', '<f4')]", "(12, 5)") + bytes(240), "expected numbers (rows, "),
        (b"\x93NUMPY\x02\x00" + (2**32 - 1).to_bytes(4, "little"), "npy format (2, 0) is not read"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535, "Header info length (65535) is large"),
        (b"\x93NUMPY\x01\x00\x00\x10" + b"(" * 4096, "damaged"),
        (b"", "damaged"),
    ],
)
def test_a_forged_header_is_refused_before_memory_is_taken(
    tmp_path: Path, content: bytes, message: str
) -> None:
    """The declared shape must be what the file holds, to the byte."""
    path = save_raw(tmp_path / "own.npz", content)
    assert message in refused(path)
    with pytest.raises(InputError):
        dataset.describe(settings(str(path)))


def test_a_compression_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An honest header does not help a file that needs more memory than there is."""
    monkeypatch.setattr(memory, "available", lambda: 1_000_000)
    path = tmp_path / "own.npz"
    zeros = {f"x_{part}": np.zeros((n, 20_000), "i1") for part, n in (("train", 12), ("test", 6))}
    np.savez_compressed(path, **own_arrays(**zeros))
    with pytest.raises(EnvironmentFault) as caught:
        dataset.load(settings(str(path), 3))
    needed = "needs 1,440,144 bytes of memory; 1,000,000 are left here"
    assert str(caught.value) == f"{path}: {needed}"
    assert path.stat().st_size < 5_000


PEAK = """
import re, sys
from pathlib import Path
from bnbench.datasets import dataset
from bnbench.experiments.config import DataConfig

def resident(peak):
    text = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(f"{'VmHWM' if peak else 'VmRSS'}:\\s+(\\d+)", text)[1])

before = resident(peak=False)
loaded = dataset.load(DataConfig(dataset=sys.argv[1], validation_size=10))
kept = sum(part.nbytes for part in vars(loaded).values() if hasattr(part, "nbytes"))
print((resident(peak=True) - before) / kept)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("dtype", ["u1", "f2", "f4", "f8"])
def test_reading_takes_no_more_memory_than_the_arrays(tmp_path: Path, dtype: str) -> None:
    """A small file that unpacks to a large one costs what is kept of it, and no copies."""
    path, rows = tmp_path / "own.npz", 30_000
    x, y = np.zeros((rows, 1000), dtype), np.arange(rows) % 3
    np.savez_compressed(path, x_train=x, y_train=y, x_test=x[:3], y_test=y[:3])
    command = [sys.executable, "-c", PEAK, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert float(done.stdout) < 1.4


def test_an_array_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """A zip may hold two members of one name, of which other programs may read the other one."""
    path = tmp_path / "own.npz"
    save(path, own_arrays())
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("y_train.npy", archive.read("y_test.npy"))
    assert refused(path) == "holds y_train more than once; save it anew"
    with pytest.raises(InputError, match="more than once"):
        dataset.describe(settings(str(path)))


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_damaged_compressions(tmp_path: Path, method: int) -> None:
    """What zipfile can unpack may be damaged in other ways; the error stays the same."""
    noise = np.random.default_rng(0).bytes(4000)
    path = save_raw(tmp_path / "own.npz", header("'|u1'", "(12, 100)") + noise, method)
    content = bytearray(path.read_bytes())
    content[60:400] = bytes(340)
    path.write_bytes(content)
    assert refused(path).startswith("damaged, or not written by numpy.savez: ")


NAN, INFINITE, HUGE = (np.full((12, 5), 1.0) for _ in range(3))
NAN[7, 2], INFINITE[0, 0], HUGE[11, 4] = np.nan, -np.inf, 1e300


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": NAN}, "x_train[7]: holds NaN or infinite numbers"),
        ({"x_train": INFINITE}, "x_train[0]: holds NaN or infinite numbers"),
        ({"x_train": HUGE}, "x_train[11]: holds a number too large for float32"),
        ({"x_test": NAN[2:8]}, "x_test[5]: holds NaN or infinite numbers"),
        (
            {"x_train": np.ones(12)},
            "expected numbers (rows, features, ...), of one row or more, found float64 (12,)",
        ),
        ({"x_train": np.ones((11, 5))}, "x_train has 11 rows but y_train 12"),
        ({"y_test": np.arange(5)}, "x_test has 6 rows but y_test 5"),
        ({"x_test": np.ones((6, 4))}, "a row of x_train has shape (5,), one of x_test (4,)"),
        (
            {"x_test": np.ones((0, 5))},
            "x_test: expected numbers (rows, features, ...), of one row or more, found",
        ),
        ({"x_train": np.ones((12, 5), complex)}, "or more, found complex128 (12, 5)"),
        ({"x_train": np.full((12, 5), "a")}, "or more, found <U1 (12, 5)"),
        ({"x_train": np.full((12, 5), "2026", "M8[Y]")}, "or more, found datetime64[Y] (12, 5)"),
        ({"x_train": np.ones((12, 5), np.uint8)}, "x_train is uint8 but x_test float64"),
        (
            {"y_train": np.arange(12.0)},
            "y_train: expected integers (rows,), of one row or more, found float64 (12,)",
        ),
        (
            {"y_train": np.eye(12, dtype=int)},
            "y_train: expected integers (rows,), of one row or more, found int64 (12, 12)",
        ),
        (
            {"y_train": np.full(12, "cat")},
            "y_train: expected integers (rows,), of one row or more, found <U3 (12,)",
        ),
        (
            {"y_train": np.arange(12) % 3 - 1},
            "class numbers from 0 without gaps, found -1 instead of 0",
        ),
        (
            {"y_train": np.arange(12) % 3 + 1},
            "y_train: expected class numbers from 0 without gaps, found 1 instead of 0",
        ),
        ({"y_train": np.arange(12) % 3 * 2}, "without gaps, found 2 instead of 1"),
        (
            {"y_train": np.full(12, 2**62) * (np.arange(12) % 2)},
            f"without gaps, found {2**62} instead of 1",
        ),
        ({"y_train": np.zeros(12, int)}, "expected two or more classes, found only 0"),
        ({"y_test": np.arange(6) % 4}, "y_test: expected the classes of y_train, 0 to 2, found 3"),
        ({"y_test": np.arange(6) % 3 - 1}, "y_test: expected the classes of y_train, 0 to 2, "),
        ({"y_train": np.repeat([0, 1, 2], 4)}, "the last 3 rows, for validation, lack class 0: sh"),
        ({"y_train": np.array([0, 1] * 5 + [1, 2])}, "the first 9 rows, left for training, lack"),
    ],
)
def test_own_arrays_that_cannot_be_trained_on(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    """The message names the array and says what was expected and found."""
    assert message in refused(save(tmp_path / "own.npz", own_arrays(**changes)))


def whole_numbers(dtype: str, value: int, row: int) -> Any:
    x = np.zeros((12, 5), dtype)
    x[row, 3] = value
    return x


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("i4", 2**24 + 1),
        ("u4", 2**32 - 1),
        ("i8", -(2**24) - 1),
        ("i8", 2**53 + 1),
        ("i8", 2**63 - 1),
        (">u8", 2**64 - 1),
    ],
)
def test_integers_that_float32_would_change_are_refused(
    tmp_path: Path, dtype: str, value: int
) -> None:
    """Numbers such as keys or times would become equal to their neighbours without a word."""
    arrays = own_arrays(x_train=whole_numbers(dtype, value, row=7))
    assert refused(save(tmp_path / "own.npz", arrays)) == (
        "x_train[7]: holds whole numbers that float32 cannot distinguish from their neighbours, "
        f"such as {value:,}; subtract what all rows share, or save float32"
    )


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("i4", 2**24), ("i8", -(2**24)), ("u8", 2**63), ("i8", -(2**63)), ("f4", 2**24 + 2)],
)
def test_integers_that_float32_holds_are_taken(tmp_path: Path, dtype: str, value: int) -> None:
    """Up to 2**24 every one, and beyond it those with few digits in binary."""
    path = save(tmp_path / "own.npz", own_arrays(x_train=whole_numbers(dtype, value, row=7)))
    reported: list[str] = []
    assert dataset.load(settings(path, 3), report=reported.append).x_train[7, 3] == value
    assert reported == []


def test_whole_numbers_of_float64_are_rounded_with_a_word(tmp_path: Path) -> None:
    """Such columns are often integers that had gaps; fractions are rounded as ever."""
    x_test = np.full((6, 5), 0.1)
    x_test[2, 4] = 1_700_000_001
    path = save(tmp_path / "own.npz", own_arrays(x_test=x_test))
    reported: list[str] = []
    dataset.load(settings(path, 3), report=reported.append)
    assert reported == [
        f"{path}: x_test[2]: holds whole numbers that float32 cannot distinguish from their "
        "neighbours, such as 1,700,000,001: they were rounded"
    ]


@pytest.mark.parametrize("size", [-1, 0, 12, 13, 10**12])
def test_a_validation_size_that_leaves_nothing(tmp_path: Path, size: int) -> None:
    """The key, the allowed range and the number of rows are named."""
    path = save(tmp_path / "own.npz", own_arrays())
    assert refused(path, size) == (
        f"data.validation_size: expected 1 to 11, as {path} has 12 training rows, got {size:,}"
    )
