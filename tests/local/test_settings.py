"""`local.settings.json` is read as Core Tools reads it, and what is wrong with it is said in a sentence."""

import json
from pathlib import Path

import pytest

from local.processes import LocalError
from local.settings import local_values, route_prefix


def written(folder: Path, text: str | bytes, file: str = "local.settings.json") -> Path:
    (folder / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def test_values_are_texts_and_what_is_null_is_not_set(tmp_path):
    values = {"A": "a", "B": True, "C": 3, "D": None, "E": ""}
    found = local_values(written(tmp_path, json.dumps({"IsEncrypted": False, "Values": values}).encode("utf-8-sig")))
    assert found == {"A": "a", "B": "true", "C": "3", "E": ""}


@pytest.mark.parametrize("text", ["{}", '{"Values": {}}', '{"Values": null}', '{"Host": {}}'])
def test_a_file_without_values_sets_nothing(tmp_path, text):
    assert local_values(written(tmp_path, text)) == local_values(tmp_path / "no folder") == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"Values": {"KEY": "s3cr3t",}}', "cannot be read as JSON: .*line 1 column"),
        ("", "cannot be read as JSON"),
        ("{'Values': {'KEY': 's3cr3t'}}", "cannot be read as JSON"),
        (b'{"Values": {"KEY": "s3cr3t\xff"}}', "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ('["s3cr3t"]', "must hold a JSON object"),
        ('{"Values": ["s3cr3t"]}', "Values must be an object"),
        ('{"Values": {"KEY": {"a": "s3cr3t"}}}', "the value of 'KEY' must be a text"),
        ('{"Values": {"KEY": "s3cr3t\\u0000"}}', "the value of 'KEY' must be a text"),
        ('{"Values": {"KEY=": "s3cr3t"}}', "'KEY=' cannot be the name of a setting"),
        ('{"Values": {"": "s3cr3t"}}', "'' cannot be the name of a setting"),
        ('{"IsEncrypted": true, "Values": {"KEY": "s3cr3t"}}', "is encrypted"),
    ],
)
def test_what_cannot_be_used_is_named_and_no_value_is_repeated(tmp_path, text, told):
    with pytest.raises(LocalError, match=rf"local\.settings\.json:? {told}") as refused:
        local_values(written(tmp_path, text))
    assert "s3cr3t" not in str(refused.value)


def test_a_host_json_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(LocalError, match=r"host\.json cannot be read as JSON"):
        route_prefix(written(tmp_path, '{"version": "2.0",}', file="host.json"))
