"""The check of the house really fails: offences are planted in a copy, one of each kind."""
import os
import re
import shutil
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.normpath(os.path.join(HERE, "../.."))
BUILD = os.environ.get("GATEPOST_BUILD", os.path.join(TOP, "build/clang"))


@pytest.fixture
def house(tmp_path):
    """A copy of sources and objects, in which planted.c may be written."""
    for folder in ("milter", "include"):
        shutil.copytree(os.path.join(TOP, folder), tmp_path / folder)
    for path, _, names in os.walk(os.path.join(BUILD, "milter")):
        here = tmp_path / "build" / os.path.relpath(path, BUILD)
        here.mkdir(parents=True, exist_ok=True)
        for name in names:
            if name.endswith(".o"):
                shutil.copy(os.path.join(path, name), here)
    return tmp_path


def plant(house, path, text):
    """Writes a source file and compiles it as the build would."""
    (house / path).write_text(text)
    subprocess.run(["cc", "-std=c11", "-c", "-o", str(house / "build" / path[:-2]) + ".o",
                    "-I", str(house / "include"), str(house / path)], check=True)


def check(house):
    done = subprocess.run([sys.executable, os.path.join(HERE, "check.py"), house / "build", house],
                          capture_output=True, text=True)
    return done.returncode, done.stdout


def test_the_house_as_it_is(house):
    assert check(house) == (0, "the house: 0 offences\n")


OFFENCES = [
    ("an include that goes up", "milter/store/planted.c",
     '#include "gatepost/session/session.h"\n',
     'milter/store/planted.c: "gatepost/session/session.h": store may not use session\n'),
    ("a symbol that goes up", "milter/base/planted.c",
     "void store_free(void *);\nvoid planted(void) {\n    store_free(0);\n}\n",
     "milter/base/planted.c: store_free (of milter/store/store.c): base may not use store\n"),
    ("the filter and the tool", "milter/filter/planted.c",
     "int ctl_explain(void);\nint planted(void) {\n    return ctl_explain();\n}\n",
     "milter/filter/planted.c: ctl_explain (of milter/ctl/explain/explain.c): "
     "filter may not use ctl\n"),
    ("a private header", "milter/session/planted.c",
     '#include "../store/implement.h"\n',
     'milter/session/planted.c: "../store/implement.h": a private header of another room\n'),
    ("a third-party header", "milter/cache/planted.c",
     "#include <hiredis/hiredis.h>\n",
     "milter/cache/planted.c: <hiredis/hiredis.h>: this third-party header has no place in cache\n"),
    ("a clock in the core", "milter/core/planted.c",
     "long time(long *);\nlong planted(void) {\n    return time(0);\n}\n",
     "milter/core/planted.c: time: the core is pure: it calls no such function\n"),
    ("a variable in the core", "milter/core/planted.c",
     "int planted = 1;\n",
     "milter/core/planted.c: planted: the core is pure: it has no variables of its own\n"),
    ("SMFICTX", "milter/filter/planted.c",
     "#include <libmilter/mfapi.h>\nvoid *planted(SMFICTX *ctx) {\n    return ctx;\n}\n",
     "milter/filter/planted.c: SMFICTX: only milter/filter/callbacks.c knows it\n"),
    ("a file outside the rooms", "milter/planted.c", "int planted;\n",
     "milter/planted.c: it lies in no room\n"),
]


@pytest.mark.parametrize("path, text, told", [row[1:] for row in OFFENCES],
                         ids=[row[0] for row in OFFENCES])
def test_an_offence_is_named(house, path, text, told):
    plant(house, path, text)
    status, output = check(house)
    assert status == 1
    assert told in output


def test_a_circle_is_named(house):
    plant(house, "milter/base/planted.c",
          "void planted_two(void);\nvoid planted(void) {\n    planted_two();\n}\n")
    plant(house, "milter/base/planted_two.c",
          "void planted(void);\nvoid planted_two(void) {\n    planted();\n}\n")
    status, output = check(house)
    assert status == 1
    assert ("milter/base/planted.c, milter/base/planted_two.c: a circle: milter/base/planted.c needs "
            "planted_two of milter/base/planted_two.c") in output


def test_a_public_header_that_nobody_needs(house):
    (house / "include/gatepost/store/planted.h").write_text("int planted(void);\n")
    status, output = check(house)
    assert status == 1
    assert ("include/gatepost/store/planted.h: no other room includes it: "
            "it belongs beside its source\n") in output


def test_a_source_without_an_object(house):
    (house / "milter/core/planted.c").write_text("int planted;\n")
    status, output = check(house)
    assert status == 1
    assert "milter/core/planted.c: no object in" in output


def test_the_map_is_true():
    """Each file and each function that CONTRIBUTING.md names is there."""
    with open(os.path.join(TOP, "CONTRIBUTING.md"), encoding="utf-8") as page:
        text = page.read()
    paths = subprocess.run(["find", "milter", "include", "tests", "conf", "packaging", "-type", "f"],
                           cwd=TOP, check=True, capture_output=True, text=True).stdout.split()
    sources = "".join(open(os.path.join(TOP, path), encoding="utf-8").read()
                      for path in paths if path.endswith((".c", ".h")))
    named = set(re.findall(r"`([\w./-]+\.(?:c|h|am|py|sh|md|table|5|8|bash|conf))`", text))
    functions = set(re.findall(r"`(\w+)\(\)`", text))
    assert len(named) > 25 and len(functions) > 25
    known = paths + ["README.md", "SECURITY.md", "NEWS.md"]
    assert [name for name in named if not any(path.endswith("/" + name) or path == name
                                              for path in known)] == []
    assert [name for name in functions if name + "(" not in sources and name != "ctl_NAME"] == []
