"""Public test vectors, kept beside the repository; a test that needs them says why it is skipped where they are not."""

import tarfile
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "vectors"


def vector(name: str) -> Path:
    """The file. Skips the test where it is absent."""
    file = FOLDER / name
    if not file.exists():
        pytest.skip(f"{name} is not beside the repository, in ../shared/data/vectors")
    return file


def members(name: str) -> dict[str, bytes]:
    """The files of a tar archive, by name, read without unpacking."""
    with tarfile.open(vector(name)) as archive:
        found: dict[str, bytes] = {}
        for member in archive.getmembers():
            file = archive.extractfile(member)
            if file is not None:
                found[Path(member.name).name] = file.read()
        return found
