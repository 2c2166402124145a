"""Addresses."""

from registry.addresses import is_loopback


def test_loopback_is_known() -> None:
    hosts = ["127.0.0.1", "127.8.9.1", "::1", "localhost", "0.0.0.0", "::", "", "192.168.1.2", "example.org"]  # noqa: S104
    assert [host for host in hosts if is_loopback(host)] == ["127.0.0.1", "127.8.9.1", "::1", "localhost"]
