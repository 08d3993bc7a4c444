"""Which addresses count as public, and which URLs are refused before anything is contacted."""

from __future__ import annotations

from ipaddress import ip_address

import httpx
import pytest
from httpx_secure import SSRFProtectionError

from relume.errors import UrlRefused
from relume.outbound import UrlPolicy, is_public, parse
from tests.loopback import Loopback


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::7f00:1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2002:0a00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "url", ["", "x", "//host/x", "javascript:alert(1)", "http://[::1", "http://a:99999/"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(UrlRefused):
        parse(url)


async def test_a_name_that_turns_private_after_the_check_is_refused_when_connecting() -> None:
    """DNS rebinding: the check is passed over on purpose; the client alone must refuse."""
    async with Loopback() as server, UrlPolicy().client() as client:
        for host in ("127.0.0.1", "localhost"):
            with pytest.raises((SSRFProtectionError, httpx.ConnectError)):
                await client.get(f"http://{host}:{server.port}/")
        assert server.requests == []


async def test_an_allowed_host_is_allowed_on_its_port_only() -> None:
    policy = UrlPolicy(["127.0.0.1:1234", "LocalHost"])
    await policy.check("http://127.0.0.1:1234/x")
    await policy.check("http://localhost:99/x")
    with pytest.raises(UrlRefused):
        await policy.check("http://127.0.0.1:1235/x")
