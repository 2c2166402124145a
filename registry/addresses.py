"""Who can reach an address."""

from ipaddress import ip_address

_ANYWHERE = {"0.0.0.0", "::", ""}  # noqa: S104 - compared with, not bound to


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    if host in _ANYWHERE:
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
