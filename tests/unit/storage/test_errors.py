import pytest

from aioftps3.storage import errors

KINDS = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_fixed_words_of_its_own(kind: type[errors.StorageError]) -> None:
    error = kind("NoSuchKey (status 404, request id 1)", request_id="1")

    assert issubclass(kind, errors.StorageError)
    assert error.reason == kind.words
    assert str(error) == f"{kind.words}: NoSuchKey (status 404, request id 1)"
    assert str(kind()) == kind.words
    assert error.request_id == "1"
    assert [other for other in KINDS if other.words == kind.words] == [kind]


def test_a_reason_can_be_more_exact() -> None:
    error = errors.NameInvalid("1025 bytes", reason="file name is too long")

    assert (error.reason, error.detail) == ("file name is too long", "1025 bytes")
    assert str(error) == "file name is too long: 1025 bytes"


def test_the_tree_is_drawn_in_the_docstring() -> None:
    assert errors.__doc__ is not None
    assert all(name in errors.__doc__ for name in errors.__all__)
