"""Every option once: its names outside, its type, what is accepted, its default and its meaning. Declarations only.

`Settings` is the values of a start; `OPTIONS` is what the flags, the documentation and the faults are made from. Names
follow one rule: the flag of `AIOFTPS3_DATA_PORTS` is `--data-ports`, that of any other variable keeps all its words.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr

from aioftps3 import values
from aioftps3.auth.passwords import PREFIX as HASH_PREFIX
from aioftps3.auth.passwords import BadHashError, PasswordHash
from aioftps3.values import BadValueError

__all__ = ("GROUPS", "OPTIONS", "OWN_PREFIX", "Option", "Settings", "flag_of")

OWN_PREFIX = "AIOFTPS3_"
"""Names that begin so are ours: an unknown one is a fault."""

FILE_SUFFIX = "_FILE"

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

MIN_PART = 5 * MIB
"""S3's smallest part of a multipart upload, the last one excepted."""


@dataclass(frozen=True, slots=True)
class Opt:
    """What a field of `Settings` is called outside, and what it means there."""

    env: str
    doc: str
    default: str | None = None
    """As the documentation shows it, where that is not simply the value."""
    also: tuple[str, ...] = ()
    """Further variables that are asked when this one is not set, in this order."""
    secret: bool = False
    file: bool = False
    """Whether the value may be in the file that `..._FILE` names."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option: a field of `Settings` and its names."""

    field: str
    opt: Opt

    @property
    def env(self) -> str:
        """The environment variable."""
        return self.opt.env

    @property
    def flag(self) -> str | None:
        """The command line's flag; None for a secret."""
        return None if self.opt.secret else flag_of(self.env)

    @property
    def file_env(self) -> str | None:
        """The variable that names a file with the value, if there is one."""
        return f"{self.env}{FILE_SUFFIX}" if self.opt.file else None

    @property
    def default(self) -> str:
        """The default as the documentation shows it."""
        if self.opt.default is not None:
            return self.opt.default
        value = Settings.model_fields[self.field].default
        return f"{value:g}" if isinstance(value, float) else str(value).lower()

    @property
    def switch(self) -> bool:
        """Whether the flag alone, without a value, means true."""
        return Settings.model_fields[self.field].annotation is bool

    def names(self) -> Iterator[tuple[str, str | None]]:
        """Every variable of its own with its flag: the option itself and its file."""
        yield self.env, self.flag
        if self.file_env:
            yield self.file_env, flag_of(self.file_env)


def flag_of(env: str) -> str:
    """`AIOFTPS3_DATA_PORTS` is `--data-ports`; other names keep all of their words."""
    return "--" + env.removeprefix(OWN_PREFIX).lower().replace("_", "-")


def _parsed(parse: Callable[[str], object]) -> BeforeValidator:
    """Defaults are values already: only texts are parsed."""
    return BeforeValidator(lambda given: parse(given) if isinstance(given, str) else given)


def _password(text: str) -> SecretStr:
    if not text.isprintable():
        raise BadValueError("has control characters in it", "what a client can send with PASS")
    if text.startswith(HASH_PREFIX):
        try:
            PasswordHash.parse(text)
        except BadHashError as error:
            right = "the output of `aioftps3 hash-password` (a shell needs it in single quotes)"
            raise BadValueError(f"begins like a hash, but {error}", right) from None
    return SecretStr(text)


def _secret(text: str) -> SecretStr:
    return SecretStr(text.strip())  # AWS's secrets have no blanks; those around them come from copying


Seconds = float
_Port = Annotated[int, _parsed(values.integer(0, values.MAX_PORT))]


class Settings(BaseModel):
    """The values that a start runs on. Frozen; the repr hides secrets. Made by `load`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    bucket: Annotated[
        str, _parsed(values.bucket), Opt("AWS_S3_BUCKET_NAME", "Bucket that holds the files.", "required")
    ] = ""
    region: Annotated[
        str,
        _parsed(values.region),
        Opt(
            "AWS_S3_BUCKET_REGION",
            "The bucket's region.",
            "`AWS_REGION`, `AWS_DEFAULT_REGION`, us-east-1",
            also=("AWS_REGION", "AWS_DEFAULT_REGION"),
        ),
    ] = "us-east-1"
    s3_host: Annotated[
        str | None,
        _parsed(values.endpoint),
        Opt(
            "AWS_S3_BUCKET_HOST",
            "S3's address: `host[:port]` (https), or a URL that begins with http:// or https://.",
            "AWS's own for the region",
        ),
    ] = None
    s3_addressing: Annotated[
        Literal["auto", "path", "virtual"],
        _parsed(values.choice("auto", "path", "virtual")),
        Opt(
            "AIOFTPS3_S3_ADDRESSING",
            "Where requests name the bucket: `path` (in the path), `virtual` (in the host), "
            "`auto` (virtual on AWS's own hosts, path elsewhere).",
        ),
    ] = "auto"
    prefix: Annotated[
        str,
        _parsed(values.key_prefix),
        Opt("AIOFTPS3_PREFIX", "What all keys begin with: the clients' `/` is here.", "none: the whole bucket"),
    ] = ""
    access_key_id: Annotated[
        str | None,
        _parsed(str.strip),
        Opt("AWS_ACCESS_KEY_ID", "Access key.", "from the first of the sources below"),
    ] = None
    secret_access_key: Annotated[
        SecretStr | None,
        _parsed(_secret),
        Opt("AWS_SECRET_ACCESS_KEY", "The access key's secret.", "", secret=True, file=True),
    ] = None
    session_token: Annotated[
        SecretStr | None,
        _parsed(_secret),
        Opt("AWS_SESSION_TOKEN", "The token that belongs to temporary keys.", "", secret=True),
    ] = None
    web_identity_token_file: Annotated[
        Path | None,
        _parsed(values.readable_file),
        Opt(
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "Token that is traded for keys of the role `AWS_ROLE_ARN` (EKS sets both); read again each time.",
            "",
        ),
    ] = None
    role_arn: Annotated[
        str | None, _parsed(values.arn), Opt("AWS_ROLE_ARN", "The role that the web identity takes.", "")
    ] = None
    role_session_name: Annotated[
        str | None,
        _parsed(values.session_name),
        Opt("AWS_ROLE_SESSION_NAME", "What AWS's logs call the daemon in that role.", "aioftps3"),
    ] = None
    profile: Annotated[
        str | None,
        _parsed(str.strip),
        Opt("AWS_PROFILE", "Profile in the shared credentials file, when no keys are given.", "default"),
    ] = None
    shared_credentials_file: Annotated[
        Path | None,
        _parsed(values.readable_file),
        Opt("AWS_SHARED_CREDENTIALS_FILE", "The shared credentials file.", "~/.aws/credentials"),
    ] = None
    container_credentials_relative_uri: Annotated[
        str | None,
        _parsed(values.uri_path),
        Opt(
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "Where a container on ECS gets its role's keys (ECS sets it).", ""
        ),
    ] = None
    container_credentials_full_uri: Annotated[
        str | None,
        _parsed(values.url),
        Opt(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "The same as a whole URL (EKS sets it): https, or http to loopback or to the addresses of ECS and EKS.",
            "",
        ),
    ] = None
    container_authorization_token: Annotated[
        SecretStr | None,
        _parsed(_secret),
        Opt("AWS_CONTAINER_AUTHORIZATION_TOKEN", "What the container shows there.", "", secret=True),
    ] = None
    container_authorization_token_file: Annotated[
        Path | None,
        _parsed(values.readable_file),
        Opt("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "File with it, read again each time.", ""),
    ] = None
    ec2_metadata_disabled: Annotated[
        bool,
        _parsed(values.switch),
        Opt(
            "AWS_EC2_METADATA_DISABLED",
            "Do not ask the machine's metadata service for its role's keys, which is the last source.",
        ),
    ] = False
    checksum: Annotated[
        Literal["auto", "crc32", "crc64nvme", "sha256", "md5", "none"],
        _parsed(values.checksum),
        Opt(
            "AIOFTPS3_CHECKSUM",
            "Checksum sent with uploads, and verified on whole downloads where S3 keeps it: `crc32`, `crc64nvme` "
            "(needs `aioftps3[crt]`), `sha256`, `md5` (uploads only), `none`, `auto` (crc32 on AWS; elsewhere the "
            "signature covers a SHA-256 of each payload instead).",
        ),
    ] = "auto"
    ca_bundle: Annotated[
        Path | None,
        _parsed(values.readable_file),
        Opt("AWS_CA_BUNDLE", "PEM file of the authorities that S3's certificate is checked against.", "the system's"),
    ] = None

    user_login: Annotated[str, _parsed(values.login), Opt("FTP_USER_LOGIN", "Login of the one user.", "required")] = ""
    user_password: Annotated[
        SecretStr,
        _parsed(_password),
        Opt(
            "FTP_USER_PASSWORD",
            "The user's password, or its hash as `aioftps3 hash-password` prints it.",
            "required",
            secret=True,
            file=True,
        ),
    ] = SecretStr("")

    hosts: Annotated[
        tuple[str, ...],
        _parsed(values.listening_hosts),
        Opt("AIOFTPS3_HOST", "Addresses to listen on, parted by commas.", "0.0.0.0 and ::"),
    ] = ()
    port: Annotated[
        _Port,
        Opt("AIOFTPS3_PORT", "Control port for explicit TLS (AUTH TLS); 0 is any free port."),
    ] = 8021
    implicit_port: Annotated[_Port, Opt("AIOFTPS3_IMPLICIT_PORT", "Control port for implicit TLS; 0 turns it off.")] = (
        8022
    )
    data_ports: Annotated[
        tuple[int, ...],
        _parsed(values.ports),
        Opt(
            "AIOFTPS3_DATA_PORTS",
            "Passive data ports, such as `8023-8042` or `8023,8030-8040`; 0 is any free ones.",
            "8023-8042",
        ),
    ] = tuple(range(8023, 8043))
    public_host: Annotated[
        str | None,
        _parsed(values.public_host),
        Opt(
            "AIOFTPS3_PUBLIC_HOST",
            "Name or IPv4 address that PASV tells clients; needed behind address translation.",
            "the control connection's own local address",
        ),
    ] = None
    require_tls: Annotated[
        Literal["control+data", "control", "none"],
        _parsed(values.choice("control+data", "control", "none")),
        Opt(
            "AIOFTPS3_REQUIRE_TLS",
            "What must be encrypted: `control+data`, `control`, or `none` (passwords in clear text, for old devices).",
        ),
    ] = "control+data"
    tls_cert: Annotated[
        Path | None,
        _parsed(values.readable_file),
        Opt(
            "AIOFTPS3_TLS_CERT",
            "PEM file with the certificate chain, leaf first (and perhaps the key). Read again when it has changed.",
            "self-signed, with a warning",
        ),
    ] = None
    tls_key: Annotated[
        Path | None,
        _parsed(values.readable_file),
        Opt("AIOFTPS3_TLS_KEY", "PEM file with the certificate's private key, not encrypted.", "in the other file"),
    ] = None
    tls_max_version: Annotated[
        Literal["1.3", "1.2"],
        _parsed(values.choice("1.3", "1.2")),
        Opt(
            "AIOFTPS3_TLS_MAX_VERSION", "Highest version of TLS: `1.3` or `1.2`, in which more clients resume sessions."
        ),
    ] = "1.3"
    require_tls_resumption: Annotated[
        bool,
        _parsed(values.switch),
        Opt(
            "AIOFTPS3_REQUIRE_TLS_RESUMPTION",
            "Refuse encrypted data connections that do not resume a TLS session of their own control connection. Keeps "
            "out strangers behind the same address, and clients that do not resume (docs/clients.md says which).",
        ),
    ] = False
    allow_foreign_data_peer: Annotated[
        bool,
        _parsed(values.switch),
        Opt(
            "AIOFTPS3_ALLOW_FOREIGN_DATA_PEER",
            "Take data connections from another address than the control connection's. Unsafe: whoever connects first "
            "gets the file.",
        ),
    ] = False
    active_mode: Annotated[
        bool,
        _parsed(values.switch),
        Opt(
            "AIOFTPS3_ACTIVE_MODE",
            "Connect to clients that ask for it (`PORT`, `EPRT`), as old clients and many devices do: to their own "
            "address only, and to ports from 1024 on.",
        ),
    ] = False
    upload_end: Annotated[
        Literal["strict", "guarded", "trusting"],
        _parsed(values.choice("strict", "guarded", "trusting")),
        Opt(
            "AIOFTPS3_UPLOAD_END",
            "Whether an upload without a TLS goodbye is whole: `strict` (never), `guarded` (if the session lives on), "
            "`trusting` (always).",
        ),
    ] = "guarded"
    no_overwrite: Annotated[
        bool,
        _parsed(values.switch),
        Opt(
            "AIOFTPS3_NO_OVERWRITE",
            "Refuse uploads and renames onto a file that is there (`553`); the store must know conditional writes.",
        ),
    ] = False
    convert_text: Annotated[
        bool,
        _parsed(values.switch),
        Opt(
            "AIOFTPS3_CONVERT_TEXT",
            "Convert line ends in `TYPE A`: LF in the bucket, CRLF for clients. Damages binary files of clients that "
            "do not send `TYPE I`; off, files are never changed.",
        ),
    ] = False
    times: Annotated[
        Literal["uploaded", "modified"],
        _parsed(values.choice("uploaded", "modified")),
        Opt(
            "AIOFTPS3_TIMES",
            "Times shown for files: `uploaded` (S3's Last-Modified), or `modified` (what clients set with `MFMT` and "
            "the like, kept as rclone keeps it; listings then ask S3 about each file that is not remembered).",
        ),
    ] = "uploaded"
    admin_port: Annotated[
        int,
        _parsed(values.only(0, values.MAX_PORT)),
        Opt("AIOFTPS3_ADMIN_PORT", "Port for health and metrics; not available in this version.", "0 = off"),
    ] = 0
    workers: Annotated[
        int,
        _parsed(values.only(1, 1024)),
        Opt("AIOFTPS3_WORKERS", "Processes that share the ports; only 1 in this version."),
    ] = 1

    memory_budget: Annotated[
        int,
        _parsed(values.size(MIN_PART, 1024 * GIB)),
        Opt(
            "AIOFTPS3_MEMORY_BUDGET",
            "Memory that all uploads together may hold, with what downloads fetch ahead (`AIOFTPS3_DOWNLOAD_STREAMS` "
            "above 1); when it is spent, senders wait.",
            "256 MiB",
        ),
    ] = 256 * MIB
    part_size: Annotated[
        int,
        _parsed(values.size(MIN_PART, 5 * GIB)),
        Opt("AIOFTPS3_PART_SIZE", "Part of a multipart upload; smaller files are one request.", "8 MiB"),
    ] = 8 * MIB
    parts_in_flight: Annotated[
        int,
        _parsed(values.integer(1, 64)),
        Opt("AIOFTPS3_PARTS_IN_FLIGHT", "Parts of one upload that are sent to S3 at the same time."),
    ] = 4
    equal_parts: Annotated[
        bool,
        _parsed(values.switch),
        Opt(
            "AIOFTPS3_EQUAL_PARTS",
            "Keep all parts of an upload the same size, for stores that insist on it; always so with Cloudflare R2. "
            "10,000 parts of 8 MiB hold 78 GiB.",
        ),
    ] = False
    download_streams: Annotated[
        int,
        _parsed(values.integer(1, 16)),
        Opt(
            "AIOFTPS3_DOWNLOAD_STREAMS",
            "Most requests that one download reads from at the same time. More than one are used for large files, "
            "while S3 is slower than the client, and take up to half of the memory budget.",
        ),
    ] = 1
    max_sessions: Annotated[
        int, _parsed(values.integer(1, 100_000)), Opt("AIOFTPS3_MAX_SESSIONS", "Sessions at the same time.")
    ] = 1000
    max_sessions_per_address: Annotated[
        int,
        _parsed(values.integer(1, 100_000)),
        Opt("AIOFTPS3_MAX_SESSIONS_PER_ADDRESS", "Sessions of one address at the same time."),
    ] = 100
    login_timeout: Annotated[
        Seconds,
        _parsed(values.seconds(1, 3600)),
        Opt("AIOFTPS3_LOGIN_TIMEOUT", "Seconds from the connection to the login."),
    ] = 30.0
    idle_timeout: Annotated[
        Seconds,
        _parsed(values.seconds(1, 86_400)),
        Opt("AIOFTPS3_IDLE_TIMEOUT", "Seconds between two commands."),
    ] = 600.0
    data_connect_timeout: Annotated[
        Seconds,
        _parsed(values.seconds(1, 3600)),
        Opt("AIOFTPS3_DATA_CONNECT_TIMEOUT", "Seconds that a transfer waits for its data connection."),
    ] = 30.0
    stall_timeout: Annotated[
        Seconds,
        _parsed(values.seconds(1, 86_400)),
        Opt("AIOFTPS3_STALL_TIMEOUT", "Seconds of waiting for a client in which a transfer must move 1 KiB."),
    ] = 120.0
    tls_handshake_timeout: Annotated[
        Seconds,
        _parsed(values.seconds(1, 3600)),
        Opt("AIOFTPS3_TLS_HANDSHAKE_TIMEOUT", "Seconds for a TLS handshake."),
    ] = 20.0
    shutdown_grace: Annotated[
        Seconds,
        _parsed(values.seconds(0, 3600)),
        Opt("AIOFTPS3_SHUTDOWN_GRACE", "Seconds that running transfers and other commands get to end after SIGTERM."),
    ] = 30.0

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        _parsed(values.choice("debug", "info", "warning", "error")),
        Opt("AIOFTPS3_LOG_LEVEL", "`debug`, `info`, `warning` or `error`."),
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"],
        _parsed(values.choice("text", "json")),
        Opt("AIOFTPS3_LOG_FORMAT", "Lines of `text`, or of `json`."),
    ] = "text"


OPTIONS: tuple[Option, ...] = tuple(
    Option(name, opt) for name, field in Settings.model_fields.items() for opt in field.metadata if isinstance(opt, Opt)
)

GROUPS: Mapping[str, str] = {
    "bucket": "S3",
    "user_login": "User",
    "hosts": "Listening and TLS",
    "upload_end": "Behaviour",
    "memory_budget": "Limits",
    "log_level": "Logs",
}
"""The field that begins each group of the documentation."""
