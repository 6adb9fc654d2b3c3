"""Checks at the end of a run: Master's own lists against the record of what happened."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from master.model import Direction, JsonObject, LoginStatus, MessageKind
from simulator.truth.api import Api, ApiTrouble, list_all
from simulator.truth.ledger import Facts, Feed, Ledger, Told
from simulator.truth.platform import Platform
from simulator.truth.sequence import SeenSequence

AT_ONCE = 8
"""HTTP requests that are open at once."""

LISTS = {
    MessageKind.COMMENT: ("comments", "platform_comment_id"),
    MessageKind.DIRECT_MESSAGE: ("direct-messages", "platform_message_id"),
}

Complain = Callable[[str, str], None]


@dataclass(slots=True)
class Stored:
    """The rows in Master's lists that concern one run's accounts."""

    messages: dict[Feed, list[JsonObject]] = field(default_factory=dict)
    notifications: list[JsonObject] = field(default_factory=list)
    accounts: dict[str, JsonObject] = field(default_factory=dict)


async def read_stored(api: Api, account_ids: Sequence[str]) -> Stored:
    """Read all lists of these accounts, page by page. Errors: ApiTrouble."""
    stored = Stored()
    gate = asyncio.Semaphore(AT_ONCE)

    async def read_account(account_id: str) -> None:
        async with gate:
            status, answer = await api.ask("GET", f"accounts/{account_id}")
            if status != 200:
                raise ApiTrouble(f"GET accounts/{account_id} answered {status}")
            stored.accounts[account_id] = answer["account"]
            for kind, (path, _) in LISTS.items():
                rows = [row async for row in list_all(api, path, account_id=account_id)]
                stored.messages[account_id, kind] = rows
            stored.notifications += [
                row async for row in list_all(api, "notifications", account_id=account_id)
            ]

    await asyncio.gather(*(read_account(account_id) for account_id in account_ids))
    return stored


async def read_everything(api: Api, account_ids: Sequence[str]) -> Stored:
    """Read the same rows from the lists of all accounts. Errors: ApiTrouble.

    This needs few requests if the run has a Master to itself.
    """
    stored, wanted = Stored(), set(account_ids)
    stored.accounts = {
        row["id"]: row async for row in list_all(api, "accounts") if row["id"] in wanted
    }
    if missing := wanted - stored.accounts.keys():
        raise ApiTrouble(f"GET accounts does not list {sorted(missing)}")
    for kind, (path, _) in LISTS.items():
        stored.messages |= {(account_id, kind): [] for account_id in account_ids}
        async for row in list_all(api, path):
            if row["account_id"] in wanted:
                stored.messages[row["account_id"], kind].append(row)
    stored.notifications = [
        row async for row in list_all(api, "notifications") if row["account_id"] in wanted
    ]
    return stored


def check_all(
    stored: Stored,
    facts: Facts,
    ledger: Ledger,
    platform: Platform,
    devices: Iterable[SeenSequence],
) -> None:
    """Compare Master's lists with earlier acknowledgements; each difference is a violation."""
    for feed, rows in stored.messages.items():
        ours = [
            str(row[LISTS[feed[1]][1]])
            for row in rows
            if platform.is_ours(str(row[LISTS[feed[1]][1]]))
        ]
        check_messages(feed, ours, ledger.show_told(feed, facts), platform, ledger.complain)
    check_inserted(stored, facts.inserted, platform, ledger.complain)
    check_notifications(stored, ledger.complain)
    check_facts(stored, ledger, platform)
    check_logins(stored.accounts, facts.logged_in, ledger)
    ledger.states.compare(stored.accounts, facts.states)
    check_devices(stored.notifications, devices)


def check_messages(
    feed: Feed, listed: Sequence[str], told: Told, platform: Platform, complain: Complain
) -> None:
    """Check that acknowledged messages are listed, unsent ones are not, and none is twice."""
    account_id, kind = feed
    for platform_id, times in Counter(listed).items():
        if times > platform.count_conversations(platform_id):
            complain(
                "stored_twice", f"{kind} {platform_id} of {account_id} is listed {times} times"
            )
    found = set(listed)
    acknowledged = {platform.name_item(account_id, kind, number) for number in told.acknowledged}
    for platform_id in sorted(acknowledged - found):
        complain(
            "acknowledged_and_lost",
            f"{kind} {platform_id} of {account_id} was acknowledged and is not listed",
        )
    sent = acknowledged | {platform.name_item(account_id, kind, number) for number in told.sent}
    for platform_id in sorted(found - sent):
        complain(
            "never_sent", f"{kind} {platform_id} of {account_id} is listed and was never reported"
        )


def check_facts(stored: Stored, ledger: Ledger, platform: Platform) -> None:
    """Check that messages are stored with everything that the platform showed, whatever its form.

    A message of which no row exists breaks another rule.
    """
    for feed, truths in ledger.truths.items():
        column = LISTS[feed[1]][1]
        rows = defaultdict[str, list[JsonObject]](list)
        for row in stored.messages.get(feed, ()):
            rows[str(row[column])].append(row)
        for number, shown in truths.items():
            name = platform.name_item(*feed, number)
            for truth in shown:
                if name in rows and not any(is_stored(row, truth) for row in rows[name]):
                    row = rows[name][0]
                    found = {one: row.get(one, row.get(SENDER.get(one, one))) for one in truth}
                    ledger.complain("fact_lost", f"{name}: shown {truth}, stored {found}"[:480])


SENDER = {"author_name": "sender_name", "author_id": "sender_id"}
"""Columns of comments -> columns of direct messages."""


def is_stored(row: JsonObject, truth: JsonObject) -> bool:
    """Tell whether a listed message has everything that was shown; an edit keeps the first text.

    A time in the future is stored as the time of the report.
    """
    for column, value in truth.items():
        kept = row.get(column, row.get(SENDER.get(column, column)))
        if column == "content":
            texts = (kept, row.get("earlier_content"))
            if not any(text == value or _reads_as(text, value) for text in texts):
                return False
        elif column == "created_at":
            if kept not in (value, row.get("detected_at")):
                return False
        elif kept != value:
            return False
    return True


def _reads_as(text: object, value: object) -> bool:
    """Tell whether a text is the JSON of an object."""
    if not isinstance(value, dict) or not isinstance(text, str):
        return False
    try:
        return bool(orjson.loads(text) == value)
    except ValueError:
        return False


def check_inserted(stored: Stored, inserted: int, platform: Platform, complain: Complain) -> None:
    """Check that Master acknowledged no more insertions than it lists messages."""
    listed = sum(
        platform.is_ours(str(row[LISTS[kind][1]]))
        for (_, kind), rows in stored.messages.items()
        for row in rows
    )
    if inserted > listed:
        complain(
            "inserted_too_often", f"{inserted} insertions acknowledged, {listed} messages listed"
        )


def check_notifications(stored: Stored, complain: Complain) -> None:
    """Check that messages and notifications of their types correspond one to one.

    Our own answers (outbound) make no notification; an edit may make one more.
    """
    kinds = {kind.value for kind in MessageKind}
    told = Counter(
        (str(row["type"]), str(row["related_id"]))
        for row in stored.notifications
        if row["type"] in kinds and "edited_at" not in row.get("data", {})
    )
    kept = {
        (kind.value, str(row["id"]))
        for (_, kind), rows in stored.messages.items()
        for row in rows
        if row.get("direction") != Direction.OUTBOUND
    }
    for kind, row_id in sorted(kept):
        times = told.pop((kind, row_id), 0)
        if times == 0:
            complain("not_notified", f"{kind} {row_id} has no notification")
        elif times > 1:
            complain("notified_twice", f"{kind} {row_id} has {times} notifications")
    for kind, row_id in sorted(told):
        complain(
            "notification_of_nothing", f"a notification of {kind} {row_id}, which is not listed"
        )


def check_logins(
    accounts: Mapping[str, JsonObject], logged_in: Iterable[str], ledger: Ledger
) -> None:
    """Check that each acknowledged login left a logged-in account with credentials.

    The platform may have ended the session since, if a worker ever said so.
    """
    for account_id in sorted(logged_in):
        account = accounts.get(account_id)
        if account is None:
            continue  # an account of another run at a running Master
        state, kept = account.get("login_status"), account.get("has_credentials")
        is_well = state == LoginStatus.LOGGED_IN or ledger.states.may_be_lost(account_id, state)
        if not is_well or kept is not True:
            ledger.complain(
                "login_lost", f"{account_id} logged in; listed as {state}, has_credentials {kept}"
            )


def check_devices(notifications: Sequence[JsonObject], devices: Iterable[SeenSequence]) -> None:
    """Check that each device has seen the whole sequence up to the newest listed notification."""
    newest = max((int(row["seq"]) for row in notifications), default=0)
    for device in devices:
        device.judge_end(newest)
