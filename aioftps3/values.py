"""Texts of options to values: sizes, ports, seconds, switches, names. Pure.

Every parser takes the text as it was given, and returns the value or raises `BadValueError`, which says what is wrong
and what would be right. No message repeats the text: whoever reports the fault knows whether it is a secret.
"""

import ipaddress
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

MAX_PORT = 65535
MAX_KEY_BYTES = 1024
"""S3's limit for a key in UTF-8; a prefix must leave room for names below it."""

Number = TypeVar("Number", int, float)

_UNITS = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
}
_SIZE = re.compile(r"([0-9]{1,15})\s*([a-z]*)", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]{1,15}")
_SECONDS = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*s?")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*([smhd]?)", re.IGNORECASE)
_DURATION_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
_SESSION_NAME = re.compile(r"[A-Za-z0-9+=,.@_-]{2,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class BadValueError(ValueError):
    """A text that is no value of its option: `problem` says why, `right` what would be accepted."""

    def __init__(self, problem: str, right: str) -> None:
        super().__init__(f"{problem}; right would be {right}")
        self.problem = problem
        self.right = right


def size(minimum: int, maximum: int) -> Callable[[str], int]:
    """A parser of sizes in bytes between the bounds: `268435456`, `256MiB`, `256 MiB`, `250 MB`."""
    right = f"a size from {show_size(minimum)} to {show_size(maximum)}, as bytes or with KiB, MiB, GiB, KB, MB or GB"

    def parse(text: str) -> int:
        match = _SIZE.fullmatch(text.strip())
        factor = _UNITS.get(match[2].lower()) if match else None
        if match is None or factor is None:
            raise BadValueError("is not a size", right)
        return _within(int(match[1]) * factor, minimum, maximum, right)

    return parse


def show_size(number: int) -> str:
    """The shortest exact writing of a size, in powers of 1024: `256 MiB`, `1000 bytes`."""
    for unit in ("GiB", "MiB", "KiB"):
        if number and number % _UNITS[unit.lower()] == 0:
            return f"{number // _UNITS[unit.lower()]} {unit}"
    return f"{number} bytes"


def integer(minimum: int, maximum: int) -> Callable[[str], int]:
    """A parser of whole numbers between the bounds."""
    right = f"a whole number from {minimum} to {maximum}"

    def parse(text: str) -> int:
        if not _DIGITS.fullmatch(text.strip()):
            raise BadValueError("is not a whole number", right)
        return _within(int(text), minimum, maximum, right)

    return parse


def seconds(minimum: float, maximum: float) -> Callable[[str], float]:
    """A parser of durations in seconds between the bounds: `30`, `0.5`, `30s`."""
    right = f"a number of seconds from {minimum:g} to {maximum:g}"

    def parse(text: str) -> float:
        match = _SECONDS.fullmatch(text.strip())
        if match is None:
            raise BadValueError("is not a number of seconds", right)
        return _within(float(match[1]), minimum, maximum, right)

    return parse


def duration(text: str) -> float:
    """Seconds from a number with or without a unit: `24h`, `90m`, `2d`, `30s`, `3600`."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise BadValueError("is not a duration", "a number with s, m, h or d, such as 24h")
    return float(match[1]) * _DURATION_UNITS[match[2].lower()]


def _within(number: Number, minimum: Number, maximum: Number, right: str) -> Number:
    if number < minimum:
        raise BadValueError("is too small", right)
    if number > maximum:
        raise BadValueError("is too large", right)
    return number


def switch(text: str) -> bool:
    """`true`, `yes`, `on`, `1` or `false`, `no`, `off`, `0`, in any case."""
    word = text.strip().lower()
    if word in {"true", "yes", "on", "1"}:
        return True
    if word in {"false", "no", "off", "0"}:
        return False
    raise BadValueError("is neither on nor off", "true or false")


def choice(*words: str) -> Callable[[str], str]:
    """A parser of one of the words."""
    right = _either(list(words))

    def parse(text: str) -> str:
        word = text.strip().lower()
        if word not in words:
            raise BadValueError("is not one of the choices", right)
        return word

    return parse


def checksum(text: str) -> str:
    """The name of a checksum that can be computed here, or `auto` or `none`."""
    word = choice("auto", "crc32", "crc64nvme", "sha256", "md5", "none")(text)
    if word == "crc64nvme" and find_spec("awscrt") is None:
        raise BadValueError("needs the package awscrt, which is not installed", "pip install 'aioftps3[crt]', or crc32")
    return word


def only(number: int, maximum: int) -> Callable[[str], int]:
    """A parser of a whole number up to the maximum, of which only one has a feature behind it yet."""
    parse_any = integer(0, maximum)

    def parse(text: str) -> int:
        if parse_any(text) != number:
            raise BadValueError("is not available in this version", f"{number}, or nothing")
        return number

    return parse


def ports(text: str) -> tuple[int, ...]:
    """Ports in ascending order from `8023-8042` or `8023,8030-8040`; `0` alone is empty: the kernel chooses."""
    right = f"ports from 1 to {MAX_PORT}, such as 8023-8042 or 8023,8030-8040, or 0 for any free ones"
    if text.strip() == "0":
        return ()
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        last = last if dash else first
        if not (_DIGITS.fullmatch(first) and _DIGITS.fullmatch(last)):
            raise BadValueError("is not a list of ports", right)
        low, high = int(first), int(last)
        if not 1 <= low <= high <= MAX_PORT:
            raise BadValueError("has a range that runs backwards or out of the ports", right)
        found.update(range(low, high + 1))
    return tuple(sorted(found))


def listening_hosts(text: str) -> tuple[str, ...]:
    """Addresses or names to listen on, parted by commas; `*` is empty: every IPv4 and IPv6 address."""
    if text.strip() == "*":
        return ()
    hosts = tuple(host.strip() for host in text.split(","))
    if not all(_is_address(host) or _HOST_NAME.fullmatch(host) for host in hosts):
        raise BadValueError("is not a list of addresses", "addresses or names parted by commas, or * for all")
    return hosts


def public_host(text: str) -> str:
    """A name or an IPv4 address, which is all that a PASV reply can carry (RFC 959, section 4.1.2)."""
    host = text.strip()
    right = "an IPv4 address or a name, without a port"
    if ":" in host:
        raise BadValueError("has a colon: PASV can only tell IPv4 addresses, and no port", right)
    if re.fullmatch(r"[0-9.]+", host) and not _is_address(host):
        raise BadValueError("is not an IPv4 address", right)
    if not _HOST_NAME.fullmatch(host):
        raise BadValueError("is neither an address nor a name", right)
    return host


def endpoint(text: str) -> str:
    """`host[:port]`, or a URL of http or https without path, query or credentials."""
    right = "host[:port], or a URL such as http://localhost:9000, without a path"
    address = text.strip().removesuffix("/")
    try:
        parts = urlsplit(address if "://" in address else f"https://{address}")
        valid_port = parts.port != 0 and not parts.netloc.endswith(":")
    except ValueError:
        raise BadValueError("is not a host with or without a port", right) from None
    if parts.scheme not in {"http", "https"}:
        raise BadValueError("has a scheme other than http and https", right)
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        raise BadValueError("has more than a host and a port", right)
    host = parts.hostname or ""
    if not valid_port or not (_is_address(host) or _HOST_NAME.fullmatch(host)):
        raise BadValueError("is not a host with or without a port", right)
    return address


def bucket(text: str) -> str:
    """A bucket's name by the widest rules in use: 3 to 255 letters, digits, dots, dashes and underscores."""
    name = text.strip()
    if not _BUCKET.fullmatch(name) or ".." in name:
        raise BadValueError("is not a bucket's name", "the bare name, without s3://, a host or a path")
    return name


def region(text: str) -> str:
    """A region's name; stores other than AWS have names of their own."""
    name = text.strip()
    if not _REGION.fullmatch(name):
        raise BadValueError("is not a region's name", "a name such as eu-west-1")
    return name


def key_prefix(text: str) -> str:
    """The beginning of every key: empty, or `a/b/` with exactly one slash at its end."""
    prefix = text.strip().strip("/")
    segments = prefix.split("/")
    if not prefix:
        return ""
    if _CONTROL.search(prefix) or any(segment in {"", ".", ".."} for segment in segments):
        raise BadValueError("cannot be the beginning of a key", "names parted by single slashes, such as team/inbox/")
    if len(prefix.encode()) > MAX_KEY_BYTES // 2:
        raise BadValueError("leaves too little room for names", f"at most {MAX_KEY_BYTES // 2} bytes of S3's 1024")
    return f"{prefix}/"


def url(text: str) -> str:
    """A URL of http or https, path and query included."""
    right = "a URL that begins with http:// or https://"
    address = text.strip()
    try:
        parts = urlsplit(address)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or not _is_one_word(address):
        raise BadValueError("is not a URL", right)
    return address


def uri_path(text: str) -> str:
    """The path, and the query, of a URL."""
    path = text.strip()
    if not path.startswith("/") or not _is_one_word(path):
        raise BadValueError("is not a path", "a path that begins with a slash")
    return path


def arn(text: str) -> str:
    """AWS's name of a resource."""
    name = text.strip()
    if not name.startswith("arn:") or not _is_one_word(name):
        raise BadValueError("is not a resource's name", "such as arn:aws:iam::123456789012:role/name")
    return name


def session_name(text: str) -> str:
    """The name of a session in a role (API_AssumeRoleWithWebIdentity)."""
    name = text.strip()
    if not _SESSION_NAME.fullmatch(name):
        raise BadValueError("is not a session's name", "2 to 64 letters, digits and any of +=,.@_-")
    return name


def _is_one_word(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def readable_file(text: str) -> Path:
    """An existing file that this process may read."""
    right = "the path of a file that the daemon may read"
    try:
        path = Path(text).expanduser()
        with path.open("rb"):
            return path
    except FileNotFoundError:
        raise BadValueError("does not exist", right) from None
    except (OSError, ValueError, RuntimeError):  # the last: a home directory that nobody knows
        raise BadValueError("cannot be read", right) from None


def login(text: str) -> str:
    """A user's name as USER carries it: no control characters and no blanks around it."""
    if _CONTROL.search(text) or text != text.strip():
        raise BadValueError("has blanks around it or control characters in it", "a name that a client can send")
    return text


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _either(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
