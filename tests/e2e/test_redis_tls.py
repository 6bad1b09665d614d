"""rediss: a Redis over TLS that demands a client certificate, and what is wrong when it fails."""

import os
import socket
import ssl
import subprocess
import threading

import pytest

from support.gatepost import BINARY, check, render
from support.gatepostctl import Gatepostctl
from support.policy_asker import Asker
from support.ports import free_port
from support.redis_cluster import RedisCluster
from support.redis_sentinel import Sentinel
from support.redis_server import RedisServer
from support.settings import Settings
from support.tls import Authority, directives

HAS_TLS = "libhiredis_ssl" in subprocess.run(["ldd", BINARY], capture_output=True, text=True).stdout
needs_tls = pytest.mark.skipif(not HAS_TLS, reason="this hiredis has no TLS")
BARE = {"store_timeout": "1s", "trusted": [], "network": {},
        "listener": {"mx": {"service": "smtp"}}}
OFF = "550 5.7.1"


@pytest.fixture(scope="module")
def authority(site):
    return Authority(site.folder.sub("tls-ca"))


@pytest.fixture(scope="module")
def ours(authority):
    """What the filter shows."""
    cert, key = authority.issue("gatepost", "DNS:gatepost.test")
    return {"store_tls_ca": authority.cert, "store_tls_cert": cert, "store_tls_key": key}


@pytest.fixture
def make_server(site, authority, domain):
    """A function (**what the certificate is issued for): (a Redis, its port for TLS)."""
    servers = []

    def make(**issue):
        port = free_port()
        folder = site.folder.sub(f"tls-{domain}-{len(servers)}")
        certificate = authority.issue(f"{domain}-{len(servers)}", **issue)
        servers.append(RedisServer(folder, directives(authority, certificate, port)))
        servers[-1].start()
        return servers[-1], port
    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def asker_of(milter_session):
    return lambda gatepost: Asker(milter_session(gatepost))


def obeys(asker, cli, domain):
    """A policy is obeyed, and so is its change."""
    key = f"gatepost:account:alice@{domain}"
    cli("HSET", key, "protocol:smtp", "off", "ip:192.0.2.10", "")
    asker.wait_for(f"alice@{domain}", OFF)
    cli("HSET", key, "protocol:smtp", "on")
    asker.wait_for(f"alice@{domain}", "")


@needs_tls
@pytest.mark.parametrize("entries", [0, 1000], ids=["plain", "cached"])
def test_a_server_that_wants_a_certificate(make_server, start_gatepost, asker_of, ours, domain,
                                           entries):
    server, port = make_server()
    gatepost = start_gatepost({**BARE, **ours, "store": f"rediss://127.0.0.1:{port}/0",
                               "cache_entries": entries})
    obeys(asker_of(gatepost), server.cli, domain)


@needs_tls
def test_gatepostctl(make_server, site, ours, domain):
    server, port = make_server()
    ctl = Gatepostctl(site.folder.file(f"tls-{domain}.conf"),
                      {**BARE, **ours, "store": f"rediss://127.0.0.1:{port}/0"})
    ctl.do("tls", "required", f"alice@{domain}")
    assert server.cli("HGET", f"gatepost:account:alice@{domain}", "tls") == "required"


@needs_tls
def test_gatepost_settings(make_server, site, ours, domain):
    """All of its connections: policy, self facts, app passwords and use."""
    server, port = make_server()
    one = Settings(site.folder.sub("tls-settings-" + domain),
                   {**BARE, **ours, "store": f"rediss://127.0.0.1:{port}/0", "record_use": True}).start()
    alice = one.user(f"alice@{domain}")
    try:
        assert alice.change({"protocols": {"sieve": "off"}})
        number = alice.make_password("caldav").json()["id"]
        assert [shown["id"] for shown in alice.passwords()] == [number]
        assert server.cli("HGET", f"gatepost-self:alice@{domain}", "protocol:sieve") == "off"
        assert not [line for line in one.lines() if "store-error" in line or "use-unread" in line]
    finally:
        assert one.stop() == 0


@needs_tls
def test_sentinels(site, authority, make_server, start_gatepost, asker_of, ours, domain):
    master, port = make_server()
    tls_port = free_port()
    folder = site.folder.sub("tls-sentinel-" + domain)
    certificate = authority.issue("sentinel-" + domain)
    behind_tls = type("Master", (), {"host": "127.0.0.1", "port": port, "password": None})
    sentinel = Sentinel(folder, "mail", behind_tls, 1,
                        directives(authority, certificate, tls_port, "tls-replication yes"))
    sentinel.start()
    try:
        gatepost = start_gatepost({**BARE, **ours,
                                   "store": f"rediss+sentinel://127.0.0.1:{tls_port}/mail"})
        obeys(asker_of(gatepost), master.cli, domain)
    finally:
        sentinel.stop()


@needs_tls
def test_a_cluster(site, authority, start_gatepost, asker_of, ours, domain):
    certificate = authority.issue("cluster-" + domain)
    cluster = RedisCluster(site.folder.sub("tls-cluster-" + domain))
    ports = []
    for node in cluster.nodes:
        ports.append(free_port())
        node.add(directives(authority, certificate, ports[-1], "tls-cluster yes"))
    try:
        cluster.start()
        seeds = ",".join(f"127.0.0.1:{port}" for port in ports)
        gatepost = start_gatepost({**BARE, **ours, "store": f"rediss+cluster://{seeds}"})
        asker = asker_of(gatepost)
        for number in range(6):     # on all nodes
            obeys(asker, cluster.cli, f"{number}.{domain}")
    finally:
        cluster.stop()


@needs_tls
@pytest.mark.parametrize("changes, issue, words", [
    ({"store_tls_ca": None}, {}, "set store_tls_ca to the CA that signed it"),
    ({"store_tls_cert": None, "store_tls_key": None}, {}, "set store_tls_cert and store_tls_key"),
    ({}, {"subject": "DNS:elsewhere.example"}, "name the server in `store` as its certificate does"),
    ({}, {"expired": True}, "certificate has expired: renew it"),
    ({"port": "plain"}, {}, "is this the tls-port of the server?"),
], ids=["CA", "client", "name", "expired", "port"])
def test_what_is_wrong(make_server, start_gatepost, asker_of, ours, domain, changes, issue, words):
    """Mail waits, and the log says what to do."""
    server, port = make_server(**issue)
    port = server.port if changes.get("port") else port
    settings = {key: value for key, value in {**ours, **changes}.items()
                if key != "port" and value is not None}
    gatepost = start_gatepost({**BARE, **settings, "store": f"rediss://127.0.0.1:{port}/0"})
    assert asker_of(gatepost).ask(f"alice@{domain}").startswith("451 4.3.0")
    assert words in gatepost.wait_log("event=store-error"), words


@needs_tls
def test_files_that_cannot_be_used(site, ours, authority, domain):
    conf = site.folder.file(f"tls-files-{domain}.conf")
    other, _ = authority.issue("other-" + domain)

    def said(**settings):
        with open(conf, "w") as file:
            file.write(render({"user": "root", "socket_group": "",
                               "store": "rediss://127.0.0.1:1/0", **settings}))
        return check(conf).stderr
    assert said(**ours) == ""
    assert "store_tls_ca /nowhere: No such file" in said(**{**ours, "store_tls_ca": "/nowhere"})
    fifo = site.folder.file(f"tls-fifo-{domain}")
    os.mkfifo(fifo)
    for setting in ours:
        assert f"{setting} {fifo}: it is no regular file" in said(**{**ours, setting: fifo})
    assert "store_tls_key" in said(**{**ours, "store_tls_cert": other})   # not its key
    assert "store_tls_cert needs a store_tls_key" in said(store_tls_cert=other)
    assert "store_tls_key needs a store_tls_cert" in said(store_tls_key=ours["store_tls_key"])


@pytest.mark.skipif(HAS_TLS, reason="this hiredis has TLS")
@pytest.mark.parametrize("url", ["rediss://h/0", "rediss+sentinel://h/n", "rediss+cluster://h"])
def test_without_tls_it_is_refused(site, domain, url):
    conf = site.folder.file(f"no-tls-{domain}.conf")
    with open(conf, "w") as file:
        file.write(render({"user": "root", "socket_group": "", "store": url}))
    finished = check(conf)
    assert finished.returncode == 78
    assert "needs a hiredis with TLS" in finished.stderr and ":" in finished.stderr


class Dripper:
    """Sends an octet of a TLS record at a time, for longer than anybody waits.

    With a certificate that happens after the handshake, in the answer to the first command.
    """

    def __init__(self, certificate=None):
        self._context = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._over = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _shake_hands(self, client):
        received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self._context.wrap_bio(received, to_send, server_side=True)
        step = tls.do_handshake
        while True:     # until the first command is there
            try:
                if step() and step == tls.read:
                    return
                step = tls.read
            except ssl.SSLWantReadError:
                client.sendall(to_send.read())
                octets = client.recv(65536)
                if not octets:
                    return
                received.write(octets)

    def _serve(self, client):
        with client:
            try:
                if self._context:
                    self._shake_hands(client)
                client.sendall(b"\x17\x03\x03\x3f\x00" if self._context
                               else b"\x16\x03\x03\x3f\x00")
                while not self._over.wait(0.05):
                    client.sendall(b"\x02")
            except OSError:
                pass

    def stop(self):
        self._over.set()
        self._listener.close()


@needs_tls
@pytest.mark.parametrize("handshake", [False, True], ids=["handshake", "answer"])
def test_a_record_that_comes_in_drips(authority, site, domain, handshake):
    """The time-out holds for whole answers, though OpenSSL wants whole records."""
    server = Dripper(authority.issue("drip-" + domain) if handshake else None)
    conf = site.folder.file(f"drip-{domain}.conf")
    try:
        with open(conf, "w") as file:
            file.write(render({**BARE, "user": "root", "socket_group": "",
                               "store_tls_ca": authority.cert, "trusted": ["relays"],
                               "socket": f"unix:{site.folder.sub('drip-' + domain)}/socket",
                               "store": f"rediss://127.0.0.1:{server.port}"}))
        assert check(conf).returncode == 0      # asks the store, and gives up within 30 s
    finally:
        server.stop()
