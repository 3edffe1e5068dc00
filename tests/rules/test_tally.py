"""Comparing tallies: what is missing, what merely differs, and what passes on the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.bus.tally.rules import BUCKETS, Standing, bucket_of, lacking, shard_of_bucket, standing, wait_for
from shared.bus.tally.wire import (
    Asked,
    Bucket,
    Lack,
    Message,
    NeverSaid,
    Place,
    Said,
    Tallied,
    UnreadableError,
    message_of,
    record_of,
)
from shared.journal import shard_of
from shared.topics import Service

NOON = datetime(2026, 11, 25, 5, tzinfo=UTC)
SUBJECTS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=200)


@given(SUBJECTS)
def test_a_bucket_lies_in_one_shard(subject: str) -> None:
    assert shard_of_bucket(bucket_of(subject)) == shard_of(subject)
    assert 0 <= bucket_of(subject) < BUCKETS


@given(said=st.integers(0, 40), heard=st.integers(0, 40), held=st.sets(st.integers(1, 50)))
def test_what_is_lacking_is_neither_heard_nor_held_and_was_said(said: int, heard: int, held: set[int]) -> None:
    spans = lacking("d", said, heard, held)

    named = [version for span in spans for version in range(span.first, span.last + 1)]
    assert named == [version for version in range(heard + 1, said + 1) if version not in held]
    assert all(one.last + 1 < following.first for one, following in pairwise(spans))


def test_a_bucket_with_fewer_versions_is_behind_and_one_with_as_many_others_is_other() -> None:
    theirs = Bucket(3, 2, 7, "00000000000000aa")

    assert standing(theirs, theirs) is Standing.EVEN
    assert standing(theirs, None) is Standing.BEHIND
    assert standing(theirs, Bucket(3, 2, 6, "00000000000000bb")) is Standing.BEHIND
    assert standing(theirs, Bucket(3, 2, 7, "00000000000000bb")) is Standing.OTHER
    assert standing(theirs, Bucket(3, 3, 8, "00000000000000bb")) is Standing.OTHER
    assert standing(Bucket(3, 0, 0, f"{0:016x}"), None) is Standing.EVEN


def test_each_question_waits_twice_as_long_as_the_one_before_it_but_never_longer_than_a_rotation() -> None:
    assert [wait_for(asked, 30, 3600) for asked in (1, 2, 3, 7, 90)] == [60, 120, 240, 3600, 3600]


@pytest.mark.parametrize(
    "message",
    [
        Said(Service.INTAKE, (("d", 3), ("unit:ư", 1))),
        Said(Service.INTAKE, (("d", 7),), "intake.contact"),
        Asked(Service.NOTIFICATION, Service.INTAKE, topic="intake.contact", states=("d",)),
        Tallied(Service.ROUTING, NOON, "", None, (Bucket(95, 4, 9, "00ff00ff00ff00ff"),)),
        Asked(
            Service.REPORTING,
            Service.INTAKE,
            places=(Place("a", "b", 7),),
            heard=(("d", 2),),
            lacking=(Lack("d", 3, 3),),
            shards=(0, 11),
        ),
        Asked(Service.REPORTING, Service.INTAKE, held=(("d", 2),), at=NOON),
        NeverSaid(Service.INTAKE, Service.REPORTING, (("d", 0),), NOON),
    ],
)
def test_a_message_is_read_as_it_was_written(message: Message) -> None:
    key, body, headers = record_of(message, NOON)

    assert message_of(body) == message
    assert dict(headers)["ce_type"] == f"lienthong.control.{type(message).__name__}".encode()
    assert key in {b"intake", b"routing", b"notification", b"reporting"}


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b"{",
        b"[]",
        b'{"type":"Said"}',
        b'{"type":"Later","source":"intake"}',
        b'{"type":"Said","source":"mayor","heads":[]}',
        b'{"type":"Said","source":"intake","heads":[["d",-1]]}',
        b'{"type":"Said","source":"intake","heads":[["d",2147483648]]}',
        b'{"type":"Said","source":"intake","heads":[["d\\u0000",1]]}',
        b'{"type":"Said","source":"intake","heads":[["",1]]}',
        b'{"type":"Tallied","source":"intake","recorded":"2026-11-25T05:00:00Z","low":"","high":null,"buckets":[[1,1,1,"x"]]}',
        b'{"type":"NeverSaid","source":"intake","hearer":"reporting","heads":[],"at":"2026-11-25T05:00:00"}',
        b'{"type":"NeverSaid","source":"intake","hearer":"reporting","heads":[["",1]],"at":"2026-11-25T05:00:00Z"}',
        b'{"type":"Asked","hearer":"reporting","source":"intake","held":[["d",2147483648]],"at":null}',
    ],
)
def test_what_is_no_message_of_control_is_refused(body: bytes | None) -> None:
    with pytest.raises(UnreadableError):
        message_of(body)


def test_fields_of_a_newer_release_are_passed_over() -> None:
    assert message_of(b'{"type":"Said","source":"intake","heads":[["d",1]],"mood":"calm"}') == Said(
        Service.INTAKE, (("d", 1),)
    )
