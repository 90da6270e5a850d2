"""Segments: records come back in order, and a file that is not whole is never taken for one."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard

from evidence.canonical import canonical_json
from evidence.errors import StoreError, VerificationError
from evidence.merkle import leaf_hash
from evidence.segments import SegmentWriter, read_line, read_lines

FULL_DEVICE = Path("/dev/full")


def written(path: Path, lines: list[bytes]) -> SegmentWriter:
    writer = SegmentWriter(path)
    for line in lines:
        writer.append(line)
    writer.close()
    return writer


def records(count: int) -> list[bytes]:
    return [canonical_json({"number": number, "body": "x" * number}) for number in range(count)]


def test_lines_come_back_in_order_and_by_their_number(tmp_path: Path) -> None:
    lines = records(200)
    path = tmp_path / "deep" / "down" / "segment.zst"
    writer = written(path, lines)
    assert list(read_lines(path)) == lines
    assert [read_line(path, number) for number in (1, 2, 200)] == [lines[0], lines[1], lines[199]]
    assert (writer.lines, writer.raw_bytes) == (200, sum(len(line) + 1 for line in lines))


def test_the_leaf_of_a_record_is_the_hash_of_its_line_without_newline(tmp_path: Path) -> None:
    lines = records(5)
    assert written(tmp_path / "s.zst", lines).leaves == [leaf_hash(line) for line in lines]


def test_any_zstd_tool_reads_a_segment(tmp_path: Path) -> None:
    written(tmp_path / "s.zst", [b"one", b"two"])
    with (tmp_path / "s.zst").open("rb") as file:
        assert zstandard.ZstdDecompressor().stream_reader(file).read() == b"one\ntwo\n"


def test_a_record_may_be_longer_than_any_buffer(tmp_path: Path) -> None:
    long = b'{"body":"' + bytes(range(35, 91)) * 60_000 + b'"}'
    written(tmp_path / "s.zst", [b"before", long, b"after"])
    assert list(read_lines(tmp_path / "s.zst")) == [b"before", long, b"after"]


def test_a_segment_without_records_is_whole(tmp_path: Path) -> None:
    written(tmp_path / "s.zst", [])
    assert list(read_lines(tmp_path / "s.zst")) == []


def test_a_number_that_no_record_has_is_said_to_be_none(tmp_path: Path) -> None:
    written(tmp_path / "s.zst", [b"one"])
    for number in (0, 2):
        with pytest.raises(VerificationError, match=f"no record {number}"):
            read_line(tmp_path / "s.zst", number)


def test_a_stream_cut_off_anywhere_is_never_taken_for_a_whole_one(tmp_path: Path) -> None:
    written(tmp_path / "s.zst", records(60))
    whole = (tmp_path / "s.zst").read_bytes()
    taken = []
    for length in range(len(whole)):
        (tmp_path / "cut.zst").write_bytes(whole[:length])
        with contextlib.suppress(VerificationError):
            taken.append((length, len(list(read_lines(tmp_path / "cut.zst")))))
    assert taken == [], "lengths that were read without complaint, and how many records came"


def test_a_last_line_without_newline_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "s.zst").write_bytes(zstandard.ZstdCompressor().compress(b"one\ntwo"))
    with pytest.raises(VerificationError, match="cut off"):
        list(read_lines(tmp_path / "s.zst"))


@pytest.mark.parametrize("content", [b"no zstd at all", b"\x00" * 64, b'{"plain":"json"}\n'])
def test_what_is_not_a_segment_is_refused_with_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.zst").write_bytes(content)
    with pytest.raises(VerificationError) as caught:
        list(read_lines(tmp_path / "s.zst"))
    assert "s.zst" in caught.value.where


def test_bytes_after_the_end_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "s.zst", [b"one"])
    with (tmp_path / "s.zst").open("ab") as file:
        file.write(b"more")
    with pytest.raises(VerificationError):
        list(read_lines(tmp_path / "s.zst"))


def test_threads_may_append_and_each_gets_the_number_of_its_own_line(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "s.zst")

    def append_some(thread: int) -> list[tuple[int, bytes]]:
        lines = [b"thread %d line %d" % (thread, number) for number in range(250)]
        return [(writer.append(line), line) for line in lines]

    with ThreadPoolExecutor(8) as threads:
        placed = [pair for pairs in threads.map(append_some, range(8)) for pair in pairs]
    writer.close()
    lines = list(read_lines(tmp_path / "s.zst"))
    assert lines == [line for _, line in sorted(placed)]
    assert sorted(number for number, _ in placed) == list(range(1, 2001))
    assert writer.leaves == [leaf_hash(line) for line in lines]


@pytest.mark.skipif(not FULL_DEVICE.exists(), reason="needs /dev/full")
def test_a_full_disk_says_what_to_do_and_can_be_given_up(tmp_path: Path) -> None:
    (tmp_path / "s.zst").symlink_to(FULL_DEVICE)
    writer = SegmentWriter(tmp_path / "s.zst")
    writer.append(b"a record")
    with pytest.raises(StoreError, match="No space left") as caught:
        writer.close()
    assert "Make room" in caught.value.mend
    writer.abandon()


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="could not be written"):
        SegmentWriter(tmp_path / "file" / "s.zst")
