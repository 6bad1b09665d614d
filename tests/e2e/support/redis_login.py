"""Owns the filter's way into a Redis that demands a login: its user and its password file."""

import os

_HERE = os.path.dirname(os.path.abspath(__file__))


def password_file(site, name, password):
    """Write it, or write it anew; its path."""
    path = site.folder.file(name)
    with open(path, "w") as secret:
        secret.write(password + "\n")
    return path


def _user_of_the_package(begins, password, name="gatepost.acl"):
    with open(os.path.join(_HERE, "../../../conf/redis", name)) as acl:
        user = next(line for line in acl if line.startswith(begins))
    return user.strip().lstrip("#").replace(">CHANGE-ME", ">" + password)


def acl_of_the_package(password):
    """The least of rights, as conf/redis/gatepost.acl has them."""
    return _user_of_the_package("user gatepost ", password)


def sentinel_acl_of_the_package(password):
    """Those on a Sentinel."""
    return _user_of_the_package("#user gatepost ", password)


def settings_acl_of_the_package(password):
    """Those of gatepost-settings, as conf/redis/gatepost-settings.acl has them."""
    return _user_of_the_package("user gatepost-settings ", password, "gatepost-settings.acl")
