"""Owns the lines `SUBJECT FIELD VALUE` that tests state policy in, and their way into Redis."""


def key_of(subject):
    """The key of a subject in Redis: self facts stand beside the policy."""
    if subject.startswith("self:"):
        return "gatepost-" + subject
    return "gatepost:" + subject


def lines(text, **names):
    """'account:a@{d} source authorized' lines as (subject, field, value), {names} filled in."""
    found = []
    for line in text.format(**names).splitlines():
        if line.strip():
            subject, field, value = (line.split(None, 2) + [""])[:3]
            found.append((subject, field, value))
    return found


def load(redis, text, **names):
    """HSET every line, where key_prefix is gatepost:."""
    for subject, field, value in lines(text, **names):
        redis.cli("HSET", key_of(subject), field, value)


def as_file(path, text, **names):
    """Write the lines as an embedded store's file."""
    with open(path, "w") as store:
        for subject, field, value in lines(text, **names):
            store.write(f"{subject} {field} {value}".rstrip() + "\n")
