"""Tokens and codes do not leak: not into faults, logs at debug, or memory in readable form."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
from pathlib import Path

import pytest

from master.__main__ import main
from master.app import hide_keys, require_tokens
from master.environment import ListenFault, SettingsFault
from master.logs import HIDDEN, KNOWN, close_logs, configure_logs
from master.settings import SECRET_SETTINGS, load_settings
from master.tokens import parse_tokens
from tests.security.conftest import (
    CODE,
    CODE_URL,
    MINE,
    OPERATOR,
    ROOT,
    SECRETS,
    TOKENS,
    WORKER_1,
    WRONG,
    Guarded,
)
from tests.waiting import PATIENCE_S

GOOD = "x" * 16
COOKIE = "a-cookie-of-a-stranger"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "WORKER_TOKENS",
            "worker-1:fifteen-letters",
            "entry 1: its secret has fewer than 16 characters",
        ),
        ("ADMIN_TOKENS", f"a:{GOOD},b:short", "entry 2: its secret has fewer than 16 characters"),
        (
            "ADMIN_TOKENS",
            "my-secret-without-a-name",
            "entry 1: it has too few or too many parts between colons",
        ),
        (
            "ADMIN_TOKENS",
            f"a:{GOOD}:read:more",
            "entry 1: it has too few or too many parts between colons",
        ),
        ("ADMIN_TOKENS", f"a:{GOOD}:boss", "entry 1: its scope is not read, operate or admin"),
        ("ADMIN_TOKENS", f"*:{GOOD}", "entry 1: its name is not 1 to 128 letters, digits or ._@-"),
        ("ADMIN_TOKENS", f":{GOOD}", "entry 1: its name is not 1 to 128 letters, digits or ._@-"),
        (
            "CLIENT_TOKENS",
            f"a:{GOOD} {GOOD}",
            "entry 1: its secret is longer than 256 characters or has others than",
        ),
        (
            "CLIENT_TOKENS",
            f"a:{GOOD * 17}",
            "entry 1: its secret is longer than 256 characters or has others than",
        ),
        (
            "CLIENT_TOKENS",
            f"a:{GOOD}:b++c",
            "entry 1: its accounts are not 1 to 200 ids with commas between them",
        ),
        (
            "WORKER_TOKENS",
            f"a:{GOOD}:read",
            "entry 1: it has too few or too many parts between colons",
        ),
    ],
)
def test_a_wrong_token_setting_is_named_and_never_quoted(name, value, said):
    with pytest.raises(SettingsFault) as fault:
        load_settings({name: value}, None)
    assert str(fault.value).startswith(f"{name} is not allowed ({said}")
    for part in value.replace(",", ":").split(":"):
        assert len(part) < 5 or part not in str(fault.value)


def test_the_same_secret_twice_is_a_fault_also_across_settings():
    for given in (
        {"ADMIN_TOKENS": f"a:{GOOD},b:{GOOD}:read"},
        {"ADMIN_TOKENS": f"a:{GOOD}", "CLIENT_TOKENS": f"b:{GOOD}"},
    ):
        with pytest.raises(SettingsFault, match="two tokens have the same secret") as fault:
            load_settings(given, None)
        assert GOOD not in str(fault.value)


def test_one_name_may_have_two_secrets_while_they_are_exchanged():
    settings = load_settings({"WORKER_TOKENS": f"worker-1:{GOOD},worker-1:{GOOD}-new"}, None)
    assert [token.grant.name for token in settings.worker_tokens] == ["worker-1", "worker-1"]


def test_settings_contain_hashes_alone():
    settings = load_settings(TOKENS, None)
    for shown in (repr(settings), str(settings.model_dump()), str(vars(settings))):
        assert not [secret for secret in SECRETS if secret in shown]
    assert set(SECRET_SETTINGS) >= {"worker_tokens", "admin_tokens", "client_tokens"}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "master.example", "h"])  # noqa: S104
def test_master_does_not_listen_for_other_machines_without_tokens(host):
    with pytest.raises(ListenFault, match="no token is set: set ADMIN_TOKENS") as fault:
        require_tokens(load_settings({"HOST": host}, None))
    assert "\n" not in str(fault.value)
    require_tokens(load_settings({"HOST": host, "ADMIN_TOKENS": f"a:{GOOD}"}, None))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.9"])
def test_its_own_machine_needs_no_token(host):
    require_tokens(load_settings({"HOST": host}, None))


def test_the_process_ends_with_code_2_and_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOST", "0.0.0.0")  # noqa: S104
    monkeypatch.setenv("PORT", "0")
    try:
        assert main([]) == 2
    finally:
        close_logs()
    said = [line for line in capsys.readouterr().err.splitlines() if "no token is set" in line]
    assert len(said) == 1
    assert not (tmp_path / "data" / "master.db").exists()


class TestLogs:
    @pytest.fixture
    def given(self, tmp_path: Path) -> dict[str, str]:
        configure_logs("debug", tmp_path / "logs", development=False)
        return TOKENS

    async def test_no_token_and_no_code_is_in_a_log_line_at_debug(
        self, guarded: Guarded, tmp_path: Path
    ):
        try:
            worker = await guarded.register("worker-1", WORKER_1)
            admin = await guarded.connect("admin")
            await admin.ask("admin:auth", {"token": WRONG})
            await admin.ask("admin:auth", {"token": OPERATOR})
            await guarded.add_account(MINE)
            session_id = await guarded.start_login(admin, worker, MINE)
            for path in (f"?token={ROOT}", "/nobody", f"?account_id={WRONG}"):
                await guarded.ask("GET", f"/api/v1/accounts{path}", WRONG)
            await guarded.ask("GET", f"/api/v1/login-sessions/{session_id}/qr.png")
            await worker.ask(
                "worker:login:status",
                {"session_id": session_id, "status": "x", "qr_code_url": CODE_URL},
            )
            await worker.ask(
                "worker:login:qrcode",
                {"session_id": session_id, "qr_code_data": 7, "qr_code_url": CODE},
            )
            await worker.ask(
                "worker:login:status",
                {
                    "session_id": session_id,
                    "status": "success",
                    "cookies": [{"name": "sessionid", "value": COOKIE}],
                },
            )
        finally:
            close_logs()
        text = (tmp_path / "logs" / "master.log").read_text(encoding="utf-8")
        assert "wrong_token" in text
        assert "login_succeeded" in text
        for secret in (*SECRETS, WRONG, CODE, CODE_URL, COOKIE):
            assert secret not in text, secret


SMALL_MISTAKES = {
    "a NUL behind it": b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
    b"%b\x00\r\n\r\n",
    "a lone CR behind it": b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
    b"%b\r\r\n\r\n",
    "no colon": b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\nAuthorization Bearer %b\r\n\r\n",
    "a blank in the path": b"GET /api/v1/status?%b x HTTP/1.1\r\nHost: x\r\n\r\n",
    "in the method": b"%b / HTTP/1.1\r\nHost: x\r\n\r\n",
    "in the version": b"GET / HTTP/%b\r\nHost: x\r\n\r\n",
    "as a length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %b\r\n\r\n",
    "as an origin": b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nOrigin: %b\r\n"
    b"Connection: close\r\n\r\n",
    "as a session": b"GET /socket.io/?EIO=4&transport=polling&sid=%b HTTP/1.1\r\nHost: "
    b"x\r\nConnection: close\r\n\r\n",
    "as a handshake's key": b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: %b\r\n\r\n",
    "as a handshake's version": b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: %b\r\n\r\n",
}


@pytest.mark.parametrize("request_line", SMALL_MISTAKES.values(), ids=SMALL_MISTAKES)
async def test_a_right_token_in_a_malformed_request_is_neither_logged_nor_sent_back(
    guarded: Guarded, tmp_path: Path, request_line: bytes
):
    configure_logs("debug", tmp_path / "logs", development=False)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", guarded.master.port)
        writer.write(request_line % ROOT.encode())
        answer = await asyncio.wait_for(reader.read(65_536), PATIENCE_S)
        writer.close()
        await writer.wait_closed()
    finally:
        close_logs()
    assert answer[9:10] == b"4", answer
    assert ROOT.encode() not in answer
    text = (tmp_path / "logs" / "master.log").read_text(encoding="utf-8")
    assert ROOT not in text
    assert len(text.splitlines()) <= 1
    assert len(text) < 500


def test_keys_of_the_settings_are_hidden_in_log_lines_as_well():
    key = base64.b64encode(os.urandom(32)).decode()
    hide_keys(load_settings({"MASTER_KEYS": f"k-1:{key}"}, None))
    assert KNOWN.hide(f"no key {key!r} here") == f"no key '{HIDDEN}' here"
    assert KNOWN.hide("and nothing else is hidden: 0123456789abcdef0123456789abcdef").endswith(
        "abcdef"
    )


async def test_wrong_tokens_and_changes_stand_in_the_audit(guarded: Guarded, tmp_path: Path):
    configure_logs("info", tmp_path / "logs", development=False)
    try:
        await guarded.add_account(MINE)
        await guarded.ask("GET", "/api/v1/accounts", WRONG)
        await guarded.ask("GET", "/api/v1/accounts", ROOT)
    finally:
        close_logs()
    lines = (tmp_path / "logs" / "audit.log").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["change_asked", "wrong_token"]


async def test_every_page_on_a_machine_without_tokens_is_not_let_in(tmp_path: Path):
    with pytest.raises(ListenFault, match="ALLOWED_ORIGINS"):
        require_tokens(load_settings({"ALLOWED_ORIGINS": "*"}, None))
    require_tokens(load_settings({"ALLOWED_ORIGINS": "*", **TOKENS}, None))


def test_nothing_reachable_from_access_contains_a_secret():
    from master.access import Access
    from master.clock import ManualClock

    access = Access(load_settings(TOKENS, None), ManualClock(), os.urandom)
    issued = access.issue_worker_token("worker-9")
    access.identify("admin", ROOT, "127.0.0.1")
    seen: set[int] = set()
    waiting = [vars(access)]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, type) or callable(thing):
            continue
        seen.add(id(thing))
        assert not isinstance(thing, str) or thing not in (*SECRETS, issued)
        waiting.extend(gc.get_referents(thing))


def test_accounts_of_a_limited_device_stand_between_commas_or_plus_signs():
    first, second, third = parse_tokens(
        "client", f"a:{'s' * 16}:1,2+3, 4,b:{'t' * 16},c:{'u' * 16}:5"
    )
    assert first.grant.accounts == {"1", "2", "3", "4"}
    assert second.grant.accounts is None
    assert third.grant.accounts == {"5"}
    with pytest.raises(ValueError, match="entry 2"):
        parse_tokens("client", f"b:{'t' * 16},1")
