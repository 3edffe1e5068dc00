"""What the door takes out of header fields and puts into them."""

import pytest

from deploy.door.fields import Fields, request_fields, response_fields


def sent_on(*fields: tuple[str, str], peer: str = "127.0.0.1", host: str = "localhost:8080") -> dict[str, str]:
    """What goes to the upstream, as text."""
    given: Fields = [(b"host", host.encode()), *((name.encode(), value.encode()) for name, value in fields)]
    kept = request_fields(given, peer=peer, scheme="http")
    assert len({name for name, _ in kept}) == len(kept)
    return {name.decode(): value.decode() for name, value in kept}


def test_fields_of_one_connection_stay_at_the_door() -> None:
    kept = sent_on(
        ("connection", "keep-alive, X-Only-Here"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("trailer", "x-sum"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("proxy-authorization", "Basic eDp5"),
        ("proxy-connection", "keep-alive"),
        ("x-only-here", "1"),
        ("accept", "*/*"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    )

    assert set(kept) == {
        *("host", "accept", "traceparent"),
        *("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "via"),
    }


def test_the_answers_fields_of_one_connection_stay_at_the_door() -> None:
    kept = response_fields(
        [
            (b"connection", b"close, x-mine"),
            (b"x-mine", b"1"),
            (b"transfer-encoding", b"chunked"),
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
        ]
    )

    assert kept == [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]


def test_a_client_cannot_name_away_what_frames_its_message() -> None:
    kept = sent_on(("connection", "content-length, host"), ("content-length", "5"))

    assert kept["content-length"] == "5"
    assert kept["host"] == "localhost:8080"


def test_a_stranger_is_not_believed_whom_he_speaks_for() -> None:
    kept = sent_on(
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "elsewhere"),
        ("x-forwarded-prefix", "/x"),
        ("forwarded", "for=127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        peer="10.1.2.3",
        host="lienthong.example",
    )

    assert kept == {
        "host": "lienthong.example",
        "x-forwarded-for": "10.1.2.3",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "lienthong.example",
        "via": "1.1 door",
    }


def test_a_terminator_on_this_machine_is_believed_and_its_list_lengthened() -> None:
    kept = sent_on(
        ("x-forwarded-for", "10.1.2.3"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "lienthong.example")
    )

    assert kept["x-forwarded-for"] == "10.1.2.3, 127.0.0.1"
    assert kept["x-forwarded-proto"] == "https"
    assert kept["x-forwarded-host"] == "lienthong.example"


@pytest.mark.parametrize(
    ("peer", "host", "others", "passes"),
    [
        ("127.0.0.1", "127.0.0.1:8080", (), True),
        ("::1", "[::1]:8080", (), True),
        ("::ffff:127.0.0.1", "localhost", (), True),
        ("127.8.9.10", "lienthong.localhost:8080", (), True),
        ("10.1.2.3", "localhost", (), False),
        ("::ffff:10.1.2.3", "localhost", (), False),
        ("2001:db8::1", "localhost", (), False),
        # Through a proxy on this machine: the peer says nothing of who asked.
        ("127.0.0.1", "localhost", (("x-forwarded-for", "10.1.2.3"),), False),
        ("127.0.0.1", "localhost", (("forwarded", "for=10.1.2.3"),), False),
        ("127.0.0.1", "localhost", (("via", "1.1 cache"),), False),
        # A page of another site whose name was made to point to this machine (DNS rebinding).
        ("127.0.0.1", "evil.example:8080", (), False),
        ("127.0.0.1", "localhost.evil.example", (), False),
    ],
)
def test_the_development_actor_passes_only_when_asked_on_this_machine(
    peer: str, host: str, others: tuple[tuple[str, str], ...], passes: bool
) -> None:
    kept = sent_on(("x-dev-actor", "id=officer-7; unit=H41.NN.01; roles=desk"), *others, peer=peer, host=host)

    assert ("x-dev-actor" in kept) is passes
