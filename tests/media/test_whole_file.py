import pytest

from pipelines.errors import UnreadableMedia
from pipelines.media.whole_file import read_whole


def test_the_content_as_it_is(tmp_path):
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbfa\r\n\0")
    assert read_whole(tmp_path / "x", max_bytes=7) == b"\xef\xbb\xbfa\r\n\0"


def test_what_cannot_be_read_is_named_and_why(tmp_path):
    (tmp_path / "x").write_bytes(b"1234567")
    with pytest.raises(UnreadableMedia, match=r"x: 0 MiB, at most 0 MiB are plausible"):
        read_whole(tmp_path / "x", max_bytes=6)
    with pytest.raises(UnreadableMedia, match=r"absent: no such file or directory"):
        read_whole(tmp_path / "absent", max_bytes=6)
    with pytest.raises(UnreadableMedia, match="is a directory"):
        read_whole(tmp_path, max_bytes=2**20)
