"""The composition root: builds the parts from the settings, starts and stops them in order.

What must stay true:

- Each part gets a small configuration of its own; none sees `Settings`.
- What was started is stopped in the opposite order, whichever way the daemon ends.
- The first SIGTERM or SIGINT drains: no new sessions, running transfers may end within the grace. The second one
  aborts what still runs; one that finds nothing to abort changes nothing, and neither do later ones. Uploads that are
  not whole leave nothing behind in any case.
- S3 that is not there is no reason not to start: it may come back, and until then sessions get 451.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from pydantic import SecretStr

from aioftps3 import checks, logs, process
from aioftps3 import sweep as sweeping
from aioftps3.auth import Authenticator, EnvironmentUser, FailureThrottle, ThrottledAuthenticator, User
from aioftps3.auth.passwords import PREFIX as HASH_PREFIX
from aioftps3.certificates import make_self_signed
from aioftps3.ftp.config import FtpConfig, RequireTls, UploadEnd
from aioftps3.ftp.hashing import HASHES
from aioftps3.ftp.server import FtpsServer
from aioftps3.keypair import BadKeyPair, EncryptedKey, KeyPair, reason
from aioftps3.renewal import CertificateWatch
from aioftps3.s3 import digests
from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.checksums import chosen_algorithm
from aioftps3.s3.client import S3Client
from aioftps3.s3.copy import COPIES_IN_FLIGHT
from aioftps3.s3.credentials import CredentialsProvider
from aioftps3.s3.errors import NoCredentials, S3Error
from aioftps3.s3.models import Endpoint, RequestEvent
from aioftps3.s3.ranges import BUDGET_SHARE, RANGE_BYTES, Parallel
from aioftps3.s3.remote_credentials import Source, chosen_source
from aioftps3.s3.retry import NO_RETRIES
from aioftps3.s3.transport import AiohttpTransport, Transport
from aioftps3.settings import Fault, Settings, SettingsError
from aioftps3.signals import Signals
from aioftps3.storage import EmptiedDirectories, Moves, PathLocks, Tree
from aioftps3.storage.s3store import LOOKS_IN_FLIGHT, S3Store
from aioftps3.storage.times import KnownTimes
from aioftps3.tls import ServerTls

__all__ = ("StartError", "check", "ready_line", "run", "serve", "sweep")

Addresses = Sequence[tuple[str, str, int]]
"""What is listened on: ("explicit" or "implicit", host, port)."""

FIRST_RECHECK_SECONDS = 2.0
LAST_RECHECK_SECONDS = 60.0
"""While S3 is not as it should be, it is looked at again after growing pauses, so that the log tells of its return."""

SPARE_CONNECTIONS = 16
"""Connections to S3 for requests that are neither transfers nor copies: listings, deletes."""

CLOSE_SECONDS = 8.0
"""For sessions to drop their clients and abort their uploads: `docker stop` kills after ten."""

MIN_PASSWORD_LENGTH = 8

log = logging.getLogger(__name__)


class StartError(Exception):
    """The daemon cannot start here and now, although its settings are right."""


def run(settings: Settings, announce: Callable[[Addresses], None]) -> int:
    """Serve until a signal ends it; the exit code. Raises SettingsError and StartError.

    `announce` is told the addresses when connections are accepted.
    """
    process.pin_malloc()
    process.allow_many_files()
    configure_logs(settings)
    process.spare_the_collector()
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(serve(settings, announce))


async def serve(settings: Settings, announce: Callable[[Addresses], None], *, hangup_ends: bool = False) -> int:
    """`run` inside an event loop: 0 after a signal and a drain, 1 when a second signal has cut commands off. It is the
    last thing that a process does: from then on SIGTERM and SIGINT are ignored.

    SIGHUP has the certificate read again, or is one of those that end (``hangup_ends``). Raises SettingsError when the
    certificate is no good, and StartError.
    """
    loop = asyncio.get_running_loop()
    process.refuse_unsupported(loop)
    async with contextlib.AsyncExitStack() as stack:
        signals = stack.enter_context(Signals(loop).installed())
        tls = load_tls(settings)
        read_again = _warn_that_no_certificate_is_read
        if settings.tls_cert is not None:
            watch = CertificateWatch(tls, settings.tls_cert, settings.tls_key)
            stack.push_async_callback(_cancelled, asyncio.create_task(watch.run()))
            read_again = watch.read_now
        stack.enter_context(signals.on_hangup(None if hangup_ends else read_again))
        transport = s3_transport(settings)
        stack.push_async_callback(transport.close)
        source = credentials(settings, transport)
        log.info("keys from %s", source.name)
        client = s3_client(settings, transport, source.provider)
        server = FtpsServer(
            ftp_config(settings, hashes_of(client)),
            tls=tls,
            authenticator=authenticator(settings),
            open_tree=tree_factory(settings, client),
            session_scope=logs.session_logs,
        )
        stack.push_async_callback(_close, server)
        warn_about_choices(settings)
        try:
            await server.start()
        except OSError as error:
            raise StartError(f"cannot listen: {error.strerror or error}") from error
        watched = s3_client(settings, transport, source.provider, patient=False)
        watcher = asyncio.create_task(_watch_s3(watched, settings.prefix))
        stack.push_async_callback(_cancelled, watcher)
        announce(server.addresses)
        await signals.wait(1)
        log.info("draining: running transfers and other commands have %g s to end", settings.shutdown_grace)
        drained = await _drained(server, settings.shutdown_grace, signals)
    log.info("stopped")
    return 0 if drained else 1


async def check(settings: Settings) -> list[checks.Finding]:
    """What `serve` would find: the certificate, and S3 for reading and writing. Raises SettingsError."""
    findings = [_certificate_finding(settings, load_tls(settings))]
    transport = s3_transport(settings)
    source = credentials(settings, transport)
    client = s3_client(settings, transport, source.provider, patient=False)
    try:
        findings.append(await checks.check_keys(source.provider, source.name))
        if findings[-1].good:
            findings.append(await checks.check_reading(client, settings.prefix))
        if findings[-1].good:
            findings.append(await checks.check_writing(client, settings.prefix))
    finally:
        await transport.close()
    return findings


async def sweep(settings: Settings, *, older_than: float, dry_run: bool, tell: Callable[[str], None]) -> bool:
    """Abort the multipart uploads below the prefix that were begun more than `older_than` seconds ago; whether all went
    well. `tell` gets a line for each, and one with the sum. Raises SettingsError."""
    transport = s3_transport(settings)
    client = s3_client(settings, transport, credentials(settings, transport).provider)
    begun_before = time.time() - older_than
    try:
        summary = await sweeping.sweep(client, settings.prefix, begun_before=begun_before, dry_run=dry_run, tell=tell)
    except S3Error as error:
        tell(f"FAILED to list uploads: {checks.diagnose(error, permission='s3:ListBucketMultipartUploads')}")
        return False
    finally:
        await transport.close()
    tell(str(summary))
    return not summary.failed


def ready_line(addresses: Addresses) -> str:
    """The one line that says that connections are accepted, and where."""
    schemes = {"explicit": "ftp", "implicit": "ftps"}
    urls = " ".join(f"{schemes[kind]}://{_url_host(host)}:{port}" for kind, host, port in addresses)
    return f"ready {urls}"


# -- the parts ----------------------------------------------------------------------------------------------------


def configure_logs(settings: Settings) -> None:
    """Logs as the settings want them, with the secrets blotted out."""
    secrets = (
        settings.secret_access_key,
        settings.session_token,
        settings.container_authorization_token,
        settings.user_password,
    )
    blotted = [_text(secret) for secret in secrets]
    logs.configure(settings.log_level, json_lines=settings.log_format == "json", blotted=blotted)


def ftp_config(settings: Settings, hashes: Sequence[str] = ()) -> FtpConfig:
    """What the FTP server is told; `hashes` are those that `hashes_of` finds."""
    return FtpConfig(
        hosts=settings.hosts,
        port=settings.port,
        implicit=settings.implicit_port != 0,
        implicit_port=settings.implicit_port,
        data_ports=settings.data_ports,
        public_host=settings.public_host,
        require_tls=RequireTls(settings.require_tls),
        upload_end=UploadEnd(settings.upload_end),
        max_sessions=settings.max_sessions,
        max_sessions_per_address=settings.max_sessions_per_address,
        login_timeout=settings.login_timeout,
        idle_timeout=settings.idle_timeout,
        data_connect_timeout=settings.data_connect_timeout,
        stall_timeout=settings.stall_timeout,
        tls_handshake_timeout=settings.tls_handshake_timeout,
        require_tls_resumption=settings.require_tls_resumption,
        allow_foreign_data_peer=settings.allow_foreign_data_peer,
        active_mode=settings.active_mode,
        client_times=settings.times == "modified",
        hashes=tuple(hashes),
        convert_text=settings.convert_text,
    )


def load_tls(settings: Settings) -> ServerTls:
    """TLS from the configured certificate, or from one made now. Raises SettingsError."""
    highest = {"1.3": ssl.TLSVersion.TLSv1_3, "1.2": ssl.TLSVersion.TLSv1_2}[settings.tls_max_version]
    if settings.tls_cert is None:
        made = make_self_signed(_own_names(settings.public_host), now=datetime.now(UTC))
        log.warning(
            "AIOFTPS3_TLS_CERT is not set: a self-signed certificate is used, which is new at every start; "
            "its SHA-256 fingerprint is %s",
            made.fingerprint,
        )
        return ServerTls(made, highest=highest)
    try:
        pair = KeyPair.load(settings.tls_cert, settings.tls_key)
        tls = ServerTls(pair, highest=highest)
    except EncryptedKey as error:
        fault = Fault("AIOFTPS3_TLS_KEY", "is encrypted; right would be a key without a passphrase")
        raise SettingsError([fault]) from error
    except (OSError, BadKeyPair) as error:  # ssl.SSLError is an OSError
        text = (
            f"and its key cannot be used ({reason(error)}); right would be a PEM certificate chain and its private key"
        )
        raise SettingsError([Fault("AIOFTPS3_TLS_CERT", text)]) from error
    log.info("certificate %s, SHA-256 fingerprint %s, %s", settings.tls_cert, pair.fingerprint, pair.expiry)
    return tls


def _certificate_finding(settings: Settings, tls: ServerTls) -> checks.Finding:
    if settings.tls_cert is None:
        return checks.Finding(True, "certificate: self-signed, made at each start")
    level, text = tls.pair.warning(datetime.now(UTC)) or (logging.INFO, tls.pair.expiry)
    return checks.Finding(level < logging.ERROR, f"certificate: {settings.tls_cert}, {text}")


def authenticator(settings: Settings) -> Authenticator:
    """The user of the environment, throttled."""
    user = EnvironmentUser(settings.user_login, settings.user_password.get_secret_value())
    return ThrottledAuthenticator(user, FailureThrottle())


def s3_transport(settings: Settings) -> AiohttpTransport:
    """Connections to S3, enough for a transfer of every session. Raises SettingsError.

    A download keeps its connection for as long as its client takes to read, and a data port is free again as soon as
    its client has connected: with fewer, slow clients would make all others wait.
    """
    parts = settings.memory_budget // settings.part_size
    ranges = settings.memory_budget // BUDGET_SHARE // RANGE_BYTES if settings.download_streams > 1 else 0
    looks = LOOKS_IN_FLIGHT if settings.times == "modified" else 0
    try:
        return AiohttpTransport(
            ca_file=str(settings.ca_bundle) if settings.ca_bundle else None,
            limit=settings.max_sessions + parts + ranges + looks + COPIES_IN_FLIGHT + SPARE_CONNECTIONS,
        )
    except OSError as error:
        fault = Fault("AWS_CA_BUNDLE", "holds no certificate; right would be a PEM file of authorities")
        raise SettingsError([fault]) from error


def s3_client(settings: Settings, transport: Transport, keys: CredentialsProvider, *, patient: bool = True) -> S3Client:
    """The bucket. One that is not patient tells the first failure at once."""
    styles = {"auto": None, "path": True, "virtual": False}
    endpoint = Endpoint.for_bucket(
        settings.bucket, settings.region, settings.s3_host, path_style=styles[settings.s3_addressing]
    )
    return S3Client(
        transport,
        endpoint,
        keys,
        retry=None if patient else NO_RETRIES,
        observer=log_request,
        # What a store of unknown make does with checksums is not known; a payload hash is part of every signature.
        sign_payload=True if settings.checksum == "auto" and not endpoint.on_aws else None,
        checksum=chosen_algorithm(settings.checksum, on_aws=endpoint.on_aws),
    )


def hashes_of(client: S3Client) -> tuple[str, ...]:
    """The hashes that clients can be told of what this client stores, by FTP's names."""
    names = {storage: ftp for ftp, storage in HASHES.items()}
    return tuple(names[found] for found in digests.told(client))


def credentials(settings: Settings, transport: Transport) -> Source:
    """The keys that were given, or where to get some: see `chosen_source`. Raises SettingsError."""
    keys = bool(settings.access_key_id)
    named = {
        "AWS_ACCESS_KEY_ID": settings.access_key_id,
        "AWS_SECRET_ACCESS_KEY": _text(settings.secret_access_key),
        "AWS_SESSION_TOKEN": _text(settings.session_token),
        "AWS_PROFILE": None if keys else settings.profile,
        "AWS_SHARED_CREDENTIALS_FILE": settings.shared_credentials_file,
        "AWS_WEB_IDENTITY_TOKEN_FILE": settings.web_identity_token_file,
        "AWS_ROLE_ARN": settings.role_arn,
        "AWS_ROLE_SESSION_NAME": settings.role_session_name,
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": settings.container_credentials_relative_uri,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": settings.container_credentials_full_uri,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": _text(settings.container_authorization_token),
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": settings.container_authorization_token_file,
        "AWS_EC2_METADATA_DISABLED": "true" if settings.ec2_metadata_disabled else None,
    }
    try:
        return chosen_source(transport, {name: str(value) for name, value in named.items() if value}, settings.region)
    except NoCredentials as error:
        text = "cannot be trusted with a token; right would be https, or http to loopback or to ECS's or EKS's address"
        raise SettingsError([Fault("AWS_CONTAINER_CREDENTIALS_FULL_URI", text)]) from error


def tree_factory(settings: Settings, client: S3Client) -> Callable[[User], Tree]:
    """Opens the files of a user; all trees share the memory budget and the locks."""
    budget = ByteBudget(settings.memory_budget)
    streams = settings.download_streams
    store = S3Store(
        client,
        budget,
        part_size=settings.part_size,
        parts_in_flight=settings.parts_in_flight,
        equal_parts=settings.equal_parts or client.endpoint.wants_equal_parts,
        no_overwrite=settings.no_overwrite,
        parallel=Parallel(budget=budget, streams=streams) if streams > 1 else None,
        times=KnownTimes() if settings.times == "modified" else None,
    )
    locks = PathLocks()
    emptied = EmptiedDirectories()
    moves = Moves()

    def open_tree(user: User) -> Tree:
        return Tree(store, locks=locks, prefix=settings.prefix + user.prefix, emptied=emptied, moves=moves)

    return open_tree


def warn_about_choices(settings: Settings) -> None:
    """Say loudly what is not as safe as it could be."""
    if settings.require_tls == "none":
        log.warning("AIOFTPS3_REQUIRE_TLS=none: PASSWORDS AND FILES CAN BE READ BY ANYONE ON THE WAY")
    if settings.require_tls == "control":
        log.warning("AIOFTPS3_REQUIRE_TLS=control: FILES CAN BE READ BY ANYONE ON THE WAY")
    if settings.allow_foreign_data_peer:
        log.warning("AIOFTPS3_ALLOW_FOREIGN_DATA_PEER: WHOEVER CONNECTS TO A DATA PORT FIRST GETS OR GIVES THE FILE")
    if settings.upload_end == "trusting":
        log.warning("AIOFTPS3_UPLOAD_END=trusting: an upload that was cut off can be stored as a whole file")
    if _clear_text_s3(settings.s3_host):
        log.warning("AWS_S3_BUCKET_HOST begins with http://: files travel to S3 in clear text")
    password = settings.user_password.get_secret_value()
    easy = len(password) < MIN_PASSWORD_LENGTH or password.lower() in {"password", settings.user_login.lower()}
    if easy and not password.startswith(HASH_PREFIX):
        log.warning("FTP_USER_PASSWORD is easy to guess")


# -- watching and stopping ----------------------------------------------------------------------------------------


async def _drained(server: FtpsServer, grace_seconds: float, signals: Signals) -> bool:
    """Drain until all is done, the grace is over, or a second signal comes; False when that cuts commands off.

    Behind the last transfer the drain takes another second at most: for clients that do not close their connections.
    """
    drain = asyncio.create_task(server.drain(grace_seconds))
    aborted = asyncio.create_task(signals.wait(2))
    try:
        await asyncio.wait((drain, aborted), return_when=asyncio.FIRST_COMPLETED)
        if drain.done():
            drain.result()
        elif server.running_commands:
            log.warning("aborting: transfers and other commands that still run are cut off")
            return False
        return True
    finally:
        await _cancelled(drain)
        await _cancelled(aborted)


async def _close(server: FtpsServer) -> None:
    """Close within a limit; what is left of the sessions then ends with the event loop."""
    closing = asyncio.create_task(server.close())
    done, _ = await asyncio.wait((closing,), timeout=CLOSE_SECONDS)
    if not done:
        log.warning("some sessions did not end in time and are dropped")
        await _cancelled(closing)


def _warn_that_no_certificate_is_read() -> None:
    log.warning("there is no certificate to read again: AIOFTPS3_TLS_CERT is not set")


async def _watch_s3(client: S3Client, prefix: str) -> None:
    """Say what is wrong with S3, and when it is right."""
    pause = FIRST_RECHECK_SECONDS
    last = ""
    while True:
        finding = await checks.check_reading(client, prefix)
        if finding.good:
            log.info("%s", finding.text)
            return
        if finding.text != last:
            log.error("%s", finding.text)
            last = finding.text
        await asyncio.sleep(pause)
        pause = min(pause * 2, LAST_RECHECK_SECONDS)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait((task,))


def log_request(event: RequestEvent) -> None:
    """A repeated attempt is an operator's business; the last one's failure is told by whoever needed its result."""
    if event.retry_in is not None:
        level, text = logging.WARNING, f"again in {event.retry_in:.1f} s"
    elif event.error and event.attempt > 1:
        level, text = logging.WARNING, "given up"
    else:
        level, text = logging.DEBUG, "done" if event.error is None else "failed"
    if not log.isEnabledFor(level):
        return
    outcome = " ".join(str(part) for part in (event.error, event.code, event.status) if part)
    log.log(
        level,
        "S3 %s %s, attempt %d: %s after %.3f s, request id %s; %s",
        event.operation,
        event.key or "of the bucket",
        event.attempt,
        outcome,
        event.seconds,
        event.request_id,
        text,
    )


def _own_names(public_host: str | None) -> list[str]:
    """Names that clients may use for this host."""
    names = [public_host, socket.gethostname(), "localhost", "127.0.0.1", "::1"]
    return list(dict.fromkeys(name for name in names if name and name.isascii()))


def _clear_text_s3(host: str | None) -> bool:
    parts = urlsplit(host or "")
    return parts.scheme == "http" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}


def _url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _text(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
