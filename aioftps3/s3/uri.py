"""Percent-encoding and URLs. Pure.

A key is percent-encoded once and sent exactly as it was signed: `.` and `..` segments and runs of `/` are part of the
key, and nothing here takes them out.
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import re
from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from aioftps3.s3.errors import RequestInvalid

UNRESERVED_EXTRA = "-._~"
"""RFC 3986 section 2.3: with letters and digits, what is never encoded."""

DEFAULT_PORTS = {"http": 80, "https": 443}

LARGEST_PORT = 65535

_BUCKET_AS_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
"""Bucket names that are one DNS label, so that a wildcard certificate matches `bucket.host`."""

_BUCKET_ANY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
"""Names that some S3 server takes: wider than AWS's rule, narrower than what could change a URL's meaning."""

_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")


def percent_encode(text: str, *, keep: str = "") -> str:
    """Encode everything but unreserved characters and those in `keep`. Bytes that are no UTF-8, which some stores have
    in keys, are lone surrogates in `text` (PEP 383), and encoded as the bytes that they stand for.

    Raises:
        RequestInvalid: `text` has a surrogate that stands for no byte.
    """
    try:
        return quote(text, safe=UNRESERVED_EXTRA + keep, errors="surrogateescape")
    except UnicodeEncodeError as error:
        raise RequestInvalid("text with a lone surrogate has no UTF-8 form") from error


def encode_key(key: str) -> str:
    """Give the path form of a key: `/` stays, everything else is encoded once.

    Raises:
        RequestInvalid: the key is empty or has a surrogate that stands for no byte.
    """
    if not key:
        raise RequestInvalid("a key cannot be empty")
    return percent_encode(key, keep="/")


def encode_query(query: Iterable[tuple[str, str]]) -> str:
    """Encode a query in canonical form: sorted by encoded name, then by encoded value; `uploads` becomes `uploads=`."""
    pairs = sorted((percent_encode(name), percent_encode(value)) for name, value in query)
    return "&".join(f"{name}={value}" for name, value in pairs)


def parse_endpoint(text: str) -> tuple[str, str]:
    """Split `host`, `host:port`, `http://host[:port]` or `https://host[:port]` into scheme and host.

    The scheme is https when none is given; the port is left out when it is the scheme's default, as the Host header
    is signed without it.

    Raises:
        RequestInvalid: anything else, such as a path, a query, a user name or another scheme.
    """
    if not text.isprintable():
        # urlsplit drops line breaks silently.
        raise RequestInvalid("an endpoint has no control characters")
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
    except ValueError as error:
        raise RequestInvalid("the host of the endpoint is not valid") from error
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS:
        raise RequestInvalid("an endpoint is host[:port], or a URL with http:// or https://")
    if parts.path not in ("", "/") or "?" in text or "#" in text or "@" in parts.netloc:
        raise RequestInvalid("an endpoint has no path, query, fragment or user name")
    name, colon, port = _split_port(parts.netloc)
    if not _HOST.fullmatch(name):
        raise RequestInvalid("the host of the endpoint is not valid")
    if colon:
        if not (port.isascii() and port.isdigit() and 0 < int(port) <= LARGEST_PORT):
            raise RequestInvalid("the port of the endpoint is not valid")
        if int(port) != DEFAULT_PORTS[scheme]:
            return scheme, f"{name.lower()}:{int(port)}"
    return scheme, name.lower()


def _split_port(netloc: str) -> tuple[str, str, str]:
    name, colon, port = netloc.rpartition(":")
    if not colon or netloc.endswith("]"):
        return netloc, "", ""
    return name, colon, port


def check_bucket(bucket: str) -> str:
    """Give the name back when it can stand in a URL.

    Raises:
        RequestInvalid: it cannot be the name of a bucket.
    """
    if not _BUCKET_ANY.fullmatch(bucket) or ".." in bucket:
        raise RequestInvalid("the name of the bucket is not valid")
    return bucket


def can_be_virtual_host(bucket: str, scheme: str) -> bool:
    """Say whether `bucket.host` is a usable host: on https a dot in the name would break the certificate's wildcard."""
    if scheme == "https":
        return _BUCKET_AS_LABEL.fullmatch(bucket) is not None
    return all(label and label == label.lower() and "_" not in label for label in bucket.split("."))


def check_region(region: str) -> str:
    """Give the name back when it can be the name of a region.

    Raises:
        RequestInvalid: it cannot; it becomes part of the signature's scope and of AWS's host name.
    """
    if not _REGION.fullmatch(region):
        raise RequestInvalid("the name of the region is not valid")
    return region


def aws_host(region: str) -> str:
    """Give AWS's own endpoint of a region."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"s3.{region}.{suffix}"


def is_aws_host(host: str) -> bool:
    """Say whether a host is AWS's own (not a store that is only compatible)."""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def is_r2_host(host: str) -> bool:
    """Say whether a host is Cloudflare R2's (https://developers.cloudflare.com/r2/api/s3/api/)."""
    return host.endswith(".r2.cloudflarestorage.com")
