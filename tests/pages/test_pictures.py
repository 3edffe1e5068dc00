"""The pictures in README and the documents: each is shown, none is large, and without a product there are none."""

from __future__ import annotations

import struct

import pytest

from deploy.launcher.errors import LaunchError
from deploy.pictures import FOLDER, LARGEST_BYTES, PICTURES, Picture, take
from tests.architecture.tree import REPOSITORY
from tests.processes import free_port


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_every_picture_is_there_in_its_size_and_is_shown_somewhere(picture: Picture) -> None:
    png = (FOLDER / f"{picture.name}.png").read_bytes()
    texts = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]

    assert struct.unpack(">II", png[16:24]) == (picture.width, picture.height)
    assert any(f"pictures/{picture.name}.png" in path.read_text(encoding="utf-8") for path in texts)


def test_the_pictures_are_small_together_and_no_other_lies_beside_them() -> None:
    there = list(FOLDER.iterdir())

    assert sum(path.stat().st_size for path in there) < LARGEST_BYTES
    assert {path.name for path in there} == {f"{picture.name}.png" for picture in PICTURES}


async def test_where_nothing_answers_a_sentence_says_how_to_start_it() -> None:
    door = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(LaunchError, match=f"Nothing answers at {door}: start it with `make up`"):
        await take(door)
