#!/usr/bin/env python3
"""The check of the house: which room may use which.

    check.py BUILD_DIR [SOURCE_DIR]

Reads the includes of the sources and the symbols of the objects below BUILD_DIR/milter, and names
each offence with its file, the symbol or header, and the rule. Exit status 1 when there is one.
CONTRIBUTING.md has the map that the table below enforces.
"""
import os
import re
import subprocess
import sys

# room: the rooms that it may use; what those may use, it may use as well
MAY_USE = {
    "core": (),
    "base": ("core",),
    "config": ("base", "core"),
    "dns": ("base",),
    "spf": ("dns",),
    "store": ("config", "base"),
    "cache": ("store",),
    "session": ("cache", "spf"),
    "write": ("store",),
    "ctl": ("session", "write"),
    "filter": ("session",),
    "settings": ("write",),
}

# a single file of a room that another room may use beside those
ALSO = {"filter": ("write", "use")}

# third-party headers: the rooms, or the only file of a room, that may include them
THIRD_PARTY = {
    "confuse.h": ("config",),
    "hiredis": ("store", "write"),
    "idn2.h": ("base",),
    "jansson.h": ("base", "write", "ctl", "filter", "settings"),
    "libmilter": ("filter",),
    "microhttpd.h": ("base",),
    "openssl": ("base", "store", "milter/ctl/doors/tls.c"),
    "spf2": ("spf",),
    "systemd": ("milter/base/log_journal.c", "milter/base/service_manager.c"),
    "unicase.h": ("base",),
    "uninorm.h": ("base",),
    "unistr.h": ("base",),
    "uthash.h": ("base", "cache", "dns", "spf", "store", "write", "ctl", "filter"),
}

# headers of C and of the system, which need no permission outside the core
SYSTEM = re.compile(r"(arpa|net|netinet|sys|linux)/\w+\.h|(assert|ctype|dirent|errno|fcntl|"
                    r"fnmatch|getopt|grp|inttypes|langinfo|limits|locale|netdb|poll|pthread|pwd|regex|resolv|sched|"
                    r"signal|spawn|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdio_ext|stdlib|string|"
                    r"strings|sysexits|syslog|termios|time|unistd|wchar)\.h")

# the core is pure: the headers, and the functions of the C library, that it may use
CORE_HEADERS = re.compile(r"(arpa/inet|assert|ctype|inttypes|limits|stdarg|stdbool|stddef|stdint|"
                          r"stdio|stdlib|string|strings)\.h")
CORE_FUNCTIONS = re.compile(
    r"(mem|str)[a-z]+|bcmp|(calloc|free|malloc|realloc|qsort|bsearch|v?s[n]?printf|v?asprintf|sscanf|abort|"
    r"inet_pton|inet_ntop|"
    r"__stack_chk_fail|__assert_fail|__ctype_b_loc|__ctype_tolower_loc|__ctype_toupper_loc|"
    r"_GLOBAL_OFFSET_TABLE_)")

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)


def closure():
    """Each room with all that it may use, itself among them."""
    def below(room):
        found = {room}
        for lower in MAY_USE[room]:
            found |= below(lower)
        return found
    return {room: below(room) for room in MAY_USE}


REACH = closure()


def sources(top):
    for folder in ("milter", "include/gatepost"):
        for path, _, names in os.walk(os.path.join(top, folder)):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(path, name), top)


def room_of(path):
    parts = path.split("/")
    if parts[0] == "milter":
        return parts[1] if len(parts) > 2 else None
    return parts[2] if len(parts) > 3 else None


def stem_of(path):
    return os.path.splitext(os.path.basename(path))[0]


def check_third_party(path, room, header):
    if room == "core":
        if not CORE_HEADERS.fullmatch(header):
            yield f"{path}: <{header}>: the core is pure: it includes no such header"
    elif not SYSTEM.fullmatch(header):
        rooms = THIRD_PARTY.get(header) or THIRD_PARTY.get(header.split("/")[0], ())
        if room not in rooms and path not in rooms:
            yield f"{path}: <{header}>: this third-party header has no place in {room}"


def check_own(top, path, room, header):
    beside = os.path.normpath(os.path.join(os.path.dirname(path), header))
    public = os.path.join("include", header)
    if os.path.exists(os.path.join(top, beside)):
        target = beside
        if not target.startswith(f"milter/{room}/") and room_of(target) != room:
            yield f'{path}: "{header}": a private header of another room'
    elif os.path.exists(os.path.join(top, public)):
        target = public
    else:
        yield f'{path}: "{header}": neither beside the file nor in include/'
        return
    used = room_of(target)
    if used not in REACH[room] and (used, stem_of(header)) != ALSO.get(room):
        yield f'{path}: "{header}": {room} may not use {used}'


def check_includes(top):
    for path in sources(top):
        room = room_of(path)
        if room not in MAY_USE:
            yield f"{path}: it lies in no room"
            continue
        with open(os.path.join(top, path), encoding="utf-8") as source:
            text = source.read()
        for form, header in INCLUDE.findall(text):
            if form == "<":
                yield from check_third_party(path, room, header)
            else:
                yield from check_own(top, path, room, header)
        if re.search(r"\bSMFICTX\b", text) and path != "milter/filter/callbacks.c":
            if re.search(r"\bSMFICTX\b", re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)):
                yield f"{path}: SMFICTX: only milter/filter/callbacks.c knows it"
        if path.startswith("milter/") and path.endswith(".h") and os.path.exists(
                os.path.join(top, "include/gatepost", path[len("milter/"):])):
            yield f"{path}: a public header of the same name stands in include/"


def check_public(top):
    """Only what another room includes, itself or by a public header, may stand in include/."""
    users = {}
    for path in sources(top):
        with open(os.path.join(top, path), encoding="utf-8") as source:
            for form, header in INCLUDE.findall(source.read()):
                user = "include/" if path.startswith("include/") else room_of(path)
                if form == '"' and header.startswith("gatepost/"):
                    users.setdefault("include/" + header, set()).add(user)
    for path in sources(top):
        if path.startswith("include/") and not users.get(path, set()) - {room_of(path)}:
            yield f"{path}: no other room includes it: it belongs beside its source"


def objects(build):
    """(object, source) of each object below BUILD/milter."""
    for path, folders, names in os.walk(os.path.join(build, "milter")):
        folders[:] = [folder for folder in folders if not folder.startswith(".")]
        for name in sorted(names):
            if name.endswith(".o"):
                stem = re.sub(r"^(lib\w+_a|gatepost\w*)-", "", name[:-2])
                source = os.path.relpath(os.path.join(path, stem + ".c"), build)
                yield os.path.join(path, name), source


def symbols(build):
    """{source: ({symbol: section} that it defines, {symbol} that it needs)}

    The section of what other files may use begins with "+".
    """
    found = {}
    by_object = dict(objects(build))
    if not by_object:
        sys.exit(f"check.py: no objects below {build}/milter: build first")
    listed = subprocess.run(["nm", "-A", "-f", "sysv", *by_object], check=True,
                            capture_output=True, text=True)
    for line in listed.stdout.splitlines():
        path, _, row = line.partition(":")
        cells = [cell.strip() for cell in row.split("|")]
        if path not in by_object or len(cells) != 7 or cells[0] == "Name":
            continue
        defined, needed = found.setdefault(by_object[path], ({}, set()))
        if cells[2] in "Uwv":
            needed.add(cells[0])
        else:
            defined[cells[0]] = ("+" if cells[2].isupper() else "") + cells[6]
    return found


def check_core(found):
    plain = re.compile(r"__(\w+)_chk|__isoc\d+_(\w+)")
    own = {s for path, (defined, _) in found.items() if room_of(path) == "core" for s in defined}
    for path, (defined, needed) in sorted(found.items()):
        if room_of(path) != "core":
            continue
        for symbol in sorted(needed - own):
            match = plain.fullmatch(symbol)
            name = symbol if match is None else match.group(1) or match.group(2)
            if not CORE_FUNCTIONS.fullmatch(name):
                yield f"{path}: {symbol}: the core is pure: it calls no such function"
        for symbol, section in sorted(defined.items()):
            if re.fullmatch(r"\+?(\.data|\.bss|\.tbss|\.tdata|\*COM\*)", section):
                yield f"{path}: {symbol}: the core is pure: it has no variables of its own"


def check_symbols(found, home):
    for path, (_, needed) in sorted(found.items()):
        room = room_of(path)
        for symbol in sorted(needed):
            target = home.get(symbol)
            if target is None or (room_of(target), stem_of(target)) == ALSO.get(room):
                continue
            if room_of(target) not in REACH[room]:
                yield f"{path}: {symbol} (of {target}): {room} may not use {room_of(target)}"


def circles(arrows):
    """Each set of files that need one another, by Tarjan's algorithm."""
    index, low, stack, on_stack, counter, out = {}, {}, [], set(), [0], []

    def visit(node):
        index[node] = low[node] = counter[0]
        counter[0] += 1
        stack.append(node)
        on_stack.add(node)
        for target in sorted(arrows.get(node, ())):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in on_stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            circle = []
            while not circle or circle[-1] != node:
                circle.append(stack.pop())
                on_stack.discard(circle[-1])
            if len(circle) > 1:
                out.append(sorted(circle))

    sys.setrecursionlimit(10000)
    for node in sorted(arrows):
        if node not in index:
            visit(node)
    return out


def check_circles(found, home):
    arrows, by_folder, why = {}, {}, {}
    for path, (_, needed) in found.items():
        for symbol in needed:
            target = home.get(symbol)
            if target is None or target == path:
                continue
            arrows.setdefault(path, set()).add(target)
            here, there = os.path.dirname(path), os.path.dirname(target)
            if here != there:
                by_folder.setdefault(here, set()).add(there)
            why.setdefault((path, target), symbol)
    for circle in circles(arrows):
        steps = [f"{a} needs {why[a, b]} of {b}" for a in circle for b in circle if (a, b) in why]
        yield f"{', '.join(circle)}: a circle: {'; '.join(steps)}"
    for circle in circles({"/".join(k.split("/")[:2]): {"/".join(t.split("/")[:2]) for t in v} -
                           {"/".join(k.split("/")[:2])} for k, v in by_folder.items()}):
        yield f"{', '.join(circle)}: a circle of rooms"


def check_sizes(top):
    """A room has at most 22 source files in a folder, and none lies outside the rooms."""
    for path, folders, names in os.walk(os.path.join(top, "milter")):
        n = sum(name.endswith(".c") for name in names)
        here = os.path.relpath(path, top)
        if here == "milter" and n > 0:
            yield "milter: source files outside the rooms"
        if n > 22:
            yield f"{here}: {n} source files: a room has at most 22"


def check(build, top):
    found = symbols(build)
    found = {path: value for path, value in found.items() if os.path.exists(os.path.join(top, path))}
    missing = {p for p in sources(top) if p.endswith(".c")} - set(found)
    offences = [f"{path}: no object in {build}: build first, or it is in no room.am"
                for path in sorted(missing)]
    home = {}
    for path, (defined, _) in found.items():
        for symbol, section in defined.items():
            if section.startswith("+"):
                home[symbol] = path
    for each in (check_includes(top), check_public(top), check_core(found),
                 check_symbols(found, home), check_circles(found, home), check_sizes(top)):
        offences += each
    return offences


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
    offences = check(os.path.abspath(sys.argv[1]), os.path.abspath((sys.argv + [here])[2]))
    for offence in offences:
        print(offence)
    print(f"the house: {len(offences)} offences")
    sys.exit(1 if offences else 0)


if __name__ == "__main__":
    main()
