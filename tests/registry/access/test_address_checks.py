"""Recognition of loopback hosts."""

from registry.access.address_checks import is_loopback


def test_only_loopback_hosts_are_loopback() -> None:
    hosts = [
        "127.0.0.1",
        "127.8.9.1",
        "::1",
        "localhost",
        "0.0.0.0",  # noqa: S104 - only compared
        "::",
        "",
        "192.168.1.2",
        "example.org",
    ]
    assert [host for host in hosts if is_loopback(host)] == [
        "127.0.0.1",
        "127.8.9.1",
        "::1",
        "localhost",
    ]
