"""What lies where logs do, but is no log of lines: it is known by what it holds, and told once a file."""

import contextlib
import gzip

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.errors import KindNotReadError, NoLogError
from shared.joining.layout import check_beginning, is_beside, objects
from shared.joining.splitting import MAX_LINE
from shared.services.importing.accounts import HowFar
from tests.builders import after
from tests.joining.test_foreign import PERSONALIZER
from tests.services.importing.reading_files import MemoryFile, read_files

LINE = orjson.dumps(PERSONALIZER)
OTHER = orjson.dumps({**PERSONALIZER, "EventId": "e2"})
CHECKPOINT = b'{"BlockPosition":{"BlobName":"20170814000000/data/2024/07/12_0.json","BlockName":"0019"},"EventPosition":{"3":{"Offset":2}}}'


async def read(data: bytes, name: str = "log.json", *, size: int = 1000) -> HowFar:
    _, done = await read_files([MemoryFile(name, data, block=size)], now=after(0))
    return done


INDENTED = orjson.dumps(PERSONALIZER, option=orjson.OPT_INDENT_2)
WHOLE_FILES = {
    "an array on one line": (b"[" + LINE + b"," + OTHER + b"]", "a JSON array"),
    "an array with an event a line": (b"[\n" + LINE + b",\n" + OTHER + b"\n]\n", "a JSON array"),
    "an array whose first event is on its first line": (b"[" + LINE + b",\n" + OTHER + b"]\n", "a JSON array"),
    "an indented array": (orjson.dumps([PERSONALIZER, PERSONALIZER], option=orjson.OPT_INDENT_2), "a JSON array"),
    "an indented event": (INDENTED, "indented JSON"),
    "indented events, one behind the other": (INDENTED + b"\n" + INDENTED + b"\r\n" + INDENTED, "indented JSON"),
    "an event with its first member on the first line": (INDENTED.replace(b"{\n  ", b"{ ", 1), "indented JSON"),
    "an event that is indented by nothing": (INDENTED.replace(b"\n  ", b"\n").replace(b"\n  ", b"\n"), "indented JSON"),
    "UTF-16 with a mark": ((LINE + b"\n" + OTHER).decode().encode("utf-16"), "UTF-16, as PowerShell"),
    "UTF-16 without a mark": ((LINE + b"\n" + OTHER).decode().encode("utf-16-le"), "UTF-16LE"),
    "UTF-16 the other way round": ((LINE + b"\n" + OTHER).decode().encode("utf-16-be"), "iconv -f UTF-16BE"),
    "UTF-32": (LINE.decode().encode("utf-32"), "UTF-32"),
    "a zip archive": (b"PK\x03\x04" + bytes(range(256)) * 9, "a zip archive"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(range(256)) * 9, "packed by zstd"),
    "gzip twice": (gzip.compress(gzip.compress(LINE)), "packed by gzip twice"),
    "a tar archive": (b"17.json".ljust(257, b"\0") + b"ustar" + bytes(250) + LINE, "a tar archive"),
    "Avro": (b"Obj\x01" + bytes(range(256)) * 9, "an Avro file"),
    "Parquet": (b"PAR1" + bytes(range(256)) * 9, "a Parquet file"),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(("data", "reason"), WHOLE_FILES.values(), ids=WHOLE_FILES)
async def test_a_file_that_is_no_log_of_lines_is_refused_in_one_sentence(data, reason, pack):
    done = await read(pack(data))
    assert (done.malformed, done.passed_over, len(done.told)) == (1, 0, 1)
    assert reason in done.told[0].reason
    (fate,) = done.fates
    assert (fate.read, fate.refused, len(fate.remarks)) == (0, 1, 1)


BESIDE = {
    "a checkpoint of Azure's": ("20170814000000/checkpoint/storage-checkpoint.json", CHECKPOINT),
    "the same, indented": ("storage-checkpoint.json", orjson.dumps(orjson.loads(CHECKPOINT), option=orjson.OPT_INDENT_2)),
    "metrics": ("metrics.json", b'{\n  "total_predict_calls": 23,\n  "cbea_sum_cost": -12.0\n}\n'),
    "a model": ("exported-models/current", b"\x06\0\0\x009.8.0\0J\0\0\0" + bytes(range(256)) * 20),
    "a model of another name": ("anything", b"\x07\0\0\x008.11.0\0J\0\0\0" + bytes(range(256)) * 20),
    "a checkpoint that holds one": ("checkpoint/current.dat", b"\x06\0\0\x009.8.0\0" + b"\n{\n[" * 50),
    "a checkpoint of any text": ("x/checkpoint/current.dat", b"<ModelCheckpoint/>\nmore\nand more"),
    "what is binary": ("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256))),
    "a list": ("list.json", b'[{"id":1},{"id":2}]'),
    "an indented list": ("list.json", b'[\n  {"id": 1}\n]'),
    "a saved configuration": ("configuration.json", b'{"rewardWaitTime":"PT10M","defaultReward":0.0}'),
    "a line that is no object": ("x.json", b"[1,2,3]\n"),
}


@pytest.mark.parametrize(("name", "data"), BESIDE.values(), ids=BESIDE)
async def test_what_lies_beside_logs_is_passed_over_in_one_line_and_not_counted_as_damaged(name, data):
    done = await read(data, name)
    assert (done.malformed, done.passed_over, done.told) == (0, 1, ())
    assert [len(fate.remarks) for fate in done.fates] == [1]


async def test_lines_that_begin_with_a_bracket_are_passed_over_among_events():
    done = await read(b'[{"Item1":"checkpoint"}]\n' + LINE + b"\n[info] begun\n" + OTHER + b'\n[{"Item1":"checkpoint"}]')
    (fate,) = done.fates
    assert (fate.read, fate.skipped, fate.refused) == (2, 3, 0)
    assert [(each.line, each.count) for each in fate.remarks] == [(1, 3)]


async def test_a_list_among_events_is_passed_over_whatever_it_holds():
    for held in (b"[" + LINE + b"," + LINE + b"]", b"[" + LINE[:100], b'[{"RewardValue":1.0}]'):
        (fate,) = (await read(LINE + b"\n" + held + b"\n" + OTHER)).fates
        assert (fate.read, fate.skipped, fate.refused) == (2, 1, 0)
    assert (await read(b'[{"RewardValue":1.0,"EventId":"e"}]\n' + LINE)).fates[0].read == 1


async def test_an_object_that_is_cut_off_takes_no_event_with_it():
    (fate,) = (await read(b'{"_label_cost": -1,\n  "a": [1\n' + LINE + b"\n" + OTHER)).fates
    assert (fate.read, fate.refused) == (2, 1)


async def test_marks_and_padding_of_files_that_were_put_together_are_no_part_of_a_line():
    (fate,) = (await read(b"\xef\xbb\xbf" + LINE + b"\n\xef\xbb\xbf" + OTHER + b"\n" + bytes(500) + LINE + b"\n" + bytes(500))).fates
    assert (fate.read, fate.refused, fate.skipped) == (3, 0, 0)


async def test_lines_that_end_with_a_comma_are_read_and_long_arrays_are_still_arrays():
    (fate,) = (await read(LINE + b",\n" + OTHER + b"\n")).fates
    assert (fate.read, fate.refused) == (2, 0)
    long = await read(b"[" + b",".join([LINE] * (MAX_LINE // len(LINE) + 2)) + b"]", size=1 << 20)
    assert (long.malformed, "a JSON array" in long.told[0].reason) == (1, True)


TOGETHER = {
    "commas and blanks behind": LINE + b" , \r\n" + OTHER + b" ,\t\n",
    "commas before": LINE + b"\n, " + OTHER + b"\n,\n",
    "files without a last line feed": LINE + OTHER + b"\n",
    "and with marks, NULs and commas between": b"\xef\xbb\xbf" + LINE + b"\0\xef\xbb\xbf " + OTHER + b" ,",
    "ends of lines of old Macs": LINE + b"\r" + OTHER + b"\r",
    "the second of another type": LINE + OTHER.replace(b'"e2"', b'"e2","VWState":7'),
}


@pytest.mark.parametrize("data", TOGETHER.values(), ids=TOGETHER)
async def test_events_that_were_put_together_in_one_line_or_with_commas_are_read(data):
    events, done = await read_files([MemoryFile("log.json", data)], now=after(0))
    assert [event.decision.event_id for event in events] == ["e1", "e2"]
    assert (done.malformed, done.passed_over) == (0, 0)


async def test_of_a_line_with_several_events_each_is_judged_by_itself():
    done = await read(LINE + b'{"x":1}' + LINE.replace(b'"e1"', b"[]", 1).replace(b'"EventId":"e1"', b'"EventId":[]') + OTHER[:90])
    (fate,) = done.fates
    assert (done.lines, fate.read, fate.skipped, fate.refused) == (4, 1, 1, 2)
    assert [remark.line for remark in fate.remarks] == [1, 1, 1]
    cut = await read(LINE + OTHER[:90] + b"\n" + OTHER)
    assert [(each.read, each.refused) for each in cut.fates] == [(2, 1)]


async def test_a_line_whose_beginning_was_lost_is_no_array():
    done = await read(b'[2,1],"p":[0.8,0.2],"c":{"_multi":[{}]}}\n' + LINE)
    (fate,) = done.fates
    assert (fate.read, fate.skipped, fate.refused) == (1, 1, 0)


@given(
    st.lists(st.sampled_from([LINE, b"{}", b'{"a":[1,{"b":"}{"}]}', b"[1]", b"7", b"{", b'"', b"\xff"]), max_size=6),
    st.sampled_from([b"", b" ", b",", b"\r"]),
)
def test_the_objects_of_a_line_are_all_of_it_but_what_stands_between(parts, between):
    line = between.join(parts)
    found = list(objects(line))
    assert b"".join(found).replace(between, b"") == line.replace(between, b"")
    assert all(found)
    if all(part.startswith(b"{") and part.endswith(b"}") for part in parts):
        assert found == parts


async def test_events_before_and_behind_an_indented_one_are_read():
    done = await read(LINE + b"\n" + INDENTED + b"\n" + OTHER)
    (fate,) = done.fates
    assert (fate.read, fate.refused) == (2, 1)
    assert fate.remarks[0].line == 2


async def test_a_line_that_is_cut_off_is_damaged_and_those_around_it_are_read():
    for cut in (LINE[:100] + b"\n" + OTHER, LINE + b"\n" + OTHER[:100], LINE[:100] + b"\n\n" + OTHER):
        (fate,) = (await read(cut)).fates
        assert (fate.read, fate.refused, fate.remarks[0].reason) == (1, 1, "not a line of dsjson: Input data was truncated")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"time,action,reward", "it does not begin with {"),
        (b"shared |User id=a", "Vowpal Wabbit's own text format"),
        (b"0:-1:0.5 |Action topic=snow", "Vowpal Wabbit's own text format"),
        (b"|Action topic=snow", "Vowpal Wabbit's own text format"),
        (b'{"_label":{"Action":1,"Cost":-1,"Probability":0.5},"_multi":[{"a":1}]}', "--json format"),
        (b'{"_labelIndex":0,"_label_cost":-1,"_label_probability":0.5,"_multi":[{"a":1}]}', "--json format"),
        (b'"_label_cost":-1}', "it does not begin with {"),
    ],
)
async def test_lines_of_another_format_are_told_once_a_file(line, reason):
    done = await read((line + b"\n") * 30)
    assert (done.malformed, len(done.told), reason in done.told[0].reason) == (30, 1, True)
    assert [(each.count, each.line) for each in done.fates[0].remarks] == [(30, 1)]


async def test_a_log_is_read_whatever_its_file_is_called():
    for name in ("current.dat", "checkpoint/x", "a.vw", "metadata.json"):
        assert (await read(LINE + b"\n{broken}\n" + OTHER, name)).fates[0].read == 2


FRAGMENTS = [
    LINE,
    OTHER,
    LINE[:50],
    LINE[50:],
    b"[",
    b"]",
    b"{",
    b"}",
    b" {",
    b"[{",
    b"},",
    b"",
    b"\0\0",
    b"\xef\xbb\xbf",
    b"[info] x",
    b"|a b",
    b'"x":',
    b"\x1f\x8b",
]


@given(
    st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=6), max_size=12), st.sampled_from([b"\n", b"\r\n", b""]), st.integers(1, 3_000)
)
@settings(deadline=None)
async def test_whatever_stands_in_a_file_its_lines_are_counted_once_and_blocks_change_nothing(fragments, end, size):
    data = end.join(fragments)
    whole, parts = await read(data, size=1 << 20), await read(data, size=size)
    assert whole.fates == parts.fates
    assert (whole.lines, whole.malformed, whole.passed_over, whole.told) == (parts.lines, parts.malformed, parts.passed_over, parts.told)
    (fate,) = whole.fates
    assert (fate.refused, fate.skipped) == (whole.malformed, whole.passed_over)
    assert fate.read <= whole.lines
    assert len(whole.told) <= whole.malformed


async def test_however_a_file_is_cut_into_blocks_what_is_said_of_it_is_the_same():
    for data in (INDENTED, WHOLE_FILES["UTF-16 with a mark"][0], BESIDE["a model"][1]):
        whole = await read(data, size=1 << 20)
        for size in (1, 7, 64):
            assert (await read(data, size=size)).fates == whole.fates


def test_the_beginning_of_any_bytes_is_looked_at_without_another_error():
    for byte in range(256):
        for head in (bytes([byte]), bytes([byte]) * 3, bytes([byte, 0]) * 600, b"\0" + bytes([byte])):
            with contextlib.suppress(KindNotReadError, NoLogError):
                check_beginning(head)


def test_files_are_known_as_azures_own_by_their_names():
    for name in ("current.dat", "C:\\logs\\checkpoint\\any", "mirror-storage-checkpoint.json", "m/client.vw", "apprenticeModeMetrics.json"):
        assert is_beside(name), name
    for name in ("17_0.json", "data/2023/05/17_0000000000.json", "models/17.json", "checkpoint"):
        assert not is_beside(name), name
