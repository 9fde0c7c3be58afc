"""How much a data connection takes from its socket at once."""

from __future__ import annotations

import pytest

from aioftps3.ftp.receiving import LEAST_RECEIVE_BYTES, RECEIVE_BYTES, TURN_BYTES, ReceiveBuffer


@pytest.mark.parametrize("connections", [1, 2, 3, 4, 8, 32, 50, 200, 5000])
def test_a_turn_of_the_loop_takes_a_bounded_amount_from_all_together(connections: int) -> None:
    buffer = ReceiveBuffer()
    for _ in range(connections):
        buffer.enter()
    assert buffer.share * connections <= max(TURN_BYTES, connections * LEAST_RECEIVE_BYTES)
    assert LEAST_RECEIVE_BYTES <= buffer.share <= RECEIVE_BYTES


def test_whoever_is_left_gets_what_the_others_got() -> None:
    buffer = ReceiveBuffer()
    assert buffer.share == RECEIVE_BYTES
    for _ in range(9):
        buffer.enter()
    assert buffer.share == TURN_BYTES // 9
    for _ in range(9):
        buffer.leave()
    assert buffer.share == RECEIVE_BYTES
