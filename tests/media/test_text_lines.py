import pytest

from pipelines.errors import UnreadableMedia
from pipelines.media.text_lines import read_lines


@pytest.mark.parametrize("content", [b"a,b\n1,2\n3,4", b"a,b\r\n1,2\r\n3,4", b"\xef\xbb\xbfa,b\r1,2\r3,4"])
def test_every_kind_of_line_end_is_a_newline(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    assert read_lines(path, max_bytes=100) == (b"a,b", b"1,2\n3,4")


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UnreadableMedia, match="no such file"):
        read_lines(tmp_path / "absent.csv", max_bytes=100)
    (tmp_path / "large.csv").write_bytes(b"0" * 101)
    with pytest.raises(UnreadableMedia, match="0 MiB, at most 0 MiB are plausible"):
        read_lines(tmp_path / "large.csv", max_bytes=100)
