"""Who may come in."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import UsageError
from stream.serve.guard import COOKIE, Bucket, Guard, is_own, make_token, proxies_of
from tests.run.parts import Hands
from tests.serve.served import TOKEN


def request(path="/", method="GET", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return make_mocked_request(method, path, {"Host": "127.0.0.1:8000", **named})


def refused(guard, asked) -> int:
    try:
        guard.check(asked)
    except web.HTTPException as error:
        return error.status
    return 200


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:9000", "[::1]:8000"])
def test_a_page_of_this_machine_is_reached_by_its_own_names(host):
    assert refused(Guard("127.0.0.1", None, tls=False), request(Host=host)) == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "192.168.1.5", "localhost.evil.example", "",
     "127.0.0.1:80:80", "127.0.0.1:x", "[::1", "2130706433", "0x7f.1", "127.0.0.1, evil.example",
     "localhost@evil.example", "0.0.0.0:8000"],
)  # fmt: skip
def test_a_name_of_somebody_else_s_is_refused(host):
    assert refused(Guard("127.0.0.1", None, tls=False), request(Host=host)) == 421


def test_a_page_for_the_network_is_reached_by_addresses_and_given_names():
    guard = Guard("0.0.0.0", TOKEN, tls=True, names=("Booth.example",))
    known = ["192.168.1.5:8000", "booth.example", "[fe80::1]:8000", socket.gethostname()]
    assert [guard.knows(host) for host in known] == [True] * 4
    assert not guard.knows("evil.example")


def test_two_hosts_are_none():
    asked = make_mocked_request("GET", "/", [("Host", "127.0.0.1"), ("Host", "127.0.0.1")])
    assert refused(Guard("127.0.0.1", None, tls=False), asked) == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://127.0.0.1:8000"}, 200),
        ({"Origin": "https://127.0.0.1:8000"}, 403),
        ({"Origin": "http://127.0.0.1:8001"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}, 200),
    ],
)
def test_other_pages_get_nothing_but_a_link(headers, status):
    assert refused(Guard("127.0.0.1", None, tls=False), request(**headers)) == status


def test_of_a_given_name_a_proxy_may_do_https():
    """Browsers say then that they come from there, of which this server knows nothing."""
    guard = Guard("127.0.0.1", None, tls=False, names=("Booth.example",))
    for origin, status in (
        ("https://booth.example:8443", 200),
        ("http://booth.example:8443", 200),
        ("https://booth.example", 403),
        ("https://evil.example", 403),
    ):
        assert refused(guard, request(Host="booth.example:8443", Origin=origin)) == status, origin
    plain = {"Host": "booth.example", "Origin": "http://booth.example"}
    tls = Guard("0.0.0.0", TOKEN, tls=True, names=("booth.example",))
    assert refused(tls, request(**plain)) == 403, "from a page that anybody may have changed"
    own = {"Host": "127.0.0.1", "Origin": "https://127.0.0.1"}
    assert refused(guard, request(**own)) == 403


def test_a_link_leads_to_the_page_and_nowhere_else():
    guard = Guard("127.0.0.1", None, tls=False)
    headers = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert refused(guard, request("/api/rooms/0/mjpeg", **headers)) == 403
    assert refused(guard, request("/", "POST", **headers)) == 403


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("127.9.9.9", True),
     ("0.0.0.0", False), ("::", False), ("192.168.1.5", False), ("booth", False)],
)  # fmt: skip
def test_a_token_is_made_for_every_address_but_this_machine_s_own(host, own):
    assert is_own(host) == own
    made = make_token(None, host)
    assert (made is None) == own
    if made is not None:
        assert len(made) >= 32 and made != make_token(None, host)


def test_a_token_that_is_easily_guessed_is_refused():
    with pytest.raises(UsageError, match="16"):
        make_token("secret", "0.0.0.0")
    with pytest.raises(UsageError):
        make_token("sixteen letters é", "0.0.0.0")
    assert make_token(TOKEN, "127.0.0.1") == TOKEN
    assert make_token("x" * 16, "0.0.0.0") == "x" * 16


def signed_in(guard, token, cookie=""):
    headers = {"Cookie": f"{COOKIE}={cookie}"} if cookie else {}
    return guard.sign_in(request("/api/session", "POST", **headers), token)


def test_who_has_the_token_gets_a_session_that_scripts_cannot_read():
    hands = Hands()
    guard = Guard("0.0.0.0", TOKEN, tls=True, now=hands)
    cookie = signed_in(guard, TOKEN).cookies[COOKIE]
    assert cookie["httponly"] and cookie["secure"] and cookie["samesite"] == "Strict"
    assert TOKEN not in cookie.value
    asked = request(Cookie=f"{COOKIE}={cookie.value}")
    guard.admit(asked)
    hands.at += 11 * 3600
    again = guard.sign_in(asked, "").cookies[COOKIE]
    assert (again.value, again["max-age"]) == (cookie.value, "43200"), "browsers keep it as long"
    assert again["httponly"] and again["secure"] and again["samesite"] == "Strict"
    hands.at += 11 * 3600
    guard.admit(asked)
    hands.at += 13 * 3600
    with pytest.raises(web.HTTPUnauthorized):
        guard.admit(asked)


@given(st.text(max_size=60) | st.none() | st.integers() | st.lists(st.text(max_size=3)))
def test_anything_else_is_not_the_token(token):
    guard = Guard("0.0.0.0", TOKEN, tls=True)
    if token == TOKEN:
        return
    with pytest.raises(web.HTTPUnauthorized):
        signed_in(guard, token)
    with pytest.raises(web.HTTPUnauthorized):
        guard.admit(request(Authorization="Bearer nothing of the kind"))


def test_trying_tokens_ends_soon_and_starts_again_later():
    hands = Hands()
    guard = Guard("0.0.0.0", TOKEN, tls=True, now=hands)
    statuses = []
    for _ in range(30):
        try:
            signed_in(guard, "wrong" * 5)
        except web.HTTPException as error:
            statuses.append(error.status)
    assert statuses[:10] == [401] * 10 and set(statuses[10:]) == {429}
    hands.at += 60
    assert signed_in(guard, TOKEN).status == 200


def test_a_page_that_asks_whether_it_needs_a_token_tries_none():
    assert signed_in(Guard("127.0.0.1", None, tls=False), "").status == 200
    guard = Guard("0.0.0.0", TOKEN, tls=True)
    for _ in range(20):
        with pytest.raises(web.HTTPUnauthorized):
            signed_in(guard, "")
    assert signed_in(guard, TOKEN).status == 200


def test_programs_bring_the_token_with_each_request():
    guard = Guard("0.0.0.0", TOKEN, tls=True)
    for _ in range(30):
        guard.admit(request("/metrics", Authorization=f"Bearer {TOKEN}"))
    with pytest.raises(web.HTTPUnauthorized):
        guard.admit(request("/metrics", Authorization=f"Basic {TOKEN}"))


def test_a_program_that_tries_tokens_is_not_told_when_it_has_found_it():
    hands = Hands()
    guard = Guard("0.0.0.0", TOKEN, tls=True, now=hands)
    (cookie,) = signed_in(guard, TOKEN).cookies.values()
    hands.at += 60

    def status(**headers):
        try:
            guard.admit(request("/metrics", **headers))
        except web.HTTPException as error:
            return error.status
        return 200

    wrong, right = ({"Authorization": f"Bearer {token}"} for token in ("w" * 20, TOKEN))
    assert [status(**wrong) for _ in range(12)] == [401] * 10 + [429] * 2
    assert status(**right) == 429
    # Who is in already stays so, and what was not tried costs nothing.
    assert status(Cookie=f"{cookie.key}={cookie.value}") == 200
    hands.at += 6.5
    assert [status(**right) for _ in range(20)] == [200] * 20
    assert [status(**wrong), status(**right)] == [401, 429]


def test_a_flood_of_requests_is_slowed_down():
    hands = Hands()
    guard = Guard("127.0.0.1", None, tls=False, now=hands)
    asked = request()
    assert [refused(guard, asked) for _ in range(300)].count(429) == 100
    hands.at += 1
    assert [refused(guard, asked) for _ in range(60)].count(429) == 10


def test_what_is_remembered_of_peers_is_bounded(monkeypatch):
    monkeypatch.setattr("stream.serve.guard._SESSIONS", 20)
    guard = Guard("0.0.0.0", TOKEN, tls=True)
    for place in range(3000):
        guard._requests.take(f"10.0.{place // 256}.{place % 256}")
        guard._sessions.clear() if place == 0 else None
    assert len(guard._requests._peers) <= 1024
    for _ in range(30):
        guard._tries = SimpleNamespace(take=lambda peer: True)
        signed_in(guard, TOKEN)
    assert len(guard._sessions) == 20


def of(peer, path="/", method="GET", **headers):
    """A request by somebody at an address."""
    return request(path, method, **headers).clone(remote=peer)


def test_each_address_has_its_own_tries_and_rate_however_many_there_are(monkeypatch):
    monkeypatch.setattr("stream.serve.guard._PEERS", 4)
    guard = Guard("0.0.0.0", TOKEN, tls=True, now=Hands())
    wrong = {"Authorization": "Bearer " + "w" * 20}
    for peer in ("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"):
        # One that tries tokens, or floods, keeps nobody else out, and is not forgotten by that.
        asked, tried = of(peer), of(peer, **wrong)
        assert [refused(guard, asked) for _ in range(201)] == [200] * 200 + [429], peer
        for _ in range(10):
            with pytest.raises(web.HTTPUnauthorized):
                guard.admit(tried)
        with pytest.raises(web.HTTPTooManyRequests):
            guard.admit(of(peer, **wrong))
        with pytest.raises(web.HTTPTooManyRequests):
            guard.sign_in(of(peer, "/api/session", "POST"), TOKEN)


def test_a_proxy_that_is_trusted_says_whose_a_request_is():
    known = proxies_of(["127.0.0.1", "10.0.0.9/8", "[::1]"])
    guard = Guard("0.0.0.0", TOKEN, tls=True, proxies=known)

    def peer(remote: str, *forwarded: str) -> str:
        headers = [("Host", "127.0.0.1"), *(("X-Forwarded-For", one) for one in forwarded)]
        return guard.peer_of(make_mocked_request("GET", "/", headers).clone(remote=remote))

    assert peer("127.0.0.1", "192.0.2.7") == "192.0.2.7"
    assert peer("::ffff:127.0.0.1", "192.0.2.7") == "192.0.2.7", "IPv4 at a socket for both"
    assert peer("::1", "2001:db8::5") == "2001:db8::5" == peer("::1", "[2001:db8::5]")
    # What the visitor wrote itself stands left of what the proxies added.
    assert peer("127.0.0.1", "198.51.100.1, 192.0.2.7, 10.1.2.3") == "192.0.2.7"
    assert peer("127.0.0.1", "198.51.100.1", "192.0.2.7", "10.1.2.3") == "192.0.2.7"
    assert peer("192.0.2.7", "198.51.100.1") == "192.0.2.7", "it is no proxy"
    for nothing in ((), ("",), ("unknown",), ("192.0.2.7, _hidden",), ("192.0.2.7:80",), (",,",)):
        assert peer("127.0.0.1", *nothing) == "127.0.0.1", nothing
    asked = of("127.0.0.1", X_Forwarded_For="192.0.2.7")
    assert Guard("0.0.0.0", TOKEN, tls=True).peer_of(asked) == "127.0.0.1", "nobody was named"


def test_behind_a_proxy_that_does_https_the_session_is_for_https_alone():
    known = proxies_of(["127.0.0.1", "10.0.0.0/8"])
    guard = Guard("0.0.0.0", TOKEN, tls=False, proxies=known)

    def secure(remote: str, *said: str, hops: str = "192.0.2.7", by: Guard = guard) -> bool:
        headers = [("Host", "127.0.0.1"), ("X-Forwarded-For", hops)]
        headers += [("X-Forwarded-Proto", one) for one in said]
        asked = make_mocked_request("POST", "/api/session", headers).clone(remote=remote)
        cookie = by.sign_in(asked, TOKEN).cookies[COOKIE]
        headers.append(("Cookie", f"{COOKIE}={cookie.value}"))
        asked = make_mocked_request("POST", "/api/session", headers).clone(remote=remote)
        assert by.sign_in(asked, "").cookies[COOKIE]["secure"] == cookie["secure"], "renewed alike"
        return bool(cookie["secure"])

    assert secure("127.0.0.1", "https") and secure("127.0.0.1", "HTTPS")
    assert not secure("127.0.0.1", "http") and not secure("127.0.0.1") and not secure("::1", "")
    assert not secure("192.0.2.7", "https"), "it is no proxy"
    nobody = Guard("0.0.0.0", TOKEN, tls=False)
    assert not secure("127.0.0.1", "https", by=nobody), "nobody was named"
    # The one that the visitor came to says how; what stands left of it the visitor wrote.
    two = "192.0.2.7, 10.1.2.3"
    assert secure("127.0.0.1", "https, http", hops=two) and secure("127.0.0.1", "https", hops=two)
    assert not secure("127.0.0.1", "https, http") and secure("127.0.0.1", "http", "https")
    assert not secure("127.0.0.1", "https", "http, http", hops=two)


def test_behind_a_proxy_that_does_https_the_page_s_own_origin_is_https():
    guard = Guard("0.0.0.0", TOKEN, tls=False, proxies=proxies_of(["127.0.0.1"]))
    here = {"Host": "192.168.1.5", "Origin": "https://192.168.1.5", "X_Forwarded_Proto": "https"}
    assert refused(guard, of("127.0.0.1", **here)) == 200
    assert refused(guard, of("192.0.2.7", **here)) == 403
    assert refused(guard, of("127.0.0.1", **{**here, "X_Forwarded_Proto": "http"})) == 403


def test_behind_a_proxy_wrong_tokens_and_floods_keep_nobody_else_out():
    guard = Guard("127.0.0.1", TOKEN, tls=False, proxies=proxies_of(["127.0.0.1"]), now=Hands())

    def by(visitor: str, **headers: str):
        return of("127.0.0.1", X_Forwarded_For=visitor, **headers)

    for _ in range(10):
        with pytest.raises(web.HTTPUnauthorized):
            guard.admit(by("192.0.2.7", Authorization="Bearer " + "w" * 20))
    with pytest.raises(web.HTTPTooManyRequests):
        guard.admit(by("192.0.2.7", Authorization=f"Bearer {TOKEN}"))
    guard.admit(by("192.0.2.8", Authorization=f"Bearer {TOKEN}"))
    asked = by("192.0.2.7")
    assert [refused(guard, asked) for _ in range(201)].count(429) == 1
    assert refused(guard, by("192.0.2.8")) == 200


def test_what_is_no_address_is_no_proxy():
    with pytest.raises(UsageError, match=r"'proxy\.example' is neither an address nor a network"):
        proxies_of(["127.0.0.1", "proxy.example"])


def test_of_very_many_sessions_the_one_not_used_for_longest_ends(monkeypatch):
    monkeypatch.setattr("stream.serve.guard._SESSIONS", 3)
    hands = Hands()
    guard = Guard("0.0.0.0", TOKEN, tls=True, now=hands)
    asked = []
    for _ in range(4):
        key = signed_in(guard, TOKEN).cookies[COOKIE].value
        asked.append(request(Cookie=f"{COOKIE}={key}"))
        guard.admit(asked[0])
    for one in (asked[0], *asked[2:]):
        guard.admit(one)
    with pytest.raises(web.HTTPUnauthorized):
        guard.admit(asked[1])


def test_a_bucket_fills_up_again():
    hands = Hands()
    bucket = Bucket(2.0, 3.0, hands)
    assert [bucket.take() for _ in range(5)] == [True] * 3 + [False] * 2
    hands.at += 1.0
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    hands.at += 1000.0
    assert [bucket.take() for _ in range(4)].count(True) == 3
