"""Where a log lies on this machine: files and folders as people have them, with links, and with files that cannot be read."""

import os
from pathlib import Path

import orjson
import pytest

from cli.sources import LocalLogFile, local_files
from shared.domain.errors import ResourceNotFoundError
from tests.cli.running import run
from tests.joining.test_foreign import PERSONALIZER


def log(path: Path, *names: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(orjson.dumps({**PERSONALIZER, "EventId": name}) + b"\n" for name in names))
    return path


def found(folder: Path) -> list[str]:
    return sorted(str(file.path.relative_to(folder)) for file in local_files(folder))


def test_folders_that_are_linked_belong_to_a_folder_and_no_link_leads_around(tmp_path):
    logs = tmp_path / "logs"
    log(logs / "2023" / "a.json", "a")
    log(tmp_path / "other disk" / "deep" / "b.json", "b")
    (logs / "2024").symlink_to(tmp_path / "other disk")
    (logs / "2023" / "up").symlink_to("..")
    (logs / "2023 again").symlink_to("2023")
    (logs / "itself").symlink_to(".")
    (logs / "linked.json").symlink_to(logs / "2023" / "a.json")
    log(logs / ".hidden" / "c.json", "c")
    assert found(logs) == ["2023/a.json", "2024/deep/b.json", "linked.json"]
    (tmp_path / "alias").symlink_to(logs)
    assert found(tmp_path / "alias") == found(logs)
    told = run("stats", str(logs), "--json").json
    assert (told["events"], told["repeated"]) == (2, 1)


def test_a_file_that_cannot_be_read_is_told_by_name_and_the_others_are_read(tmp_path):
    log(tmp_path / "a.json", "a")
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / "round.json").symlink_to("round.json")
    log(tmp_path / "z.json", "z")
    told = run("stats", str(tmp_path), "--json").json
    assert (told["events"], told["read"]["malformed"], told["read"]["files"]) == (2, 2, 4)
    reasons = {Path(each["file"]).name: each["reason"] for each in told["read"]["told"]}
    assert reasons["gone.json"] == "the file cannot be read: No such file or directory"
    assert reasons["round.json"].startswith("the file cannot be read: ")


def test_a_file_that_is_removed_after_it_was_listed_has_no_size(tmp_path):
    (file,) = local_files(log(tmp_path / "a.json", "a"))
    (tmp_path / "a.json").unlink()
    assert (file, file.size) == (LocalLogFile(tmp_path / "a.json"), 0)


def test_what_is_neither_file_nor_folder_and_what_is_not_there_are_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "neither a file nor a folder" in run("stats", str(tmp_path / "pipe")).told
    assert "there is no file in" in run("stats", str(tmp_path)).told
    with pytest.raises(ResourceNotFoundError, match=r"there is no file .*nosuch$"):
        local_files(tmp_path / "nosuch")
