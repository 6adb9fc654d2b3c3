"""A device belongs to its token: no other token's socket can confirm what it has seen."""

from __future__ import annotations

import pytest

from master.operations.notifications import SEPARATOR
from tests.security.conftest import ANY_WORKER, DEVICE, LIMITED, MINE, ROOT, Guarded

SECOND, NEWEST = "device-secret-token-second", 2**53


@pytest.fixture
def given() -> dict[str, str]:
    return {
        "WORKER_TOKENS": f"*:{ANY_WORKER}",
        "ADMIN_TOKENS": f"root:{ROOT}",
        "CLIENT_TOKENS": f"all:{DEVICE},second:{SECOND},limited:{LIMITED}:{MINE}",
    }


async def detect_five(guarded: Guarded) -> None:
    worker = await guarded.register("worker-1", ANY_WORKER)
    await guarded.add_account(MINE)
    await guarded.detect(worker, MINE, 1, 2, 3, 4, 5)


async def count_owed(guarded: Guarded, token: str, device_id: str) -> int:
    device = await guarded.connect("client", token)
    owed: int = (await device.ask("client:register", {"device_id": device_id}))["owed"]
    return owed


@pytest.mark.parametrize("registered", [True, False])
@pytest.mark.parametrize("token", [SECOND, LIMITED])
async def test_another_tokens_sync_makes_a_device_lose_nothing(
    guarded, token: str, registered: bool
):
    await (await guarded.register_device(DEVICE, "phone")).close()
    await detect_five(guarded)
    other = await (
        guarded.register_device(token, "phone") if registered else guarded.connect("client", token)
    )
    assert (await other.ask("client:sync:request", {"device_id": "phone", "after_seq": NEWEST}))[
        "success"
    ]
    assert await count_owed(guarded, DEVICE, "phone") == 5


@pytest.mark.parametrize("name", ["limited:phone", f"limited{SEPARATOR}phone", "limited phone"])
async def test_no_device_id_names_another_tokens_device(guarded, name: str):
    await (await guarded.register_device(LIMITED, "phone")).close()
    await detect_five(guarded)
    other = await guarded.connect("client", SECOND)
    answer = await other.ask("client:register", {"device_id": name})
    assert answer["success"] == (SEPARATOR not in name)
    await other.ask("client:sync:request", {"device_id": name, "after_seq": NEWEST})
    assert await count_owed(guarded, LIMITED, "phone") == 5


async def test_a_sync_before_the_registration_is_answered_and_passes_nothing(guarded):
    await (await guarded.register_device(DEVICE, "phone")).close()
    await detect_five(guarded)
    same = await guarded.connect("client", DEVICE)
    page = await same.ask("client:sync:request", {"device_id": "phone", "after_seq": 3})
    assert [one["seq"] for one in page["notifications"]] == [4, 5]
    assert await count_owed(guarded, DEVICE, "phone") == 5


async def test_a_device_from_before_its_token_had_a_name_goes_on_from_what_it_had_seen(guarded):
    await detect_five(guarded)
    async with guarded.master.database.write() as transaction:
        connection = await transaction.connect()
        await connection.exec_driver_sql(
            "INSERT INTO client_devices (device_id, seen_seq, last_seen_at, created_at) "
            "VALUES (char(31) || 'phone', 2, 1, 1), (char(31) || 'limited:phone', 3, 1, 1)"
        )
        await connection.exec_driver_sql(
            "INSERT INTO client_deliveries SELECT char(31) || 'phone', id, 1 FROM notifications "
            "WHERE seq = 4"
        )
    await guarded.master.turns.load_farm()
    for _ in range(2):
        assert await count_owed(guarded, DEVICE, "phone") == 2, "the third and the fifth"
        assert await count_owed(guarded, LIMITED, "phone") == 2
    second = await guarded.register_device(SECOND, "phone")
    await second.ask("client:sync:request", {"device_id": "phone", "after_seq": NEWEST})
    assert await count_owed(guarded, DEVICE, "phone") == 2
    kept = guarded.rows(
        "SELECT seen_seq, last_seen_at FROM client_devices WHERE device_id = char(31) || 'phone'"
    )
    assert kept == [(2, 1)], "it belongs to no token, so no token changes it"
