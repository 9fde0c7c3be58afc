from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from aioftps3.auth import hash_password
from aioftps3.settings import OPTIONS, Settings, SettingsError, load, page

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
PASSWORD = "correct horse battery staple"
README: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_S3_BUCKET_REGION": "eu-west-1",
    "AWS_S3_BUCKET_HOST": "s3-eu-west-1.amazon.aws.com",
    "AWS_S3_BUCKET_NAME": "my-bucket-name",
    "FTP_USER_LOGIN": "user",
    "FTP_USER_PASSWORD": PASSWORD,
}
DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


def faults(environ: Mapping[str, str], flags: Mapping[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as error:
        load(environ, flags or {})
    assert SECRET not in str(error.value)
    assert PASSWORD not in str(error.value)
    return str(error.value)


def test_the_readme_environment_is_all_that_is_needed() -> None:
    settings = load(README)
    assert settings.bucket == "my-bucket-name"
    assert settings.region == "eu-west-1"
    assert settings.s3_host == "s3-eu-west-1.amazon.aws.com"
    assert settings.access_key_id == "AKIDEXAMPLE"
    assert settings.secret_access_key is not None
    assert settings.secret_access_key.get_secret_value() == SECRET
    assert settings.user_login == "user"
    assert settings.user_password.get_secret_value() == PASSWORD
    assert (settings.port, settings.implicit_port) == (8021, 8022)
    assert settings.data_ports == tuple(range(8023, 8043))
    assert settings.memory_budget == 256 * 1024 * 1024


def test_settings_are_frozen_and_their_repr_hides_secrets() -> None:
    settings = load({**README, "AWS_SESSION_TOKEN": "session-token-text"})
    assert SECRET not in repr(settings)
    assert PASSWORD not in repr(settings)
    assert "session-token-text" not in repr(settings)
    with pytest.raises(ValidationError):
        settings.port = 1


def test_other_variables_are_nobodys_business() -> None:
    load({**README, "PATH": "/bin", "AWS_WHATEVER": "x", "FTP_PROXY": "y"})


def test_an_empty_variable_is_an_unset_one() -> None:
    settings = load({**README, "AIOFTPS3_PUBLIC_HOST": "", "AIOFTPS3_PORT": "  ", "AWS_SESSION_TOKEN": ""})
    assert settings.public_host is None
    assert settings.port == 8021
    assert settings.session_token is None
    assert "AWS_S3_BUCKET_NAME is missing" in faults({**README, "AWS_S3_BUCKET_NAME": ""})


def test_the_region_falls_back_to_the_aws_names() -> None:
    environ = {name: value for name, value in README.items() if name != "AWS_S3_BUCKET_REGION"}
    assert load(environ).region == "us-east-1"
    assert load({**environ, "AWS_DEFAULT_REGION": "b"}).region == "b"
    assert load({**environ, "AWS_DEFAULT_REGION": "b", "AWS_REGION": "a"}).region == "a"
    assert load({**README, "AWS_REGION": "a"}).region == "eu-west-1"
    assert "AWS_REGION 'a b'" in faults({**environ, "AWS_REGION": "a b"})


def test_a_flag_wins_over_the_environment() -> None:
    settings = load({**README, "AIOFTPS3_PORT": "2121"}, {"AIOFTPS3_PORT": "2122", "AIOFTPS3_DATA_PORTS": "3000-3001"})
    assert settings.port == 2122
    assert settings.data_ports == (3000, 3001)


def test_a_fault_of_a_flag_names_the_flag() -> None:
    text = faults(README, {"AIOFTPS3_PORT": "x"})
    assert "--port 'x' is not a whole number; right would be a whole number from 0 to 65535" in text


BAD_VALUES = {
    "AWS_S3_BUCKET_NAME": "s3://bucket",
    "AWS_S3_BUCKET_REGION": "eu west",
    "AWS_S3_BUCKET_HOST": "ftp://host",
    "AIOFTPS3_S3_ADDRESSING": "dns",
    "AIOFTPS3_PREFIX": "a//b",
    "AWS_SHARED_CREDENTIALS_FILE": "/does/not/exist",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/does/not/exist",
    "AWS_ROLE_ARN": "role",
    "AWS_ROLE_SESSION_NAME": "a b",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "v2/x",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "ftp://host/",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/does/not/exist",
    "AWS_EC2_METADATA_DISABLED": "perhaps",
    "AIOFTPS3_CHECKSUM": "crc16",
    "AWS_CA_BUNDLE": "/does/not/exist",
    "FTP_USER_LOGIN": " user",
    "FTP_USER_PASSWORD": "scrypt$broken",
    "AIOFTPS3_HOST": "a b",
    "AIOFTPS3_PORT": "70000",
    "AIOFTPS3_IMPLICIT_PORT": "-1",
    "AIOFTPS3_DATA_PORTS": "8042-8023",
    "AIOFTPS3_PUBLIC_HOST": "::1",
    "AIOFTPS3_REQUIRE_TLS": "maybe",
    "AIOFTPS3_TLS_CERT": "/does/not/exist",
    "AIOFTPS3_TLS_KEY": "/does/not/exist",
    "AIOFTPS3_ALLOW_FOREIGN_DATA_PEER": "perhaps",
    "AIOFTPS3_TLS_MAX_VERSION": "1.1",
    "AIOFTPS3_REQUIRE_TLS_RESUMPTION": "perhaps",
    "AIOFTPS3_ACTIVE_MODE": "perhaps",
    "AIOFTPS3_UPLOAD_END": "lax",
    "AIOFTPS3_NO_OVERWRITE": "perhaps",
    "AIOFTPS3_CONVERT_TEXT": "perhaps",
    "AIOFTPS3_TIMES": "created",
    "AIOFTPS3_ADMIN_PORT": "8080",
    "AIOFTPS3_WORKERS": "2",
    "AIOFTPS3_MEMORY_BUDGET": "256 M",
    "AIOFTPS3_PART_SIZE": "1 MiB",
    "AIOFTPS3_PARTS_IN_FLIGHT": "0",
    "AIOFTPS3_EQUAL_PARTS": "maybe",
    "AIOFTPS3_DOWNLOAD_STREAMS": "17",
    "AIOFTPS3_MAX_SESSIONS": "0",
    "AIOFTPS3_MAX_SESSIONS_PER_ADDRESS": "many",
    "AIOFTPS3_LOGIN_TIMEOUT": "0",
    "AIOFTPS3_IDLE_TIMEOUT": "10m",
    "AIOFTPS3_DATA_CONNECT_TIMEOUT": "-1",
    "AIOFTPS3_STALL_TIMEOUT": "never",
    "AIOFTPS3_TLS_HANDSHAKE_TIMEOUT": "x",
    "AIOFTPS3_SHUTDOWN_GRACE": "x",
    "AIOFTPS3_LOG_LEVEL": "loud",
    "AIOFTPS3_LOG_FORMAT": "xml",
}
ANYTHING_GOES = {
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
}


def test_every_option_has_a_bad_value_here() -> None:
    assert {option.env for option in OPTIONS} == BAD_VALUES.keys() | ANYTHING_GOES


@pytest.mark.parametrize("name", BAD_VALUES)
def test_a_bad_value_is_a_fault_with_its_name_and_what_would_be_right(name: str) -> None:
    text = faults({**README, name: BAD_VALUES[name]})
    assert any(line.strip().startswith(f"{name} ") and "right would be" in line for line in text.splitlines()[1:])


def test_all_faults_come_in_one_message() -> None:
    text = faults({**BAD_VALUES, "AIOFTPS3_NONSENSE": "1", "AWS_SECRET_ACCESS_KEY": SECRET})
    for name in (*BAD_VALUES, "AIOFTPS3_NONSENSE", "AWS_ACCESS_KEY_ID"):
        assert f"  {name} " in text
    assert f"{len(BAD_VALUES) + 2} settings are wrong:" in text


def test_missing_options_are_named_together() -> None:
    text = faults({"HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"})
    for name in ("AWS_S3_BUCKET_NAME", "FTP_USER_LOGIN", "FTP_USER_PASSWORD", "AWS_ACCESS_KEY_ID"):
        assert f"{name} is missing" in text


def test_an_unknown_name_is_a_fault_with_the_closest_known_one() -> None:
    text = faults({**README, "AIOFTPS3_DATA_PORT": "8023"})
    assert text.startswith("one setting is wrong:")
    assert "AIOFTPS3_DATA_PORT is not a known name; did you mean AIOFTPS3_DATA_PORTS?" in text
    assert "did you mean AIOFTPS3_PORT?" in faults({**README, "aioftps3_port": "8021"})


def test_an_unknown_name_that_kubernetes_sets_says_so() -> None:
    assert "enableServiceLinks" in faults({**README, "AIOFTPS3_SERVICE_HOST": "10.0.0.1"})
    assert "enableServiceLinks" in faults({**README, "AIOFTPS3_PORT_8021_TCP_ADDR": "10.0.0.1"})


def test_a_password_in_a_url_is_not_repeated() -> None:
    assert "hunter2" not in faults({**README, "AWS_S3_BUCKET_HOST": "https://key:hunter2@host"})


def test_a_long_value_is_cut_in_the_message() -> None:
    assert len(faults({**README, "AIOFTPS3_PORT": "x" * 10_000})) < 500


def test_a_bad_hash_is_not_repeated() -> None:
    text = faults({**README, "FTP_USER_PASSWORD": "scrypt$16384$8$secretsalt"})
    assert "FTP_USER_PASSWORD begins like a hash" in text
    assert "secretsalt" not in text


def test_a_hash_may_be_given_for_the_password() -> None:
    hashed = str(hash_password(PASSWORD))
    assert load({**README, "FTP_USER_PASSWORD": hashed}).user_password.get_secret_value() == hashed


def test_a_password_that_no_client_can_send_is_a_fault() -> None:
    assert "FTP_USER_PASSWORD has control characters" in faults({**README, "FTP_USER_PASSWORD": "two\nlines"})


def test_secrets_may_come_from_files(tmp_path: Path) -> None:
    environ = {name: value for name, value in README.items() if value not in {SECRET, PASSWORD}}
    (tmp_path / "key").write_text(f"{SECRET}\n")
    (tmp_path / "password").write_text(PASSWORD)
    settings = load(
        {**environ, "AWS_SECRET_ACCESS_KEY_FILE": str(tmp_path / "key")},
        {"FTP_USER_PASSWORD_FILE": str(tmp_path / "password")},
    )
    assert settings.secret_access_key is not None
    assert settings.secret_access_key.get_secret_value() == SECRET
    assert settings.user_password.get_secret_value() == PASSWORD


@pytest.mark.parametrize("content", [b"", b"\n", b"one\ntwo\n", b"\xff\xfe"])
def test_a_secret_file_holds_one_line_of_text(tmp_path: Path, content: bytes) -> None:
    environ = {name: value for name, value in README.items() if value != PASSWORD}
    file = tmp_path / "password"
    file.write_bytes(content)
    assert "FTP_USER_PASSWORD_FILE" in faults({**environ, "FTP_USER_PASSWORD_FILE": str(file)})


def test_a_missing_secret_file_is_one_fault(tmp_path: Path) -> None:
    environ = {name: value for name, value in README.items() if value != PASSWORD}
    text = faults({**environ, "FTP_USER_PASSWORD_FILE": str(tmp_path / "none")})
    assert "one setting is wrong" in text
    assert "does not exist" in text


def test_a_secret_and_its_file_together_are_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    text = faults({**README, "FTP_USER_PASSWORD_FILE": str(file)})
    assert "FTP_USER_PASSWORD and FTP_USER_PASSWORD_FILE are both given" in text


def test_keys_come_in_pairs() -> None:
    environ = {name: value for name, value in README.items() if not name.startswith("AWS_SECRET")}
    assert "AWS_SECRET_ACCESS_KEY is missing beside AWS_ACCESS_KEY_ID" in faults(environ)
    environ = {name: value for name, value in README.items() if not name.startswith("AWS_ACCESS")}
    assert "AWS_ACCESS_KEY_ID is missing beside AWS_SECRET_ACCESS_KEY" in faults(environ)


def test_without_keys_the_shared_credentials_file_of_the_home_directory_is_taken(tmp_path: Path) -> None:
    environ = {name: value for name, value in README.items() if not name.startswith(("AWS_ACCESS", "AWS_SECRET"))}
    without = {**environ, "HOME": str(tmp_path)}
    assert "AWS_ACCESS_KEY_ID is missing" in faults({**without, "AWS_EC2_METADATA_DISABLED": "true"})
    assert "AWS_PROFILE is given, but there is no" in faults({**without, "AWS_PROFILE": "backup"})
    file = tmp_path / ".aws" / "credentials"
    file.parent.mkdir()
    file.write_text("[default]\n")
    assert load({**environ, "HOME": str(tmp_path)}).shared_credentials_file == file


def test_no_keys_are_needed_where_a_role_may_give_them(tmp_path: Path) -> None:
    environ = {name: value for name, value in README.items() if not name.startswith(("AWS_ACCESS", "AWS_SECRET"))}
    environ["HOME"] = str(tmp_path)
    file = tmp_path / "token"
    file.write_text("token")
    assert load(environ).access_key_id is None
    environ["AWS_EC2_METADATA_DISABLED"] = "true"
    uri = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/x?a=b"}
    assert load({**environ, **uri}).container_credentials_relative_uri == "/v2/credentials/x?a=b"
    identity = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(file)}
    assert "AWS_ROLE_ARN is missing beside" in faults({**environ, **identity})
    settings = load({**environ, **identity, "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/gateway"})
    assert settings.web_identity_token_file == file


def test_a_key_needs_its_certificate(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text("x")
    assert "AIOFTPS3_TLS_CERT is missing" in faults({**README, "AIOFTPS3_TLS_KEY": str(file)})


def test_ports_must_not_be_taken_twice() -> None:
    text = faults({**README, "AIOFTPS3_PORT": "8030", "AIOFTPS3_IMPLICIT_PORT": "8030"})
    assert "AIOFTPS3_IMPLICIT_PORT 8030 is AIOFTPS3_PORT too" in text
    assert "AIOFTPS3_DATA_PORTS has the port of AIOFTPS3_PORT, 8030" in text
    load({**README, "AIOFTPS3_PORT": "0", "AIOFTPS3_IMPLICIT_PORT": "0", "AIOFTPS3_DATA_PORTS": "0"})


def test_the_budget_holds_at_least_one_part() -> None:
    text = faults({**README, "AIOFTPS3_MEMORY_BUDGET": "16MiB", "AIOFTPS3_PART_SIZE": "32MiB"})
    assert "AIOFTPS3_MEMORY_BUDGET is smaller than one part of 32 MiB" in text


def test_a_conflict_with_a_bad_value_is_not_made_up() -> None:
    text = faults({**README, "AIOFTPS3_PORT": "x", "AIOFTPS3_DATA_PORTS": "8021-8042", "AIOFTPS3_IMPLICIT_PORT": "0"})
    assert "one setting is wrong" in text


def test_flags_follow_from_the_names_and_secrets_have_none() -> None:
    flags = dict(pair for option in OPTIONS for pair in option.names())
    assert flags["AIOFTPS3_DATA_PORTS"] == "--data-ports"
    assert flags["AWS_S3_BUCKET_NAME"] == "--aws-s3-bucket-name"
    assert {name for name, flag in flags.items() if flag is None} == {
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "FTP_USER_PASSWORD",
    }
    given = [flag for flag in flags.values() if flag]
    assert len(set(given)) == len(given)


def test_documented_defaults_are_the_real_ones() -> None:
    described_in_words = {"AWS_PROFILE", "AIOFTPS3_ADMIN_PORT"}
    for option in OPTIONS:
        field = Settings.model_fields[option.field]
        if isinstance(field.default, int | float | tuple) and field.default and option.env not in described_in_words:
            settings = load({**README, option.env: option.default})
            assert getattr(settings, option.field) == field.default, option.env


def test_the_documentation_is_the_table_of_the_options() -> None:
    assert DOCS.read_text(encoding="utf-8") == page()


def test_the_documentation_names_every_variable_and_flag() -> None:
    text = page()
    for option in OPTIONS:
        for env, flag in option.names():
            assert f"| `{env}` | {f'`{flag}`' if flag else 'none'} |" in text
