"""Requests to addresses that a client chose: only to public ones, checked again when the connection is made."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

import httpx
from httpx_secure import httpx_ssrf_protection

from relume import __version__
from relume.errors import UrlRefused

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
_MAX_URL_CHARACTERS = 4096
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
"""RFC 8215: leads into the operator's own network. Python counts it as global before 3.13."""

Address = IPv4Address | IPv6Address

NOT_PUBLIC = "The URL must point to a public address on the internet."


def is_public(address: Address) -> bool:
    """Whether an address is reachable from everywhere, looking through IPv4 wrapped in IPv6."""
    if isinstance(address, IPv6Address):
        inner = _embedded(address)
        if inner is not None and not is_public(inner):
            return False
        if address in _LOCAL_NAT64:
            return False
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
    return address.is_global and not address.is_multicast


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a transition mechanism would really contact (6to4, Teredo, NAT64, compatible)."""
    if address.teredo:
        return address.teredo[1]
    if address.sixtofour:
        return address.sixtofour
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    if address.packed[:12] == bytes(12):
        return IPv4Address(address.packed[-4:])
    return None


class UrlPolicy:
    """Which URLs Relume contacts for a client.

    `allowed_hosts` (`name` or `name:port`) are the exceptions the operator has made for private addresses.
    """

    def __init__(self, allowed_hosts: Iterable[str] = ()) -> None:
        self._allowed = {host.lower() for host in allowed_hosts}

    async def check(self, url: str) -> None:
        """All that can be told before a connection. Raises UrlRefused.

        A name that cannot be resolved now is let through: it fails, or is checked, when it is connected to.
        """
        parts = parse(url)
        host, port = str(parts.hostname), parts.port or _DEFAULT_PORTS[parts.scheme]
        if self._is_allowed(host, port):
            return
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                loop = asyncio.get_running_loop()
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, TimeoutError):
            return
        if not all(is_public(ip_address(str(entry[4][0]).partition("%")[0])) for entry in found):
            raise UrlRefused(NOT_PUBLIC)

    def client(self) -> httpx.AsyncClient:
        """An HTTP client that connects to nothing else, whatever a name resolves to at that moment."""
        client = httpx.AsyncClient(
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": f"Relume/{__version__}"},
        )
        return httpx_ssrf_protection(
            client, check_globally_reachable=False, custom_validator=self._may_connect, dns_cache_ttl=30
        )

    def _may_connect(self, host: str, address: Address, port: int) -> bool:
        return self._is_allowed(host, port) or is_public(address)

    def _is_allowed(self, host: str, port: int) -> bool:
        host = host.lower()
        return host in self._allowed or f"{host}:{port}" in self._allowed


def parse(url: str) -> SplitResult:
    """Raises UrlRefused for what is no plain http(s) URL of a host."""
    if any(character.isspace() or not character.isprintable() for character in url):
        raise UrlRefused("The URL must not contain spaces or control characters.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UrlRefused(
            "The URL cannot be read. It must look like https://example.org/photo.jpg."
        ) from error
    if len(url) > _MAX_URL_CHARACTERS:
        raise UrlRefused(f"The URL is too long; at most {_MAX_URL_CHARACTERS} characters are allowed.")
    if parts.scheme not in _DEFAULT_PORTS:
        raise UrlRefused("The URL must start with http:// or https://.")
    if parts.username is not None or parts.password is not None:
        raise UrlRefused("The URL must not contain a user name or password.")
    if not parts.hostname or "%" in parts.hostname or port == 0:
        raise UrlRefused("The URL has no valid host. It must look like https://example.org/photo.jpg.")
    return parts
