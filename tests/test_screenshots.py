"""The pictures of the docs are those that `make screenshots` takes."""

from __future__ import annotations

import struct

from tools.screenshots import LARGEST, PICTURES, SHOTS


def test_every_picture_is_there_and_no_other_and_small() -> None:
    found = {file.stem: file.read_bytes() for file in PICTURES.iterdir()}
    assert found.keys() == SHOTS.keys()
    for name, picture in found.items():
        width, height = struct.unpack(">II", picture[16:24])
        assert picture.startswith(b"\x89PNG\r\n"), name
        assert len(picture) <= LARGEST, name
        assert width >= 500 and height >= 100, name
