from collections.abc import Callable
from pathlib import Path

import pytest

from aioftps3 import values
from aioftps3.values import BadValueError

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5242880", 5 * MIB),
        ("256MiB", 256 * MIB),
        ("256 MiB", 256 * MIB),
        (" 256 mib ", 256 * MIB),
        ("6000 KB", 6_000_000),
        ("1 GiB", 1024 * MIB),
        ("1GB", 1000**3),
        ("6000000 B", 6_000_000),
    ],
)
def test_sizes_are_bytes_or_have_a_unit(text: str, number: int) -> None:
    assert values.size(5 * MIB, 1024 * MIB)(text) == number


@pytest.mark.parametrize("text", ["", "MiB", "256 M", "-1", "1.5GiB", "256 MiB 3", "0x10", "٣", "1 GiB\n1"])
def test_other_texts_are_no_sizes(text: str) -> None:
    with pytest.raises(BadValueError, match="is not a size"):
        values.size(0, MIB)(text)


def test_a_size_outside_its_bounds_says_the_bounds() -> None:
    parse = values.size(5 * MIB, 1024 * MIB)
    with pytest.raises(BadValueError, match="too small; right would be a size from 5 MiB to 1 GiB"):
        parse("4 MiB")
    with pytest.raises(BadValueError, match="too large"):
        parse("2 GiB")


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 bytes"), (1000, "1000 bytes"), (2048, "2 KiB"), (256 * MIB, "256 MiB")]
)
def test_sizes_are_shown_in_the_largest_exact_unit(number: int, text: str) -> None:
    assert values.show_size(number) == text


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("8023-8026", (8023, 8024, 8025, 8026)),
        ("8023,8030-8032", (8023, 8030, 8031, 8032)),
        (" 8030 - 8031 , 8023 ", (8023, 8030, 8031)),
        ("8023,8023", (8023,)),
        ("65535", (65535,)),
        ("0", ()),
    ],
)
def test_ports_are_ranges_and_lists(text: str, numbers: tuple[int, ...]) -> None:
    assert values.ports(text) == numbers


@pytest.mark.parametrize("text", ["", "8042-8023", "0-10", "8023,", "1-65536", "8023-", "-8023", "a-b", "1-2-3", "0,1"])
def test_other_texts_are_no_ports(text: str) -> None:
    with pytest.raises(BadValueError):
        values.ports(text)


@pytest.mark.parametrize(("text", "number"), [("30", 30.0), ("0.5", 0.5), ("30s", 30.0), (" 30 s ", 30.0)])
def test_durations_are_seconds(text: str, number: float) -> None:
    assert values.seconds(0, 60)(text) == number


@pytest.mark.parametrize("text", ["", "1m", "-1", "inf", "nan", "1e3", "61"])
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(BadValueError):
        values.seconds(0, 60)(text)


def test_switches_take_the_usual_words() -> None:
    assert all(values.switch(text) for text in ("true", "TRUE", "yes", "on", "1", " true "))
    assert not any(values.switch(text) for text in ("false", "No", "off", "0"))
    with pytest.raises(BadValueError, match="true or false"):
        values.switch("maybe")


def test_choices_name_the_choices() -> None:
    parse = values.choice("strict", "guarded", "trusting")
    assert parse(" Guarded ") == "guarded"
    with pytest.raises(BadValueError, match="strict, guarded or trusting"):
        parse("lax")


def test_what_is_not_there_yet_is_refused_as_such() -> None:
    assert values.only(1, 64)("1") == 1
    with pytest.raises(BadValueError, match="is not available in this version"):
        values.only(1, 64)("2")
    with pytest.raises(BadValueError, match="is not a whole number"):
        values.only(1, 64)("two")


@pytest.mark.parametrize(
    "text",
    [
        "s3-eu-west-1.amazon.aws.com",
        "minio:9000",
        "http://localhost:9000",
        "https://[::1]:9000",
        "https://s3.example.com/",
        "10.0.0.7",
    ],
)
def test_endpoints_are_hosts_or_urls(text: str) -> None:
    assert values.endpoint(text) == text.removesuffix("/")


@pytest.mark.parametrize(
    "text",
    [
        "ftp://host",
        "https://host/bucket",
        "host/bucket",
        "https://key:secret@host",
        "host:port",
        "host:0",
        "host:",
        "http://",
        "a b",
        "host?x=1",
        "host:99999",
        "https://[::1",
    ],
)
def test_other_texts_are_no_endpoints(text: str) -> None:
    with pytest.raises(BadValueError):
        values.endpoint(text)


@pytest.mark.parametrize(("text", "prefix"), [("", ""), ("/", ""), ("a/b", "a/b/"), ("/a/b/", "a/b/"), ("é", "é/")])
def test_prefixes_end_with_one_slash(text: str, prefix: str) -> None:
    assert values.key_prefix(text) == prefix


@pytest.mark.parametrize("text", ["a//b", "a/../b", ".", "a\x00b", "a\nb", "x" * 513, "a\udce9"])
def test_prefixes_that_no_path_can_have_are_refused(text: str) -> None:
    with pytest.raises(BadValueError):
        values.key_prefix(text)


@pytest.mark.parametrize("text", ["my-bucket", "My_Bucket.2", "abc"])
def test_buckets_are_bare_names(text: str) -> None:
    assert values.bucket(text) == text


@pytest.mark.parametrize("text", ["s3://b", "a/b", "ab", "-abc", "a b c", "x" * 256])
def test_other_texts_are_no_buckets(text: str) -> None:
    with pytest.raises(BadValueError, match="bare name"):
        values.bucket(text)


def test_regions_are_names() -> None:
    assert values.region("eu-west-1") == "eu-west-1"
    assert values.region("RegionOne") == "RegionOne"
    with pytest.raises(BadValueError):
        values.region("eu west")


def test_public_host_is_a_name_or_an_ipv4_address() -> None:
    assert values.public_host("203.0.113.7") == "203.0.113.7"
    assert values.public_host("ftp.example.com") == "ftp.example.com"


@pytest.mark.parametrize("text", ["::1", "host:21", "1.2.3", "1.2.3.400", "a b", "https://x"])
def test_pasv_cannot_tell_anything_else(text: str) -> None:
    with pytest.raises(BadValueError, match="IPv4 address or a name"):
        values.public_host(text)


def test_listening_hosts_are_parted_by_commas() -> None:
    assert values.listening_hosts("127.0.0.1, ::1,localhost") == ("127.0.0.1", "::1", "localhost")
    assert values.listening_hosts("*") == ()
    with pytest.raises(BadValueError):
        values.listening_hosts("127.0.0.1 ::1")


def test_files_must_be_readable(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    assert values.readable_file(str(file)) == file
    with pytest.raises(BadValueError, match="does not exist"):
        values.readable_file(str(tmp_path / "none"))
    with pytest.raises(BadValueError, match="cannot be read"):
        values.readable_file(str(tmp_path))
    with pytest.raises(BadValueError, match="cannot be read"):
        values.readable_file("a\x00b")
    with pytest.raises(BadValueError, match="cannot be read"):
        values.readable_file("~nobody-of-this-name/file")


def test_logins_have_no_blanks_around_them() -> None:
    assert values.login("some user") == "some user"
    for text in (" user", "user\n", "us\x00er"):
        with pytest.raises(BadValueError):
            values.login(text)


def test_a_checksum_that_cannot_be_computed_is_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "find_spec", lambda name: None)
    assert values.checksum(" CRC32 ") == "crc32"
    with pytest.raises(BadValueError, match=r"needs the package awscrt.*aioftps3\[crt\]"):
        values.checksum("crc64nvme")
    monkeypatch.setattr(values, "find_spec", lambda name: name)
    assert values.checksum("crc64nvme") == "crc64nvme"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("24h", 86_400.0), ("90 m", 5400.0), ("2D", 172_800.0), ("30s", 30.0), ("5", 5.0), ("0.5h", 1800.0)],
)
def test_longer_durations_have_units(text: str, seconds: float) -> None:
    assert values.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-1h", "1w", "1h30m", "inf"])
def test_other_texts_are_no_longer_durations(text: str) -> None:
    with pytest.raises(BadValueError, match="24h"):
        values.duration(text)


@pytest.mark.parametrize(
    ("parse", "good", "bad"),
    [
        (
            values.url,
            ["http://169.254.170.23/v1/x?a=b", "https://host"],
            ["host/path", "ftp://host/", "http://", "http://[", "http://a b/"],
        ),
        (values.uri_path, ["/v2/credentials/x?a=b"], ["v2", "", "/a b", "/é"]),
        (values.arn, ["arn:aws:iam::123456789012:role/a/b"], ["role", "arn:a b", ""]),
        (values.session_name, ["aioftps3", "a@b.c"], ["a", "a b", "x" * 65]),
    ],
)
def test_what_a_role_is_named_by(parse: Callable[[str], str], good: list[str], bad: list[str]) -> None:
    for text in good:
        assert parse(f" {text} ") == text
    for text in bad:
        with pytest.raises(BadValueError):
            parse(text)
