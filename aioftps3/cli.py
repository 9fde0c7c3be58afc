"""The command line: argv to settings to the daemon. Exit codes: 0 done, 1 failed, 2 wrong usage or settings."""

import argparse
import asyncio
import getpass
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from aioftps3 import __version__, values
from aioftps3.auth import hash_password
from aioftps3.options import OPTIONS
from aioftps3.settings import Settings, SettingsError, load

__all__ = ("main",)

PROGRAM = "aioftps3"

DONE = 0
FAILED = 1
USAGE = 2
INTERRUPTED = 130
"""As shells report a command that SIGINT has ended."""

DEFAULT_SWEEP_AGE = "24h"

_BELOW_ZERO = re.compile(r"-[0-9.]")
"""How a negative number begins. No flag does."""

EPILOG = """\
`aioftps3 serve --help` lists every option with its environment variable; with no command, `serve` is run.
To try it with nothing set up: `aioftps3 demo`.
"""

SETTINGS_EPILOG = """\
Each option is an environment variable too, named in brackets; the flag wins. Secrets have no flag: set
AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and FTP_USER_PASSWORD in the environment, or name files with ..._FILE.
"""


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Run a command; the exit code. Raises SystemExit for `--help`, `--version` and wrong usage, as argparse does."""
    given = _attached(list(sys.argv[1:] if argv is None else argv))
    arguments = _parser().parse_args(_with_command(given))
    from aioftps3.app import StartError  # noqa: PLC0415 - so that --help does not wait for the imports of a server
    from aioftps3.process import UnsupportedRuntimeError  # noqa: PLC0415 - as above

    try:
        match arguments.command:
            case "demo":
                return _demo(arguments.directory)
            case "check":
                return _check(_settings(arguments, environ))
            case "sweep":
                return _sweep(_settings(arguments, environ), arguments.older_than, arguments.dry_run)
            case "hash-password":
                return _hash_password()
            case _:
                return _serve(_settings(arguments, environ))
    except SettingsError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return USAGE
    except (StartError, UnsupportedRuntimeError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _serve(settings: Settings) -> int:
    from aioftps3 import app  # noqa: PLC0415 - see main

    return app.run(settings, lambda addresses: print(app.ready_line(addresses), flush=True))


def _demo(directory: Path | None) -> int:
    from aioftps3 import demo  # noqa: PLC0415 - see main

    return demo.run(directory, lambda line: print(line, flush=True))


def _check(settings: Settings) -> int:
    from aioftps3 import app  # noqa: PLC0415 - see main

    print("ok    settings")
    findings = asyncio.run(app.check(settings))
    for finding in findings:
        print(f"{'ok   ' if finding.good else 'WRONG'} {finding.text}")
    return DONE if all(finding.good for finding in findings) else FAILED


def _sweep(settings: Settings, older_than: float, dry_run: bool) -> int:
    from aioftps3 import app  # noqa: PLC0415 - see main

    well = asyncio.run(app.sweep(settings, older_than=older_than, dry_run=dry_run, tell=print))
    return DONE if well else FAILED


def _duration(text: str) -> float:
    try:
        return values.duration(text)
    except values.BadValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from None


def _hash_password() -> int:
    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Once more: ") != password:
            print(f"{PROGRAM}: the two passwords differ", file=sys.stderr)
            return FAILED
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password or not password.isprintable():
        print(f"{PROGRAM}: a password is one line of printable characters", file=sys.stderr)
        return FAILED
    print(hash_password(password))
    return DONE


def _settings(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Settings:
    given = vars(arguments)
    names = [env for option in OPTIONS for env, flag in option.names() if flag]
    return load(environ, {name: given[name] for name in names if given[name] is not None})


def _attached(argv: list[str]) -> list[str]:
    """Values such as -1h attached to their flags (`--older-than=-1h`): argparse takes them for flags, and its message
    would not say what is wrong."""
    found: list[str] = []
    for word in argv:
        if _BELOW_ZERO.match(word) and found and found[-1].startswith("--") and "=" not in found[-1]:
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found


def _with_command(argv: list[str]) -> list[str]:
    """`serve` is the command of a line that names none."""
    if not argv or (argv[0].startswith("-") and argv[0] not in {"-h", "--help", "--version"}):
        return ["serve", *argv]
    return argv


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="FTPS server in front of S3.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("serve", "run the daemon"),
        ("check", "look at the settings and at S3, say what is wrong, and exit with 0 or 1"),
        ("sweep", "abort multipart uploads below the prefix that nobody has ended, and exit with 0 or 1"),
    ):
        command = commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=SETTINGS_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name == "sweep":
            _add_sweep_options(command)
        _add_options(command)
    text = "run with nothing set up: on loopback, with an S3 inside the process"
    demo = commands.add_parser("demo", help=text, description=text.capitalize() + ".", allow_abbrev=False)
    demo.add_argument("--directory", type=Path, help="keep the files here; without it they are forgotten at the end")
    text = "read a password and print its hash, which may stand for it in FTP_USER_PASSWORD"
    commands.add_parser("hash-password", help=text, description=text.capitalize() + ".", allow_abbrev=False)
    return parser


def _add_sweep_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--older-than",
        type=_duration,
        default=DEFAULT_SWEEP_AGE,
        metavar="AGE",
        help="only those begun before: a number with s, m, h or d; longer than any upload takes; default: 24h",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be aborted, and abort nothing")


def _add_options(parser: argparse.ArgumentParser) -> None:
    """A flag for every option that is no secret; what it takes is checked with the environment, not here."""
    for option in OPTIONS:
        for env, flag in option.names():
            if flag is None:
                continue
            own = env == option.env
            text = option.opt.doc if own else f"File that holds {option.env}."
            default = f"; default: {option.default}" if own and option.default else ""
            parser.add_argument(
                flag,
                dest=env,
                metavar="VALUE",
                nargs="?" if option.switch else None,
                const="true" if option.switch else None,
                help=f"{text} [{env}{default}]".replace("`", "").replace("%", "%%"),
            )
