"""Which of the addresses that strangers name may be gone to. No I/O."""

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from classifier_inference.stores.store_error import NotAllowedError

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

HTTPS_PORT = 443
_HOST = re.compile(r"[a-z0-9_.-]+")
"""A name as DNS has it: others are spelt in ways that two parsers may read as two names."""
_TRANSLATED = [ipaddress.IPv6Network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96", "::/96")]
"""IPv6 networks whose last four bytes are an IPv4 address."""
_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All that is public in IPv6."""
_SECRETS = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")))
"""Where clouds hand machines their secrets, beside the link-local addresses: AWS, Alibaba, Azure, Oracle."""


def find_rule(url: str, allow: Sequence[str]) -> str:
    """Return the entry of `allow` by which an https:// URL may be asked. Raises NotAllowedError."""
    try:
        parsed = urlsplit(url)
        host, port = parsed.hostname or "", parsed.port or HTTPS_PORT
    except ValueError:
        raise NotAllowedError("the address is malformed") from None
    if parsed.scheme != "https" or parsed.username is not None or parsed.password is not None or not host:
        raise NotAllowedError("the address must be https://host/path, without a user")
    if not _HOST.fullmatch(host):
        raise NotAllowedError("the address's host must be a name of ASCII letters, digits, dots and hyphens")
    for rule in allow:
        name, _, at = rule.partition(":")
        fits = host.endswith(name[1:]) and host != name[2:] if name.startswith("*.") else host == name
        if fits and port == int(at or HTTPS_PORT):
            return rule
    raise NotAllowedError(f"images.allow doesn't have {host}" + ("" if port == HTTPS_PORT else f":{port}"))


def may_connect(address: str, *, private: bool) -> bool:
    """Return whether an IP address may be connected to: a public one, or, if `private`, one of a network of ours.

    Link-local addresses and others where clouds tell machines their secrets never may.
    """
    found = _unwrap(ipaddress.ip_address(address.partition("%")[0]))
    if found.is_link_local or found.is_multicast or found.is_unspecified or found in _SECRETS:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found.teredo is not None or found.is_site_local:
            return False
        return private or (found.is_global and found in _UNICAST)
    return private or found.is_global


def _unwrap(address: IpAddress) -> IpAddress:
    """Return the IPv4 address that an IPv6 one leads to, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if int(address) > 1 and any(address in network for network in _TRANSLATED):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
