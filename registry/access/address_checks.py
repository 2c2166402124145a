"""Checks whether an address is loopback, private or public.

Entry points import this module before all others, so it imports nothing from the registry.
"""

from ipaddress import ip_address

_WILDCARD_ADDRESSES = {"0.0.0.0", "::", ""}  # noqa: S104 - only compared, never bound to


def is_loopback(host: str) -> bool:
    """Return whether the host can be reached from this machine only."""
    if host in _WILDCARD_ADDRESSES:
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_public(address: str) -> bool:
    """Return whether an IP address is on the public internet.

    Loopback, private, link-local (cloud metadata) and multicast addresses are not public. Neither
    are IPv6 addresses that embed such an IPv4 address.
    """
    parsed = ip_address(address.split("%", maxsplit=1)[0])  # without the IPv6 zone
    embedded = getattr(parsed, "ipv4_mapped", None) or getattr(parsed, "sixtofour", None)
    is_embedded_public = embedded is None or embedded.is_global
    return parsed.is_global and not parsed.is_multicast and is_embedded_public


def is_private_literal(host: str) -> bool:
    """Return whether the host is an IP address (not a name) that is not public."""
    try:
        return not is_public(host)
    except ValueError:
        return False
