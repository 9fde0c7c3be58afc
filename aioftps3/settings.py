"""The settings of a start, from the environment and the flags.

What must stay true:

- This module alone reads the environment, and only as the mapping that it is handed.
- A flag wins over the environment; an empty variable is an unset one. Secrets have no flag, because a command line can
  be read by every process on the machine; they may come from a file instead (`..._FILE`).
- All faults of a start are reported together, by name, and never with a secret's value.
- `docs/settings.md` is this module's own output (`python -m aioftps3.settings`).

The options themselves are declared in options.py. `SettingsError` is the only error.
"""

import difflib
import os
import re
import reprlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from aioftps3 import values
from aioftps3.options import GROUPS, OPTIONS, OWN_PREFIX, Option, Settings, flag_of
from aioftps3.values import BadValueError

__all__ = ("OPTIONS", "Fault", "Option", "Settings", "SettingsError", "load", "page")

TESTS_PREFIX = "AIOFTPS3_TEST_"
"""Names of the test suite, which starts daemons in its own environment."""

MAX_SECRET_FILE_BYTES = 64 * 1024

_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT)|_PORT_[0-9]+_")
"""What Kubernetes adds to a service's name: such variables come into every pod beside the service."""

KEYS = frozenset({"access_key_id", "secret_access_key", "session_token"})

ROLES = frozenset({"web_identity_token_file", "container_credentials_relative_uri", "container_credentials_full_uri"})
"""Options that name a source of keys for a role."""

NO_FLAGS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with the settings."""

    name: str
    """The variable or flag as the operator wrote it."""
    text: str

    def __str__(self) -> str:
        return f"{self.name} {self.text}"


class SettingsError(Exception):
    """The settings are no base to start on. Its text lists every fault and holds no secret."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        count = "one setting is wrong" if len(self.faults) == 1 else f"{len(self.faults)} settings are wrong"
        super().__init__("\n".join([f"{count}:", *(f"  {fault}" for fault in self.faults)]))


@dataclass(frozen=True, slots=True)
class _Given:
    name: str
    """The variable or flag that it came by."""
    text: str


def load(environ: Mapping[str, str], flags: Mapping[str, str] = NO_FLAGS) -> Settings:
    """The settings from an environment and from flags (by their variable's name; they win).

    Raises SettingsError with every fault there is.
    """
    faults = list(_unknown_names(environ))
    given: dict[str, _Given] = {}
    for option in OPTIONS:
        try:
            found = _find(option, environ, flags)
        except SettingsError as error:
            faults += error.faults
            given[option.field] = _Given(option.env, "")
        else:
            if found:
                given[option.field] = found
    usual = _usual_credentials(environ)
    if usual and not given.keys() & {"access_key_id", "shared_credentials_file"}:
        given["shared_credentials_file"] = _Given("~/.aws/credentials", str(usual))
    texts = {field: value.text for field, value in given.items() if value.text}
    bad = dict(_bad_values(texts, given))
    faults += bad.values()
    settings = Settings.model_validate({field: text for field, text in texts.items() if field not in bad})
    faults += _missing(given)
    faults += _no_keys(settings, given)
    faults += (fault for fields, fault in _conflicts(settings) if not bad.keys() & fields)
    if faults:
        raise SettingsError(faults)
    return settings


def _unknown_names(environ: Mapping[str, str]) -> Iterator[Fault]:
    known = [env for option in OPTIONS for env, _ in option.names()]
    for name in sorted(environ):
        if name.upper().startswith(OWN_PREFIX) and not name.startswith(TESTS_PREFIX) and name not in known:
            yield Fault(name, f"is not a known name; {_hint(name, known)}")


def _hint(name: str, known: list[str]) -> str:
    if _SERVICE_LINK.search(name):
        return "Kubernetes sets it for a service of that name; right would be enableServiceLinks: false"
    close = difflib.get_close_matches(name.upper(), known, n=1)
    return f"did you mean {close[0]}?" if close else "right would be a name from the table of settings, or none"


def _find(option: Option, environ: Mapping[str, str], flags: Mapping[str, str]) -> _Given | None:
    """What was given for an option; an empty text is not given."""
    sources = [(flag, flags.get(env)) for env, flag in option.names() if flag]
    sources += [(env, environ.get(env)) for env, _ in option.names()]
    found = [_Given(name, text) for name, text in sources if text and text.strip()]
    file_names = {option.file_env, flag_of(option.file_env)} if option.file_env else set()
    if len(found) > 1 and file_names and not {value.name for value in found} <= file_names:
        raise SettingsError([Fault(found[0].name, f"and {found[1].name} are both given; right would be one of them")])
    if found:
        return _read_secret(found[0]) if found[0].name in file_names else found[0]
    return next((_Given(env, environ[env]) for env in option.opt.also if environ.get(env)), None)


def _read_secret(given: _Given) -> _Given:
    """The first line of a secret's file, without its line end."""
    try:
        with values.readable_file(given.text).open("rb") as file:
            text = file.read(MAX_SECRET_FILE_BYTES).decode("utf-8")
    except BadValueError as error:
        raise SettingsError([_fault(given, error)]) from None
    except (OSError, UnicodeDecodeError):
        raise SettingsError([Fault(given.name, f"{given.text!r} is not a readable text file")]) from None
    lines = text.splitlines()
    if len(lines) != 1 or not lines[0]:
        raise SettingsError([Fault(given.name, f"{given.text!r} does not hold exactly one line with the secret")])
    return _Given(given.name, lines[0])


def _bad_values(texts: Mapping[str, str], given: Mapping[str, _Given]) -> Iterator[tuple[str, Fault]]:
    secret = {option.field for option in OPTIONS if option.opt.secret}
    try:
        Settings.model_validate(texts)
    except ValidationError as error:
        for found in error.errors(include_url=False, include_input=False):
            field = str(found["loc"][0])
            cause = found.get("ctx", {}).get("error")
            if not isinstance(cause, BadValueError):
                cause = BadValueError("is not accepted", "what the table of settings says")
            yield field, _fault(given[field], cause, show=field not in secret)


def _fault(given: _Given, error: BadValueError, *, show: bool = True) -> Fault:
    shown = f"{reprlib.repr(given.text)} " if show and "@" not in given.text else ""  # a URL may have a password in it
    return Fault(given.name, f"{shown}{error.problem}; right would be {error.right}")


def _missing(given: Mapping[str, _Given]) -> Iterator[Fault]:
    if "bucket" not in given:
        yield Fault("AWS_S3_BUCKET_NAME", "is missing; right would be the name of the bucket that holds the files")
    if "user_login" not in given:
        yield Fault("FTP_USER_LOGIN", "is missing; right would be the login that clients use")
    if "user_password" not in given:
        yield Fault("FTP_USER_PASSWORD", "is missing; right would be a password, or FTP_USER_PASSWORD_FILE")
    if "access_key_id" in given and "secret_access_key" not in given:
        yield Fault("AWS_SECRET_ACCESS_KEY", "is missing beside AWS_ACCESS_KEY_ID; right would be both or none")
    for needs_key, name in (("secret_access_key", "AWS_SECRET_ACCESS_KEY"), ("session_token", "AWS_SESSION_TOKEN")):
        if needs_key in given and "access_key_id" not in given:
            yield Fault("AWS_ACCESS_KEY_ID", f"is missing beside {name}; right would be both or none")
    if "web_identity_token_file" in given and "role_arn" not in given:
        yield Fault("AWS_ROLE_ARN", "is missing beside AWS_WEB_IDENTITY_TOKEN_FILE; right would be both or none")
    if "tls_key" in given and "tls_cert" not in given:
        yield Fault("AIOFTPS3_TLS_CERT", "is missing beside AIOFTPS3_TLS_KEY; right would be both")


def _no_keys(settings: Settings, given: Mapping[str, _Given]) -> Iterator[Fault]:
    """Only without the metadata service it is sure that there are none."""
    if "shared_credentials_file" in given or given.keys() & KEYS:
        return
    if "profile" in given:
        yield Fault("AWS_PROFILE", "is given, but there is no ~/.aws/credentials; right would be both, or keys")
    elif settings.ec2_metadata_disabled and not given.keys() & ROLES:
        yield Fault(
            "AWS_ACCESS_KEY_ID",
            "is missing, and so are ~/.aws/credentials and every other source; right would be the key with "
            "AWS_SECRET_ACCESS_KEY, or a file",
        )


def _usual_credentials(environ: Mapping[str, str]) -> Path | None:
    """AWS's shared credentials file in the home directory, if this process may read it."""
    path = Path(environ.get("HOME") or "/") / ".aws" / "credentials"
    return path if os.access(path, os.R_OK) else None


def _conflicts(settings: Settings) -> Iterator[tuple[set[str], Fault]]:
    """Values that are right alone and wrong together, each with the fields it is about."""
    if settings.port and settings.port == settings.implicit_port:
        text = f"{settings.port} is AIOFTPS3_PORT too; right would be another port, or 0 for none"
        yield {"port", "implicit_port"}, Fault("AIOFTPS3_IMPLICIT_PORT", text)
    for field, name in (("port", "AIOFTPS3_PORT"), ("implicit_port", "AIOFTPS3_IMPLICIT_PORT")):
        if getattr(settings, field) in settings.data_ports:
            text = f"has the port of {name}, {getattr(settings, field)}; right would be ports of its own"
            yield {field, "data_ports"}, Fault("AIOFTPS3_DATA_PORTS", text)
    if settings.part_size > settings.memory_budget:
        text = f"is smaller than one part of {values.show_size(settings.part_size)}; right would be several parts"
        yield {"part_size", "memory_budget"}, Fault("AIOFTPS3_MEMORY_BUDGET", text)


def page() -> str:
    """The documentation of all options, as Markdown."""
    lines = [
        "# Settings",
        "",
        "Made by `python -m aioftps3.settings > docs/settings.md`; a test compares the two.",
        "",
        "Each option is an environment variable and a flag of `aioftps3 serve`, `check` and `sweep`; the flag wins. An",
        "empty variable counts as not set. Secrets have no flag, because a command line can be read by others on the",
        "machine: give them in the environment, or in a file (`..._FILE`) that holds one line. An unknown `AIOFTPS3_`",
        "name or a bad value stops the start with exit code 2 and one message that lists every fault.",
        "",
        "Sizes are bytes, or have a unit: `256 MiB`, `250MB`. Durations are seconds. Switches are `true` or `false`.",
    ]
    for option in OPTIONS:
        if option.field in GROUPS:
            lines += [
                "",
                f"## {GROUPS[option.field]}",
                "",
                "| variable | flag | default | meaning |",
                "|---|---|---|---|",
            ]
        lines.append(f"| `{option.env}` | {_code(option.flag)} | {option.default} | {option.opt.doc} |")
        if option.file_env:
            meaning = f"File that holds `{option.env}`."
            lines.append(f"| `{option.file_env}` | {_code(flag_of(option.file_env))} | | {meaning} |")
    return "\n".join(lines) + "\n"


def _code(text: str | None) -> str:
    return f"`{text}`" if text else "none"


if __name__ == "__main__":
    sys.stdout.write(page())
