"""What is published with a version says the same everywhere."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import yaml

from shared.version import release
from tests.architecture.tree import REPOSITORY, name_of, python_files

_PUBLIC: dict[str, Any] = yaml.safe_load((REPOSITORY / "publiccode.yml").read_text(encoding="utf-8"))
_TYPES = {"mobile", "iot", "desktop", "web", "backend", "other"}
_MANDATORY = {
    "publiccodeYmlVersion",
    "name",
    "url",
    "platforms",
    "categories",
    "developmentStatus",
    "softwareType",
    "description",
    "legal",
    "maintenance",
    "localisation",
}


def test_the_version_stands_in_one_place() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    elsewhere = [
        name_of(path)
        for path in python_files("shared", "services", "deploy")
        if re.search(r"version\s*=\s*\"\d+\.\d+\.\d+\"", path.read_text(encoding="utf-8"))
    ]

    assert release() == project["version"], "run `make up` or `make check`: the installed version is an older one"
    assert elsewhere == []


def test_the_changelog_begins_with_this_version() -> None:
    headings = re.findall(
        r"^## \[(.+?)\] - (unreleased|\d{4}-\d{2}-\d{2})$",
        (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )

    assert headings[0][0] == release()
    assert "unreleased" not in [said for _, said in headings[1:]], "one version at a time is unreleased"


def test_the_public_code_file_says_this_version_and_this_licence() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert _PUBLIC["softwareVersion"] == release()
    assert _PUBLIC["legal"]["license"] == project["license"]


def test_the_public_code_file_has_what_the_standard_demands() -> None:
    """The standard's core, version 0; its own validator is in no registry that a build of ours reaches."""
    assert _PUBLIC.keys() >= _MANDATORY
    assert _PUBLIC["publiccodeYmlVersion"] == "0"
    assert _PUBLIC["developmentStatus"] in {"concept", "development", "beta", "stable", "obsolete"}
    kind, _, which = _PUBLIC["softwareType"].partition("/")
    assert (kind, which in _TYPES) == ("standalone", True)
    assert _PUBLIC["maintenance"]["type"] in {"internal", "contract", "community", "none"}
    if _PUBLIC["maintenance"]["type"] in {"internal", "community"}:
        assert all(contact["name"] for contact in _PUBLIC["maintenance"]["contacts"])
    assert isinstance(_PUBLIC["localisation"]["localisationReady"], bool)
    assert _PUBLIC["localisation"]["availableLanguages"][0] == "vi"
    for told in _PUBLIC["description"].values():
        assert 0 < len(told["shortDescription"]) <= 150
        assert 150 <= len(told["longDescription"]) <= 10_000
        assert told["features"]
