"""The shipped configs, written where someone wants them who has the package alone."""

import os
from pathlib import Path

import pytest

from bnbench.errors import EnvironmentFault, InputError
from bnbench.experiments.config import load_config
from bnbench.lessons import shipped
from tests.conftest import CONFIGS


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_what_is_written_is_what_the_repository_holds(tmp_path: Path) -> None:
    """Every config in its folder, with the schema that leads an editor, and each of them loads."""
    written = shipped.write_configs(tmp_path / "new" / "configs")
    assert files(tmp_path / "new" / "configs") == files(CONFIGS)
    assert {path.relative_to(tmp_path / "new/configs").as_posix() for path in written} == {
        *files(CONFIGS)
    }
    for path in written:
        if path.suffix == ".yaml":
            load_config(path)


def test_what_is_there_stays_and_what_is_missing_is_added(tmp_path: Path) -> None:
    """Written again, nothing changes; a file that was removed comes back alone."""
    shipped.write_configs(tmp_path)
    before = (tmp_path / "smoke.yaml").stat().st_mtime_ns
    (tmp_path / "own.yaml").write_text("name: own\n")
    (tmp_path / "deep" / "no_bn.yaml").unlink()
    assert shipped.write_configs(tmp_path) == [tmp_path / "deep" / "no_bn.yaml"]
    assert shipped.write_configs(tmp_path) == []
    assert (tmp_path / "smoke.yaml").stat().st_mtime_ns == before
    assert (tmp_path / "own.yaml").read_text() == "name: own\n"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """Files that differ, folders and links in the way are all named, and nothing is written."""
    (tmp_path / "pre_act.yaml").write_text("name: mine\n")
    (tmp_path / "smoke.yaml").mkdir()
    os.symlink(tmp_path / "nowhere", tmp_path / "no_bn.yaml")
    with pytest.raises(InputError) as caught:
        shipped.write_configs(tmp_path)
    assert str(caught.value).splitlines() == [
        f"{tmp_path / name}: is there already, and this command did not make it; move it away, or "
        "choose another name"
        for name in ("no_bn.yaml", "pre_act.yaml", "smoke.yaml")
    ]
    assert sorted(os.listdir(tmp_path)) == ["no_bn.yaml", "pre_act.yaml", "smoke.yaml"]
    assert files(tmp_path) == {"pre_act.yaml": b"name: mine\n"}


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """A file where the folder should be is a fault of the surroundings."""
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFault, match="cannot be written"):
        shipped.write_configs(tmp_path / "file")


def test_an_installed_package_has_its_own_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes before a folder beside the package, which may be anyone's; without either, exit 3."""
    package = tmp_path / "site-packages" / "bnbench"
    monkeypatch.setattr(shipped, "_PACKAGE", package)
    (tmp_path / "site-packages" / "configs").mkdir(parents=True)
    with pytest.raises(EnvironmentFault, match="reinstall bnbench"):
        shipped.write_configs(tmp_path / "new")
    (package / "configs").mkdir(parents=True)
    (package / "configs" / "a.yaml").write_text("name: a\n")
    assert shipped.write_configs(tmp_path / "new") == [tmp_path / "new" / "a.yaml"]
