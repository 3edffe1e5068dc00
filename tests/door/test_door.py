"""The front door on real sockets: what passes, how it streams, and what it says when nobody is at home."""

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncIterator

import httpx
import psutil
import pytest

from deploy.door.addresses import PREFIXES
from tests.door.conftest import UPSTREAMS, TheDoor, a_door
from tests.door.standin import Asked, answer, read_body, read_head
from tests.processes import until

MEGABYTE = 1024 * 1024


async def test_a_request_reaches_the_service_of_its_prefix_with_its_address_unchanged(door: TheDoor) -> None:
    async with door.client() as client:
        for prefix in PREFIXES:
            await client.get(f"/{prefix}/a%2Fb/%C4%91//?q=%20a&q=b")
            await client.get(f"/{prefix}")

    for prefix, name in PREFIXES.items():
        lines = [asked.line for asked in door.behind[name].asked if asked.line.startswith(f"GET /{prefix}")]
        assert lines == [f"GET /{prefix}/a%2Fb/%C4%91//?q=%20a&q=b HTTP/1.1", f"GET /{prefix} HTTP/1.1"]
    assert set(PREFIXES.values()) == set(UPSTREAMS)


async def test_the_service_learns_who_asked_and_the_trace_goes_on(door: TheDoor) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    async with door.client() as client:
        await client.get("/intake/x", headers={"traceparent": trace, "x-dev-actor": "id=officer-7"})

    [asked] = door.behind["intake"].asked
    assert asked.values("traceparent") == [trace]
    assert asked.values("x-forwarded-for") == ["127.0.0.1"]
    assert asked.values("x-forwarded-host") == [f"127.0.0.1:{door.port}"]
    assert asked.values("host") == [f"127.0.0.1:{door.port}"]
    assert asked.values("x-dev-actor") == ["id=officer-7"]
    assert asked.values("connection") == []


async def test_a_body_is_on_its_way_before_the_client_has_sent_all_of_it(door: TheDoor) -> None:
    arrived = asyncio.Event()

    async def echo(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert asked.values("transfer-encoding") == ["chunked"]
        assert await reader.readexactly(10) == b"5\r\nfirst\r\n"
        arrived.set()
        assert await reader.readexactly(16) == b"6\r\nsecond\r\n0\r\n\r\n"
        writer.write(answer(b"both"))

    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        await arrived.wait()
        yield b"second"

    door.behind["intake"].behaviour = echo
    async with door.client() as client:
        answered = await client.post("/intake/x", content=parts())

    assert answered.text == "both"


async def test_a_live_stream_arrives_part_by_part_and_ends_when_the_client_leaves(door: TheDoor) -> None:
    routing = door.behind["routing"]
    next_part = asyncio.Semaphore(1)
    left = asyncio.Event()

    async def stream(_: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for number in range(3):
            await next_part.acquire()
            part = f"data: {number}\n\n".encode()
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
        assert await reader.read() == b""
        left.set()

    routing.behaviour = stream
    async with door.client() as client, client.stream("GET", "/routing/live") as answered:
        assert answered.headers["content-type"] == "text/event-stream"
        heard = []
        async for line in answered.aiter_lines():
            if line:
                heard.append(line)
                next_part.release()
            if len(heard) == 3:
                break

    assert heard == ["data: 0", "data: 1", "data: 2"]
    await asyncio.wait_for(left.wait(), 20)


async def test_a_slow_reader_makes_the_sender_wait_instead_of_filling_the_door(door: TheDoor) -> None:
    size = 96 * MEGABYTE
    sent = 0

    async def much(_: Asked, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n".encode())
        while sent < size:
            writer.write(b"x" * MEGABYTE)
            await writer.drain()
            sent += MEGABYTE

    seen: list[int] = []

    def stands_still() -> bool:
        seen.append(sent)
        return len(seen) > 20 and len(set(seen[-20:])) == 1

    door.behind["reporting"].behaviour = much
    process = psutil.Process(door.pid)
    before = process.memory_info().rss
    async with door.client() as client, client.stream("GET", "/reporting/export") as answered:
        await until(stands_still, "the sender stands still")
        grown = process.memory_info().rss - before
        received = sum([len(part) async for part in answered.aiter_raw()])

    assert grown < 16 * MEGABYTE
    assert received == size


async def test_a_slow_service_makes_the_client_wait_instead_of_filling_the_door(door: TheDoor) -> None:
    size = 96 * MEGABYTE
    sent = 0
    go_on = asyncio.Event()

    async def later(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        read = 0
        while read < size:
            read += len(await reader.read(MEGABYTE))
        writer.write(answer(str(read).encode()))

    async def much() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < size:
            sent += MEGABYTE
            yield b"x" * MEGABYTE

    seen: list[int] = []

    def stands_still() -> bool:
        seen.append(sent)
        return len(seen) > 20 and seen[-1] > 0 and len(set(seen[-20:])) == 1

    door.behind["intake"].behaviour = later
    process = psutil.Process(door.pid)
    before = process.memory_info().rss
    async with door.client() as client:
        request = asyncio.create_task(
            client.post("/intake/files", content=much(), headers={"content-length": str(size)})
        )
        await until(stands_still, "the client stands still")
        grown = process.memory_info().rss - before
        go_on.set()
        answered = await request

    assert grown < 16 * MEGABYTE
    assert answered.text == str(size)


async def test_an_early_refusal_of_a_large_body_is_seen(door: TheDoor) -> None:
    """As uvicorn does it: the answer comes after little was read, the rest is read to nowhere."""

    async def refuse(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1000)
        writer.write(answer(b"too much", "413 Content Too Large"))
        await reader.readexactly(int(asked.values("content-length")[0]) - 1000)

    door.behind["intake"].behaviour = refuse
    async with door.client() as client:
        answered = await client.post("/intake/x", content=b"x" * 30 * MEGABYTE)
        door.behind["intake"].behaviour = None
        after = await client.get("/intake/x")

    assert (answered.status_code, answered.text) == (413, "too much")
    assert (after.status_code, after.text) == (200, "well")


async def test_an_early_refusal_is_seen_by_a_client_that_reads_while_it_sends(door: TheDoor) -> None:
    """The answer is there although the client has sent only half, and the service has stopped listening."""

    async def refuse(_: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1000)
        writer.write(answer(b"too much", "413 Content Too Large", "connection: close\r\n"))
        await writer.drain()
        writer.close()

    door.behind["intake"].behaviour = refuse
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(f"POST /intake/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: {30 * MEGABYTE}\r\n\r\n".encode())
    writer.write(b"x" * 2000)

    head = await read_head(reader)
    body = await read_body(reader, head)
    writer.close()

    assert head.line.startswith("HTTP/1.1 413 ")
    assert body == b"too much"


async def test_an_early_refusal_is_seen_although_the_service_resets_the_connection(door: TheDoor) -> None:
    """What nginx or a service that is stopping does: answer, and close with unread bytes, which is a TCP reset."""

    async def refuse(_: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1000)
        writer.write(answer(b"too much", "413 Content Too Large", "connection: close\r\n"))
        writer.close()

    door.behind["intake"].behaviour = refuse
    async with door.client() as client:
        answers = [await client.post("/intake/x", content=b"x" * 30 * MEGABYTE) for _ in range(20)]

    assert [answered.status_code for answered in answers] == [413] * 20


async def test_an_early_refusal_is_seen_by_a_client_that_closes_after_its_request(door: TheDoor) -> None:
    """urllib sends `Connection: close` and all of its body before it reads; a reset would hide the answer."""

    async def refuse(_: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1000)
        writer.write(answer(b"too much", "413 Content Too Large"))
        await writer.drain()
        await reader.read()

    def post() -> tuple[int, bytes]:
        request = urllib.request.Request(door.url + "/intake/x", data=b"x" * 30 * MEGABYTE, method="POST")  # noqa: S310
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answered:
                return answered.status, answered.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    door.behind["intake"].behaviour = refuse

    assert await asyncio.to_thread(post) == (413, b"too much")


async def test_a_client_that_asks_first_is_not_made_to_send_what_is_refused(door: TheDoor) -> None:
    async def refuse(_: Asked, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"too much", "413 Content Too Large"))

    door.behind["intake"].behaviour = refuse
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(
        b"POST /intake/x HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 30000000\r\n\r\n"
    )

    head = await read_head(reader)
    body = await read_body(reader, head)
    rest = await reader.read()
    writer.close()

    assert head.line.startswith("HTTP/1.1 413 ")
    assert head.values("connection") == ["close"]
    assert (body, rest) == (b"too much", b"")


async def test_a_client_that_asks_first_sends_when_the_service_says_so(door: TheDoor) -> None:
    async def take(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert asked.values("expect") == ["100-continue"]
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        writer.write(answer(await read_body(reader, asked)))

    door.behind["intake"].behaviour = take
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(b"POST /intake/x HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
    permission = await read_head(reader)
    writer.write(b"body")

    head = await read_head(reader)
    body = await read_body(reader, head)
    writer.close()

    assert permission.line == "HTTP/1.1 100 Continue"
    assert (head.line, body) == ("HTTP/1.1 200 OK", b"body")


async def test_a_service_that_is_away_is_named_and_found_again_when_it_is_back(door: TheDoor) -> None:
    notification = door.behind["notification"]
    await notification.stop()
    async with door.client() as client:
        away = await client.post("/notification/x", content=b"x")
        page = await client.get("/notification/", headers={"accept": "text/html"})
        await notification.start()
        back = await client.post("/notification/x", content=b"x")

    assert away.status_code == 503
    assert away.headers["content-type"] == "application/problem+json"
    assert away.headers["retry-after"]
    problem = away.json()
    assert (problem["type"], problem["status"], problem["service"]) == ("/problems/service-away", 503, "notification")
    assert "nothing was sent" in problem["detail"]
    assert problem["do"]
    assert page.status_code == 503
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert back.text == "well"


async def test_a_client_that_sends_much_to_a_service_that_is_away_sees_the_answer(door: TheDoor) -> None:
    await door.behind["notification"].stop()
    async with door.client() as client:
        away = await client.post("/notification/x", content=b"x" * 30 * MEGABYTE, headers={"connection": "close"})
    await door.behind["notification"].start()

    assert away.status_code == 503


async def test_a_service_that_breaks_off_before_its_answer_is_502_and_says_what_is_not_known(door: TheDoor) -> None:
    async def die(_: Asked, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    door.behind["intake"].behaviour = die
    async with door.client() as client:
        answered = await client.post("/intake/x", content=b"x")

    assert answered.status_code == 502
    assert answered.json()["type"] == "/problems/service-broke-off"
    assert "Idempotency-Key" in answered.json()["do"]


async def test_an_answer_that_is_not_http_is_502(door: TheDoor) -> None:
    async def talk(_: Asked, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    door.behind["intake"].behaviour = talk
    async with door.client() as client:
        answered = await client.get("/intake/x")

    assert answered.status_code == 502


async def test_a_service_that_keeps_silent_is_504() -> None:
    async def keep_silent(_: Asked, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await reader.read()

    async with a_door(DOOR_ANSWER_SECONDS="0.3") as door, door.client() as client:
        door.behind["intake"].behaviour = keep_silent
        answered = await client.post("/intake/x", content=b"x")
        in_parts = await client.post("/intake/x", content=_in_parts(b"x", b"y"))

    assert answered.status_code == in_parts.status_code == 504
    assert answered.json()["type"] == "/problems/service-late"


async def test_a_live_stream_may_be_silent_for_longer_than_an_answer_may_be_late() -> None:
    go_on = asyncio.Event()

    async def pause(_: Asked, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc")
        await go_on.wait()
        writer.write(b"def")

    async with a_door(DOOR_ANSWER_SECONDS="0.1") as door, door.client() as client:
        door.behind["intake"].behaviour = pause
        async with client.stream("GET", "/intake/live") as answered:
            # Another request that is given up in the meantime shows that the limit has passed.
            door.behind["routing"].behaviour = pause_for_ever
            assert (await client.get("/routing/x")).status_code == 504
            go_on.set()
            body = b"".join([part async for part in answered.aiter_raw()])

    assert body == b"abcdef"


async def pause_for_ever(_: Asked, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await reader.read()


async def test_an_answer_that_breaks_off_in_its_middle_is_not_taken_for_whole(door: TheDoor) -> None:
    async def half(_: Asked, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        await writer.drain()
        writer.transport.abort()

    door.behind["intake"].behaviour = half
    async with door.client() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/intake/x")


async def test_an_answer_without_length_ends_with_its_connection(door: TheDoor) -> None:
    async def to_the_end(_: Asked, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nto the end")
        await writer.drain()
        writer.close()

    door.behind["intake"].behaviour = to_the_end
    async with door.client() as client:
        answered = await client.get("/intake/x")

    assert answered.text == "to the end"


@pytest.mark.parametrize(
    ("method", "fields", "again"),
    [("GET", {}, True), ("POST", {"idempotency-key": "k1"}, True), ("POST", {}, False)],
)
async def test_what_meets_a_closing_connection_is_sent_again_only_if_that_is_harmless(
    door: TheDoor, method: str, fields: dict[str, str], again: bool
) -> None:
    dying = True

    async def die_once(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal dying
        await read_body(reader, asked)
        if dying:
            dying = False
            writer.transport.abort()
        else:
            writer.write(answer(b"well"))

    reporting = door.behind["reporting"]
    async with door.client() as client:
        await client.get("/reporting/x")
        reporting.behaviour = die_once
        answered = await client.request(method, "/reporting/x", content=b"x", headers=fields)

    assert answered.status_code == (200 if again else 502)
    assert [asked.line.split()[0] for asked in reporting.asked] == ["GET", method, *([method] if again else [])]


async def test_answers_without_a_body_leave_the_connection_in_order(door: TheDoor) -> None:
    async def by_address(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(reader, asked)
        method, path, _ = asked.line.split()
        if method == "HEAD":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n")
        elif path.endswith("304"):
            writer.write(b'HTTP/1.1 304 Not Modified\r\ncontent-length: 1234\r\netag: "a"\r\n\r\n')
        elif path.endswith("204"):
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            writer.write(answer(b"body"))

    intake = door.behind["intake"]
    intake.behaviour = by_address
    async with door.client() as client:
        head = await client.head("/intake/x")
        first = await client.get("/intake/x")
        unchanged = await client.get("/intake/304")
        nothing = await client.get("/intake/204")
        second = await client.get("/intake/x")

    assert (head.status_code, head.headers["content-length"], head.content) == (200, "1234", b"")
    assert (unchanged.status_code, unchanged.headers["etag"], unchanged.content) == (304, '"a"', b"")
    assert (nothing.status_code, nothing.content) == (204, b"")
    assert (first.text, second.text) == ("body", "body")
    assert intake.connections <= 1


async def test_an_answer_that_nobody_asked_for_is_not_given_to_the_next(door: TheDoor) -> None:
    async def twice(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(reader, asked)
        writer.write(answer(asked.line.encode()) + answer(b"stray", "500 Stray"))

    intake = door.behind["intake"]
    intake.behaviour = twice
    async with door.client() as client:
        answers = [await client.get(f"/intake/{number}") for number in range(5)]

    assert [(one.status_code, one.text) for one in answers] == [(200, f"GET /intake/{n} HTTP/1.1") for n in range(5)]


async def test_two_hundred_clients_at_once_are_all_answered(door: TheDoor) -> None:
    waiting = asyncio.Barrier(200)

    async def together(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = await read_body(reader, asked)
        await waiting.wait()
        writer.write(answer(body))

    door.behind["intake"].behaviour = together
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(base_url=door.url, trust_env=False, timeout=60, limits=limits) as client:
        answers = await asyncio.gather(
            *(client.post("/intake/x", content=str(number).encode()) for number in range(200))
        )

    assert [answered.text for answered in answers] == [str(number) for number in range(200)]


async def test_a_service_whose_connections_are_all_in_use_is_busy_and_then_not() -> None:
    release = asyncio.Event()

    async def hold(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(answer(b"well"))

    async with a_door(DOOR_CONNECTIONS="1", DOOR_QUEUE_SECONDS="0.2") as door, door.client() as client:
        intake = door.behind["intake"]
        intake.behaviour = hold
        first = asyncio.create_task(client.get("/intake/1"))
        await until(lambda: len(intake.asked) == 1, "the first request has the only connection")
        refused = await client.get("/intake/2")
        release.set()
        answered = await first
        after = await client.get("/intake/3")

    assert refused.status_code == 503
    assert refused.json()["type"] == "/problems/service-busy"
    assert (answered.status_code, after.status_code) == (200, 200)


async def test_a_client_that_leaves_frees_its_connection(door: TheDoor) -> None:
    intake = door.behind["intake"]
    intake.behaviour = pause_for_ever
    open_before = intake.open_connections
    _, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(b"GET /intake/x HTTP/1.1\r\nhost: localhost\r\n\r\n")
    await until(lambda: len(intake.asked) == 1, "the service has the request")

    writer.close()

    await until(lambda: intake.open_connections <= max(open_before - 1, 0), "the connection is closed")


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_not_waited_for(door: TheDoor) -> None:
    ended = asyncio.Event()

    async def wait_for_all(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await read_body(reader, asked)
        finally:
            ended.set()

    door.behind["intake"].behaviour = wait_for_all
    _, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(b"POST /intake/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\nhalf")
    await until(lambda: len(door.behind["intake"].asked) == 1, "the service has the request")

    writer.close()

    await asyncio.wait_for(ended.wait(), 20)


async def test_a_broken_request_is_refused_and_reaches_nobody(door: TheDoor) -> None:
    smuggled = b"POST /intake/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(smuggled)

    head = await read_head(reader)
    writer.close()

    assert head.line == "HTTP/1.1 400 Bad Request"
    assert door.behind["intake"].asked == []


async def test_an_unknown_address_says_what_addresses_there_are(door: TheDoor) -> None:
    async with door.client() as client:
        for_programs = await client.get("/intakes/x")
        for_people = await client.get("/<script>", headers={"accept": "text/html,*/*;q=0.8"})

    assert for_programs.status_code == for_people.status_code == 404
    assert for_programs.headers["content-type"] == "application/problem+json"
    assert for_programs.json()["type"] == "/problems/unknown-address"
    assert "Không có gì ở địa chỉ này" in for_people.text
    assert for_people.headers["date"]
    assert "<script>" not in for_people.text


async def test_the_door_is_ready_when_all_four_are_and_names_those_that_are_not(door: TheDoor) -> None:
    async def not_yet(asked: Asked, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert asked.line == "GET /health/ready HTTP/1.1"
        writer.write(answer(b"{}", "503 Service Unavailable"))

    async with door.client() as client:
        ready = await client.get("/health/ready")
        door.behind["routing"].behaviour = not_yet
        await door.behind["reporting"].stop()
        await door.behind["mail"].stop()
        not_ready = await client.get("/health/ready")
        live = await client.get("/health/live")
        await door.behind["reporting"].start()
        await door.behind["mail"].start()

    assert (ready.status_code, live.status_code) == (200, 200)
    assert not_ready.status_code == 503
    assert not_ready.json()["reasons"] == ["routing_not_ready", "reporting_away"]


async def test_the_front_page_links_what_there_is_in_two_languages(door: TheDoor) -> None:
    async with door.client() as client:
        page = await client.get("/")
        english = await client.get("/?lang=en")
        nowhere = await client.get("/nowhere", headers={"Accept": "text/html", "Accept-Language": "en"})

    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    for address in ("/intake/procedures/page", "/reporting/river", "/mail/", "/intake/docs", "/health/ready"):
        assert f'href="{address}"' in page.text
    assert "Tra cứu thủ tục" in page.text
    assert "Bộ phận báo cáo đang không trả lời" in page.text
    assert "Search the procedures" in english.text
    assert nowhere.status_code == 404
    assert "Nothing was found" in nowhere.text


async def test_a_door_without_a_mail_catcher_links_none_and_is_ready() -> None:
    async with a_door(UPSTREAM_MAIL="") as door, door.client() as client:
        page, letters, ready = [await client.get(path) for path in ("/", "/mail/", "/health/ready")]

    assert 'href="/mail/' not in page.text
    assert 'href="/reporting/"' in page.text
    assert letters.status_code == 404
    assert ready.status_code == 200


async def test_a_door_that_is_told_to_stop_ends_while_a_live_stream_is_open() -> None:
    async def stream(_: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nlive\r\n")
        await reader.read()

    async with a_door() as door, door.client() as client:
        door.behind["reporting"].behaviour = stream
        async with client.stream("GET", "/reporting/live") as answered:
            parts = answered.aiter_raw()
            await anext(parts)
            psutil.Process(door.pid).terminate()
            await until(lambda: not psutil.pid_exists(door.pid), "the door has ended")


async def _in_parts(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_a_service_that_stops_listening_in_the_middle_of_a_body_is_504() -> None:
    async def read_nothing(_: Asked, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with a_door(DOOR_ANSWER_SECONDS="0.3") as door, door.client() as client:
        door.behind["intake"].behaviour = read_nothing
        answered = await client.post("/intake/x", content=b"x" * 30 * MEGABYTE)

    assert answered.status_code == 504
