"""The default build is hardened: as the compiler's flags say, so the programs are."""
import os
import platform
import subprocess

import pytest

TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
BUILD = os.environ.get("GATEPOST_BUILD", os.path.join(TOP, "build/clang"))
PROGRAMS = ("milter/gatepost", "milter/gatepostctl")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_hardening(program):
    path = os.path.join(BUILD, program)
    header, dynamic = run("readelf", "-hlW", path), run("readelf", "-dW", path)
    assert "Type:                              DYN" in header       # PIE
    assert "GNU_RELRO" in header and "NOW" in dynamic               # full RELRO
    stack = next(line for line in header.splitlines() if "GNU_STACK" in line)
    assert " RWE " not in stack
    symbols = run("nm", "-D", path)
    assert "__stack_chk_fail" in symbols and "_chk@" in symbols     # stack protector, FORTIFY


@pytest.mark.skipif(platform.machine() != "x86_64", reason="CET is of x86-64")
def test_control_flow_is_guarded():
    """In our objects: Debian 12's own start code has no mark of it, so the programs have none."""
    objects = [os.path.join(path, name) for path, _, names in os.walk(os.path.join(BUILD, "milter"))
               for name in names if name.endswith(".o")]
    notes = run("readelf", "-nW", *objects)
    assert objects and notes.count("IBT, SHSTK") == len(objects)
