"""Spellings of one sender that are no Reverse-path of RFC 5321, and that an MTA may take all the same.

It hands the mail on with the address alone; {d} stands for the domain.
"""

ODD_SENDERS = [
    "alice@{d} ", " alice @ {d}", "alice@{d}(x)", "alice@(x){d}", "(x)alice@{d}", "alice(x)@{d}",
    "<alice@{d}>", "Alice <alice@{d}>", '"alice"@{d} ', 'alice@"{d}"', '"alice"@"{d}"',
    "alice@\\{d}", "alice%{d}", "{d}!alice", "x:alice@{d};", "@relay.example:alice@{d}",
]
