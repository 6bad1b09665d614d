"""conf/nginx/settings.conf before gatepost-settings: nginx says who somebody is, and nothing that a
client sends does."""

import base64
import http.client
import json
import os
import socket
import ssl
import urllib.parse

import pytest

from support.http_client import Answer
from support.settings import PATCH, PROXY, WRITER, Settings, check_header
from support.tls import Authority
from support.web_servers import PASSWORD, USERS, NginxSettings

ALICE, BOB = USERS[:2]
ME = "/settings/v1/accounts/me"
NAME = "mail.example.com"


class Front:
    """nginx and gatepost-settings; asks by HTTPS as a browser or a script does."""

    def __init__(self, site, redis_server):
        folder = site.folder.sub("nginx-settings")
        authority = Authority(site.folder.sub("nginx-settings-ca"))
        self.settings = Settings(folder, {"store": redis_server.url, "trusted": []}).start()
        self.server = NginxSettings(site.folder.sub("nginx-settings-web"),
                                    (*authority.issue("mail", f"DNS:{NAME}"), authority.cert),
                                    self.settings.socket, PROXY).start()
        self._tls = ssl.create_default_context(cafile=authority.cert)

    def stop(self):
        self.server.stop()
        assert self.settings.stop() == 0

    def connection(self):
        plain = socket.create_connection(("127.0.0.1", self.server.port), timeout=20)
        connection = http.client.HTTPSConnection(NAME, timeout=20)
        connection.sock = self._tls.wrap_socket(plain, server_hostname=NAME)
        return connection

    def ask(self, path, user=ALICE, password=PASSWORD, method="GET", body=None, headers=()):
        pairs = list(headers.items() if isinstance(headers, dict) else headers)
        if user is not None:
            login = base64.b64encode(f"{user}:{password}".encode()).decode()
            pairs.append(("Authorization", "Basic " + login))
        connection = self.connection()
        try:
            connection.putrequest(method, path)
            for name, value in pairs:
                connection.putheader(name, value)
            data = None if body is None else json.dumps(body).encode()
            if data is not None:
                connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data)
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, told, response.read().decode())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def running(site, redis_server):
    front = Front(site, redis_server)
    yield front
    front.stop()


@pytest.fixture
def front(running, redis, request):
    running.settings.forget()
    request.node.server_log = running.server.log_text
    return running


def test_who_has_logged_in_sees_his_own(front):
    for user in (ALICE, BOB):
        answer = front.ask(ME, user)
        assert answer.status == 200 and answer.json()["account"] == user
        assert answer.headers["x-gatepost-client"] == "127.0.0.1"
        check_header(answer)
    page = front.ask("/settings/")
    assert page.status == 200 and "<html" in page.text
    check_header(page)
    assert front.ask("/settings").headers["location"].endswith("/settings/")


def test_programs_find_the_api_by_the_document(front):
    place = "/settings/v1/openapi.json"
    server, = front.ask(place).json()["servers"]
    base = urllib.parse.urljoin(place, server["url"]).rstrip("/")
    assert front.ask(base + "/v1/accounts/me").status == 200


def test_who_has_not_is_not_passed_on(front):
    for user, password in ((None, ""), (ALICE, "wrong"), ("nobody@example.com", PASSWORD)):
        for path in (ME, "/settings/", "/settings/v1/openapi.json"):
            assert front.ask(path, user, password).status == 401
    forged = {"X-Remote-User": ALICE, "X-Gatepost-Token": PROXY}
    assert front.ask(ME, None, headers=forged).status == 401


@pytest.mark.parametrize("name", ["X-Remote-User", "x-remote-user", "X_Remote_User", "X-REMOTE-USER"])
def test_no_client_says_who_it_is(front, name):
    """Whatever it sends, once or twice."""
    for headers in ([(name, BOB)], [(name, BOB), (name, BOB)], [(name, "")]):
        answer = front.ask(ME, headers=headers)
        assert answer.status == 200 and answer.json()["account"] == ALICE


def test_no_client_says_where_it_is_or_has_another_token(front):
    headers = [("X-Real-IP", "192.0.2.66"), ("X-Real-IP", "192.0.2.67"),
               ("X-Gatepost-Token", WRITER), ("X-Forwarded-For", "192.0.2.68")]
    answer = front.ask(ME, headers=headers)
    assert answer.status == 200 and answer.json()["account"] == ALICE
    assert answer.headers["x-gatepost-client"] == "127.0.0.1"
    assert front.ask(f"/settings/v1/accounts/{BOB}", headers=headers).status == 403


def test_a_change(front, redis):
    tag = front.ask(ME).headers["etag"]
    wish = {"protocols": {"sieve": "off"}}
    refused = front.ask(ME, method="PATCH", body=wish, headers={**PATCH, "Origin": "https://evil.example"})
    assert refused.status == 403
    done = front.ask(ME, method="PATCH", body=wish, headers={
        **PATCH, "If-Match": tag, "Origin": f"https://{NAME}", "Sec-Fetch-Site": "same-origin"})
    assert done.status == 200 and done.json()["protocols"]["sieve"]["set"] == "off"
    assert front.ask(ME, method="PATCH", body=wish, headers={**PATCH, "If-Match": tag}).status == 412
    line, = front.settings.changes()
    assert (line["who"], line["client"]) == (f"self:{ALICE}", "127.0.0.1")
    assert redis.cli("KEYS", "gatepost-self:*@*") == f"gatepost-self:{ALICE}"


def test_the_password_of_the_user_goes_no_further(front):
    """Neither the header that has it nor a cookie is passed on: what the program gets is asked of a
    listener in its place."""
    place = front.settings.socket
    front.settings.stop()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place)
    try:
        os.chmod(place, 0o666)
        listener.listen(1)
        connection = front.connection()
        login = base64.b64encode(f"{ALICE}:{PASSWORD}".encode()).decode()
        connection.request("GET", ME, headers={"Authorization": "Basic " + login, "Cookie": "a=b",
                                               "X-Remote-User": BOB})
        got = listener.accept()[0].recv(8000).decode().lower()
    finally:
        connection.close()
        listener.close()
        os.remove(place)
        front.settings.start()
    assert "authorization" not in got and "cookie" not in got and BOB not in got
    assert got.count("x-remote-user: " + ALICE) == 1 and got.count("x-gatepost-token: " + PROXY) == 1
    assert got.startswith("get /v1/accounts/me http/1.1\r\n")


def test_the_program_is_away(front):
    front.settings.stop()
    try:
        for path in (ME, "/settings/"):
            answer = front.ask(path)
            assert answer.status == 503 and answer.headers["retry-after"] == "30"
            assert answer.text.startswith("The settings are unavailable")
    finally:
        front.settings.start()
    assert front.ask(ME).status == 200
