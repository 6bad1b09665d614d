"""Owns the OpenAPI document as it is shipped, and the check of answers against it."""

import functools
import json
import os
import re

import jsonschema

_PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                     "../../../milter/settings/openapi.json")


@functools.cache
def document():
    with open(_PATH, encoding="utf-8") as file:
        return json.load(file)


@functools.cache
def _validator(pointer):
    """Of the schema at that place; the whole document stands beside it for its references."""
    schema = {"$ref": "#" + pointer, "components": document()["components"],
              "paths": document()["paths"]}
    return jsonschema.Draft202012Validator(schema)


def _escape(word):
    return word.replace("~", "~0").replace("/", "~1")


class Document:
    """Answers are noted by operation and status, so that a test can ask which were seen."""

    seen = set()

    def operation(self, method, path):
        """(the path as the document writes it, the operation) of a request; None for neither."""
        for template, item in document()["paths"].items():
            pattern = re.sub(r"\{\w+\}", "[^/]+", template)
            if re.fullmatch(pattern, path.partition("?")[0]):
                return template, item.get(method.lower())
        return None, None

    def check(self, method, path, answer):
        """AssertionError for what the document does not say. Requests that it does not know must
        be refused."""
        template, operation = self.operation("GET" if method == "HEAD" else method, path)
        if operation is None:
            assert answer.status in (403, 404, 405) or answer.headers["content-type"] != \
                "application/json", (method, path, answer)
            return
        said = operation["responses"].get(str(answer.status))
        assert said is not None, f"{method} {path}: {answer.status} is not in the document"
        self.seen.add((operation["operationId"], answer.status))
        where = f"/paths/{_escape(template)}/{method.lower()}/responses/{answer.status}"
        if "$ref" in said:
            where = said["$ref"].lstrip("#")
            said = document()["components"]["responses"][where.rpartition("/")[2]]
        for name in said.get("headers", {}):
            assert name.lower() in answer.headers or name == "X-Gatepost-Client", (name, answer)
        if "content" not in said:
            assert answer.text == ""
        elif method != "HEAD":
            assert answer.headers["content-type"] == "application/json"
            _validator(f"{where}/content/application~1json/schema").validate(answer.json())
