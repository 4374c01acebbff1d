"""Files that are missing, incomplete, damaged or hostile: an error that says so, and nothing is run or fetched."""

import os
import pickle

import pytest
from published import CIFAR10 as FILES

import lethe
from lethe.data import DataConfig, load


def write_files(root, contents):
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)


every_set = pytest.mark.parametrize(
    ("dataset", "missing"),
    [("cifar10", "cifar-10-batches-py"), ("cifar100", "cifar-100-python"), ("svhn", "train_32x32.mat")],
)


@every_set
def test_no_folder_named_is_an_error_that_names_the_option(dataset, missing):
    with pytest.raises(lethe.LetheError, match=rf"{dataset} needs --data-dir.*{missing}"):
        load(DataConfig(dataset=dataset))


@every_set
def test_an_empty_folder_is_an_error_and_stays_empty(tmp_path, no_network, dataset, missing):
    with pytest.raises(lethe.LetheError, match=rf"no {missing} in .*--download"):
        load(DataConfig(dataset=dataset, data_dir=str(tmp_path)))
    assert list(tmp_path.iterdir()) == []
    assert no_network == []


def test_a_folder_that_does_not_exist_is_not_made(tmp_path, no_network):
    with pytest.raises(lethe.LetheError, match="no cifar-10-batches-py"):
        load(DataConfig(dataset="cifar10", data_dir=str(tmp_path / "nowhere")))
    assert not (tmp_path / "nowhere").exists()
    assert no_network == []


@pytest.mark.parametrize("present", [[], FILES[:2], FILES[:-1]])
def test_missing_files_are_an_error(tmp_path, no_network, present):
    write_files(tmp_path, dict.fromkeys(present, b"x"))
    with pytest.raises(lethe.LetheError, match="incomplete or damaged"):
        load(DataConfig(dataset="cifar10", data_dir=str(tmp_path)))
    assert no_network == []


def test_files_with_another_content_are_an_error_of_one_line(tmp_path, no_network):
    write_files(tmp_path, dict.fromkeys(FILES, b"garbage" * 100))
    with pytest.raises(lethe.LetheError, match="a checksum is wrong") as error:
        load(DataConfig(dataset="cifar10", data_dir=str(tmp_path)))
    assert "\n" not in str(error.value)
    assert no_network == []


class MakesFolder:
    """Unpickled, it makes a folder: what a hostile file could do, made visible."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_hostile_file_is_not_unpickled(tmp_path):
    marker = tmp_path / "marker"
    hostile = pickle.dumps(MakesFolder(marker))
    pickle.loads(hostile)
    assert marker.is_dir()  # the file is as hostile as it is meant to be
    marker.rmdir()
    write_files(tmp_path, dict.fromkeys(FILES, hostile))
    with pytest.raises(lethe.LetheError, match="damaged"):
        load(DataConfig(dataset="cifar10", data_dir=str(tmp_path)))
    assert not marker.exists()


def test_a_damaged_cifar100_is_not_unpickled(tmp_path, no_network):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name in ("train", "test", "meta"):
        (folder / name).write_bytes(pickle.dumps(MakesFolder(tmp_path / "marker")))
    with pytest.raises(lethe.LetheError, match=r"CIFAR-100 in .* \(a checksum is wrong\)"):
        load(DataConfig(dataset="cifar100", data_dir=str(tmp_path)))
    assert not (tmp_path / "marker").exists()


def test_a_damaged_svhn_is_an_error(tmp_path, no_network):
    (tmp_path / "train_32x32.mat").write_bytes(b"garbage")
    with pytest.raises(lethe.LetheError, match=r"train_32x32\.mat' is damaged"):
        load(DataConfig(dataset="svhn", data_dir=str(tmp_path)))
    assert no_network == []


@pytest.mark.parametrize("name", FILES)
def test_one_hostile_file_among_genuine_ones_is_not_unpickled(small_cifar10, name):
    root, *_ = small_cifar10
    (root / "cifar-10-batches-py" / name).write_bytes(pickle.dumps(MakesFolder(root / "marker")))
    with pytest.raises(lethe.LetheError, match="damaged"):
        load(DataConfig(dataset="cifar10", data_dir=str(root)))
    assert not (root / "marker").exists()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("left", [0, 1, 50])
def test_a_truncated_cifar_file_is_an_error(small_cifar10, name, left):
    root, *_ = small_cifar10
    path = root / "cifar-10-batches-py" / name
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(lethe.LetheError, match="incomplete or damaged") as error:
        load(DataConfig(dataset="cifar10", data_dir=str(root)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("part", ["train", "test", "extra"])
def test_a_truncated_or_missing_svhn_file_is_an_error(small_svhn, no_network, part):
    root, _ = small_svhn
    path = root / f"{part}_32x32.mat"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(lethe.LetheError, match=rf"{path.name}' is damaged"):
        load(DataConfig(dataset="svhn", data_dir=str(root), svhn_extra=True))
    path.unlink()
    with pytest.raises(lethe.LetheError, match=f"no {path.name} in"):
        load(DataConfig(dataset="svhn", data_dir=str(root), svhn_extra=True))
    assert no_network == []
    assert part != "extra" or len(load(DataConfig(dataset="svhn", data_dir=str(root))).train) == 8


def test_nothing_is_fetched_unless_asked_for():
    assert DataConfig().download is False


@every_set
def test_a_fetch_that_fails_is_one_line(tmp_path, no_network, dataset, missing):
    with pytest.raises(lethe.LetheError, match="could not be"):
        load(DataConfig(dataset=dataset, data_dir=str(tmp_path), download=True))
    assert no_network != []
