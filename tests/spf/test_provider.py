"""An ip:spf:DOMAIN entry lists exactly the clients that DOMAIN's record passes, as pyspf has it:
random records and clients. The zones are those of random_zones.py; another seed by
GATEPOST_SPF_SEED.
"""

import os
import random
from collections import Counter

import pytest
import spf

from random_zones import RandomZones
from support.milter_client import MilterClient
from test_differential import Lookup, Oracle

SEED = int(os.environ.get("GATEPOST_SPF_SEED", "7208"))
ROUNDS, ZONES = 6, 25
EXPECTED = {"pass": "accept", "temperror": "defer"}     # all others: reject


@pytest.fixture(scope="module")
def listing(nameserver, start_filter, folder):
    """A filter where logins of any domain z... come from the provider of that name only; how wide a
    match is does not matter to it."""
    instance = start_filter("provider", nameserver)
    path = folder.file("provider-policy")
    instance.stop()
    with open(path, "w") as policy:
        policy.write("account:* source authorized\n")
        for round_ in range(ROUNDS):
            for number in range(ZONES):
                for label in ("a", "b", "c.b", "d"):
                    domain = f"{label}.z{round_}-{number}.example"
                    policy.write(f"account:@{domain} ip:spf:{domain} itself\n")
    instance.configure({"store": "file:" + path, "trusted": [], "spf": {
        "nameservers": [nameserver.address], "timeout": "2s", "widest_ipv4": 0,
        "widest_ipv6": 0}})
    return instance.start()


def ask(instance, client, domain):
    """The verdict on a login of the domain."""
    instance.forget()
    with MilterClient(instance.socket) as mta:
        mta.negotiate()
        mta.connect(client)
        mta.helo("client.example")
        mta.mail(f"alice@{domain}", login=f"alice@{domain}")
    return instance.verdict(stage="mail")["verdict"]


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_it_lists_whom_the_record_passes(round_, listing, nameserver, monkeypatch, request):
    request.node.gatepost = listing
    differences, results = [], Counter()
    for number in range(ZONES):
        seed = f"{SEED}/{round_}/{number}"
        made = RandomZones(random.Random(seed), f"{round_}-{number}", 6)
        nameserver.zones = made.zones
        for query in made.queries:
            domain = query.sender.rpartition("@")[2].lower()
            if not domain.startswith(("a.z", "b.z", "c.b.z", "d.z")):
                continue
            monkeypatch.setattr(spf, "DNSLookup", Lookup(made.zones))
            expected = Oracle(i=query.host, s=f"postmaster@{domain}", h=domain).result()
            if expected is None:
                continue
            results[expected] += 1
            found = ask(listing, query.host, domain)
            if found == "defer" and expected != "temperror":    # the time-out was in the way
                found = ask(listing, query.host, domain)
            if found != EXPECTED.get(expected, "reject"):
                differences.append(f"seed {seed}: {query.host} {domain}: {found}, but {expected}")
    listing.check_healthy()
    print(dict(results))
    assert not differences, "\n".join(differences)
    assert sum(results.values()) > 80 and results["pass"] >= 5, results
