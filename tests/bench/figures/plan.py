"""Owns how much is measured: how long, how often and with how many of everything."""

from typing import NamedTuple


class Plan(NamedTuple):
    rounds: int                # each round runs every row once
    seconds: float             # of one run
    connections: tuple         # at which the tables are made
    accounts: tuple            # in Redis, for the plot; the first and the last are also the tables'
    hot: int                   # accounts in use at one time, where the cache is to be warm
    connection_points: tuple   # for the plot
    plot_rounds: int
    plot_seconds: float
    idle: int                  # connections that do nothing beside the load
    idle_rounds: int
    members: int               # of the large network
    changes: int               # for the latency of a change, under load
    messages: int              # to a real Postfix, in one run
    postfix_connections: tuple
    forged: int                # header fields of one message
    look_ups: int              # of each kind of hostile answer


FULL = Plan(rounds=5, seconds=2, connections=(8, 64),
            accounts=(10, 100, 1000, 10_000, 100_000, 1_000_000), hot=30_000,
            connection_points=(1, 4, 16, 64, 256), plot_rounds=3, plot_seconds=1,
            idle=10_000, idle_rounds=3, members=1_000_000, changes=10_000,
            messages=3000, postfix_connections=(8, 32), forged=100_000, look_ups=25)

QUICK = Plan(rounds=1, seconds=0.6, connections=(8,),
             accounts=(10, 100_000), hot=3000,
             connection_points=(1, 8, 64), plot_rounds=1, plot_seconds=0.6,
             idle=1000, idle_rounds=1, members=100_000, changes=500,
             messages=300, postfix_connections=(8,), forged=100_000, look_ups=5)
