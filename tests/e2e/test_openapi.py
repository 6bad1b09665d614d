"""The OpenAPI document's own examples: each is what its schema says, and the program takes it."""

import jsonschema
import pytest

from support.openapi import document
from support.settings import JSON, PATCH, Settings


@pytest.fixture(scope="module")
def program(site, redis_server):
    program = Settings(site.folder.sub("openapi"), {"store": redis_server.url, "trusted": []})
    yield program.start()
    assert program.stop() == 0


def examples():
    """(method, path, body) of each."""
    for path, item in document()["paths"].items():
        for method, operation in item.items():
            if method == "parameters" or "requestBody" not in operation:
                continue
            for content in operation["requestBody"]["content"].values():
                bodies = [one["value"] for one in content.get("examples", {}).values()]
                bodies += [content["example"]] if "example" in content else []
                assert bodies, (method, path)
                for body in bodies:
                    jsonschema.validate(body, {**content["schema"],
                                               "components": document()["components"]})
                    yield method.upper(), path, body


def test_the_program_takes_each_example(program, redis, domain):
    alice = program.user(f"alice@{domain}")
    seen = set()
    for method, path, body in examples():
        answer = alice.ask(method, path.replace("{account}", "me"), body,
                           PATCH if method == "PATCH" else JSON)
        assert answer.status in (200, 201), (body, answer)
        seen.add(method)
    assert seen == {"PATCH", "POST"}
    now = alice.get()
    assert now["source"] == "authorized" and now["ips"] == {"192.0.2.0/24": "at home"}
    assert now["protocols"]["pop3"]["status"] == "on"
