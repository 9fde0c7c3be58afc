import base64

import pytest

from aioftps3.auth.passwords import BadHashError, PasswordHash, hash_password

SALT = base64.b64encode(b"saltsaltsaltsalt").decode()
DIGEST = base64.b64encode(bytes(32)).decode()


def test_a_hash_matches_its_password_alone() -> None:
    hashed = hash_password("pässword")
    assert hashed.matches("pässword")
    assert not hashed.matches("passwort")
    assert not hashed.matches("")


def test_a_hash_survives_being_written_and_read() -> None:
    hashed = hash_password("secret")
    assert str(hashed).startswith("scrypt$16384$8$5$")
    assert PasswordHash.parse(str(hashed)) == hashed


def test_two_hashes_of_a_password_differ() -> None:
    assert str(hash_password("secret")) != str(hash_password("secret"))


def test_scrypt_is_the_one_of_rfc_7914() -> None:
    digest = bytes.fromhex(
        "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
        "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"
    )
    text = "$".join(
        ["scrypt", "1024", "8", "16", base64.b64encode(b"NaCl").decode(), base64.b64encode(digest).decode()]
    )
    assert PasswordHash.parse(text).matches("password")


def test_bytes_that_are_not_utf8_can_be_hashed() -> None:
    odd = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert hash_password(odd).matches(odd)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "scrypt$",
        "scrypt$16384$8$5$salt",
        f"bcrypt$16384$8$5${SALT}${DIGEST}",
        f"scrypt$x$8$5${SALT}${DIGEST}",
        f"scrypt$16384$8$5$*${DIGEST}",
        f"scrypt$16384$8$5$${DIGEST}",
        f"scrypt$16384$8$5${SALT}$",
        f"scrypt$16383$8$5${SALT}${DIGEST}",
        f"scrypt$16384$0$5${SALT}${DIGEST}",
        f"scrypt$16384$8$0${SALT}${DIGEST}",
        f"scrypt$16384$8$99${SALT}${DIGEST}",
        f"scrypt$1048576$8$1${SALT}${DIGEST}",
    ],
)
def test_other_texts_and_too_costly_ones_are_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(BadHashError) as error:
        PasswordHash.parse(text)
    assert SALT not in str(error.value)
    assert DIGEST not in str(error.value)


def test_the_repr_shows_no_hash() -> None:
    hashed = hash_password("secret")
    assert base64.b64encode(hashed.digest).decode() not in repr(hashed)
    assert repr(hashed.digest) not in repr(hashed)
    assert repr(hashed.salt) not in repr(hashed)
