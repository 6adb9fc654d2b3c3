"""The cost of an administrator's joins: each greeting is a turn, and cannot bypass the queue."""

from __future__ import annotations

import asyncio

from tests.conftest import Peer
from tests.security.conftest import READER
from tests.security.test_metering import open_polling, post
from tests.walks.gates import stopped_in_a_turn
from tests.walks.test_backlog import wait_until


async def test_comings_and_goings_on_one_connection_queue_one_greeting_at_a_time(guarded):
    sid = await open_polling(guarded)
    token = f'40/admin,{{"token":"{READER}"}}'
    assert await post(guarded, sid, token) == 200
    await wait_until(lambda: guarded.master.turns.waiting == 0)
    async with stopped_in_a_turn(guarded):
        posting = asyncio.ensure_future(post(guarded, sid, *["41/admin,", token] * 15))
        most = 0
        for _ in range(200):
            most = max(most, guarded.master.turns.waiting)
            await asyncio.sleep(0)
        assert most <= 1
    assert await posting == 200


async def test_a_greeting_of_a_socket_that_has_gone_is_not_granted_a_turn(guarded):
    async with stopped_in_a_turn(guarded):
        for _ in range(5):
            peer = Peer("/admin")
            await peer.connect(guarded.master.port, auth={"token": READER})
            await peer.close()
    await wait_until(lambda: not guarded.master.sockets.lanes)
    assert guarded.master.memory.sessions.admins == {}
