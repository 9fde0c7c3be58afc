from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aioftps3.embedded.memory import MemoryStore
from aioftps3.embedded.state import Blob, Bucket, Segment, StoredObject, cut, join, make_blob


def blob_of(*pieces: bytes) -> Blob:
    return make_blob(Segment(piece, 0, len(piece)) for piece in pieces)


@given(pieces=st.lists(st.binary(max_size=6), max_size=6), first=st.integers(0, 40), length=st.integers(0, 40))
def test_cut_selects_what_slicing_selects(pieces: list[bytes], first: int, length: int) -> None:
    whole = b"".join(pieces)
    part = cut(blob_of(*pieces), first, length)
    assert MemoryStore().read(part) == whole[first : first + length]
    assert part.size == len(whole[first : first + length])
    assert MemoryStore().read(cut(part, 1, length)) == whole[first : first + length][1:]


@given(pieces=st.lists(st.binary(max_size=6), max_size=6))
def test_join_puts_contents_one_after_the_other(pieces: list[bytes]) -> None:
    joined = join(blob_of(piece) for piece in pieces)
    assert MemoryStore().read(joined) == b"".join(pieces)
    assert all(segment.length for segment in joined.segments)


@given(changes=st.lists(st.tuples(st.booleans(), st.sampled_from("abcdé🦆"))))
def test_keys_stay_sorted_and_are_those_of_the_objects(changes: list[tuple[bool, str]]) -> None:
    bucket = Bucket(MemoryStore())
    expected: set[str] = set()
    for add, key in changes:
        if add:
            bucket.put(StoredObject(key=key, blob=Blob(), etag="", modified=0.0, headers={}))
            expected.add(key)
        else:
            bucket.delete(key)
            expected.discard(key)
    assert bucket.keys == sorted(expected, key=str.encode)
    assert set(bucket.objects) == expected
