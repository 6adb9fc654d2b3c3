"""python worker.py http://127.0.0.1:3000 [TOKEN]: a worker; look and log_in are yours to write."""

import asyncio
import os
import signal
import sys
from time import monotonic  # a clock that is never set

import socketio  # pip install "python-socketio[asyncio_client]"

URL, TOKEN = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
WORKER = os.environ.get("WORKER_ID", "my-python-worker")
ABOUT = {"workerId": WORKER, "capabilities": ["douyin"], "host": "my-machine", "port": 1}

io = socketio.AsyncClient(reconnection=False)  # main connects again, also if we are refused
stop = asyncio.Event()
accounts: dict = {}  # id -> account with `taken_at` and `acts_at`: those that are ours
logins: set = set()  # the session ids of the logins that we work on
state = {"interval": 10.0, "timeout": 30.0, "asked": 0.0, "heard": float("-inf")}


def may_act():
    """Tell whether we may act: our own stop, before Master moves the accounts."""
    return monotonic() < state["heard"] + state["timeout"] * 5 / 6


async def report(event, fields):
    """Send a fact again and again, until Master has it; return the acknowledgement."""
    wait = 1.0
    while True:
        try:
            answer = await io.call(event, fields, "/worker", timeout=10)
            if answer["success"] or not answer["error"]["retryable"]:
                return answer
            await asyncio.sleep(answer["error"].get("retry_after_ms", wait * 1000) / 1000)
        except socketio.exceptions.SocketIOError:  # it may be stored or not
            await asyncio.sleep(wait)
        wait = min(2 * wait, 30)


async def register():
    """Register; Master's answer is also the event worker:registered."""
    state["asked"] = monotonic()
    answer = await report("worker:register", ABOUT)
    if not answer["success"]:
        print("refused", answer["error"])


def take(listed):
    """Add accounts, or renew what we know of them."""
    for account in listed:
        known = accounts.get(account["id"], {})
        acts_at = monotonic() + account.get("start_after_ms", 0) / 1000
        if known.get("epoch") == account["epoch"]:
            acts_at = min(acts_at, known["acts_at"])
        times = {"taken_at": monotonic(), "acts_at": acts_at, "looked_at": known.get("looked_at")}
        accounts[account["id"]] = account | times


@io.on("connect", namespace="/worker")
async def connected():
    asyncio.create_task(register())  # noqa: RUF006


@io.on("worker:registered", namespace="/worker")
async def registered(answer):
    if answer["success"]:
        state["heard"] = state["asked"]  # when we asked, not when we were answered
        state.update(interval=answer["heartbeatInterval"], timeout=answer["heartbeatTimeout"])
        if answer["accountsTotal"] <= len(answer["accounts"]):  # else more follow
            listed = {account["id"] for account in answer["accounts"]}
            for gone in accounts.keys() - listed:
                del accounts[gone]
        take(answer["accounts"])


@io.on("master:task:assign", namespace="/worker")
async def assigned(event):
    take(event["accounts"])


@io.on("master:task:revoke", namespace="/worker")
async def revoked(event):
    for account_id in event["accountIds"]:
        accounts.pop(account_id, None)
    if event["reason"] == "registered_elsewhere":  # another process has our id: do not fight
        stop.set()


@io.on("master:login:start", namespace="/worker")
async def login_started(login):
    if login["session_id"] not in logins:  # it may be sent again
        logins.add(login["session_id"])
        await log_in(login)
        logins.discard(login["session_id"])


@io.on("master:login:cancel", namespace="/worker")
async def login_cancelled(login):
    logins.discard(login["session_id"])


async def beat():
    """Send one heartbeat, and compare the accounts with Master's answer."""
    sent = monotonic()
    event = {"workerId": WORKER, "stats": {"activeAccounts": len(accounts)}}
    try:
        answer = await io.call("worker:heartbeat", event, "/worker", timeout=state["interval"] / 2)
    except socketio.exceptions.SocketIOError:
        return
    if answer["success"]:
        state["heard"] = sent
        for account_id in list(accounts):
            if account_id not in answer["accountIds"] and accounts[account_id]["taken_at"] < sent:
                del accounts[account_id]
    if not answer["success"] or not accounts.keys() >= set(answer["accountIds"]):
        await register()


async def watch():
    """Look at each account that is due, and report what it shows."""
    for account in list(accounts.values()) if may_act() else []:
        looked = account["looked_at"]
        due = looked is None or monotonic() >= looked + account["monitor_interval"]
        if account["login_status"] == "logged_in" and due and monotonic() >= account["acts_at"]:
            account["looked_at"] = monotonic()
            messages = await look(account)
            event = {"type": "comment", "account_id": account["id"], "messages": messages}
            asyncio.create_task(report("worker:message:detected", event))  # noqa: RUF006


async def look(account):
    """Yours: open the page with account["credentials"]["cookies"] and read it."""
    return [{"platform_comment_id": f"first-of-{account['id']}", "content": "多少钱?"}]


async def log_in(login):
    """Yours: open the login page, through login["proxy"] if it is set."""
    about = {"session_id": login["session_id"], "account_id": login["account_id"]}
    code = "data:image/png;base64,iVBORw0KGgo="  # the picture on the page
    await report("worker:login:qrcode", about | {"qr_code_data": code})
    await asyncio.sleep(0.5)  # a person scans the code
    if may_act() and login["session_id"] in logins:
        result = {
            "cookies": [{"name": "sessionid", "value": "1"}],
            "user_info": {"nickname": "小店"},
        }
        await report("worker:login:status", about | {"status": "success"} | result)


async def main():
    """Connect, and work until the process is told to end."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    auth = {"token": TOKEN} if TOKEN else None
    beat_at = monotonic()
    while not stop.is_set():
        await asyncio.sleep(1)
        if not io.connected:
            try:
                await io.connect(URL, namespaces=["/worker"], auth=auth)
            except socketio.exceptions.ConnectionError as fault:
                print("not connected:", fault)
        elif monotonic() >= beat_at + state["interval"]:
            beat_at = monotonic()
            await beat()
        if not may_act():  # Master did not hear us: act no more
            accounts.clear()
            logins.clear()
        await watch()
    if io.connected:
        await io.call("worker:goodbye", {"workerId": WORKER}, "/worker", timeout=2)
        await io.disconnect()


asyncio.run(main())
