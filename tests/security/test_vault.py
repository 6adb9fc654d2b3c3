"""A sealed value opens in its own column and row only; and the file of the vault's keys."""

from __future__ import annotations

import os
import stat

import pytest

from master.keys import KeyFault, KeyFile, make_key, parse_keys
from master.secret import SealBroken
from master.vault import Vault, head_of, open_vault

COLUMN, ROW, VALUE = (
    "accounts.credentials",
    "account-1",
    {"cookies": [{"name": "sid", "value": "饼干"}]},
)


@pytest.fixture
def vault() -> Vault:
    vault = Vault()
    vault.use([make_key(os.urandom)])
    return vault


def test_what_is_sealed_opens_and_is_not_readable(vault):
    text = vault.seal(COLUMN, ROW, VALUE)
    assert vault.open(COLUMN, ROW, text) == VALUE
    assert text.startswith(f"v1:{vault.writing}:".encode())
    assert b"sid" not in text
    assert vault.seal(COLUMN, ROW, VALUE) != text, "a nonce is used once"


def test_a_nonce_is_96_bits_of_the_source_that_was_passed():
    asked = []

    def draw(count: int) -> bytes:
        asked.append(count)
        return os.urandom(count)

    vault = Vault(draw)
    vault.use([make_key(draw)])
    asked.clear()
    vault.seal(COLUMN, ROW, VALUE)
    assert asked == [12]


def test_every_changed_bit_is_noticed(vault):
    text = vault.seal(COLUMN, ROW, {"a": 1})
    for bit in range(len(text) * 8):
        changed = bytearray(text)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealBroken):
            vault.open(COLUMN, ROW, bytes(changed))
    for length in range(len(text)):
        with pytest.raises(SealBroken):
            vault.open(COLUMN, ROW, text[:length])


@pytest.mark.parametrize(
    ("column", "row_id"),
    [(COLUMN, "account-2"), ("accounts.fingerprint", ROW), ("proxies.password", ROW)],
)
def test_a_value_that_was_moved_does_not_open(vault, column, row_id):
    with pytest.raises(SealBroken):
        vault.open(column, row_id, vault.seal(COLUMN, ROW, VALUE))


@pytest.mark.parametrize(
    "text",
    [b"", b"v1:", b"v1::", b'{"cookies": []}', b"v2:a:b", "v1:a:b", 7, None, b"v1:unknown:AAAA"],
)
def test_what_was_never_sealed_does_not_open(vault, text):
    with pytest.raises(SealBroken):
        vault.open(COLUMN, ROW, text)


def test_an_older_key_goes_on_opening(vault):
    text = vault.seal(COLUMN, ROW, VALUE)
    older = vault.writing
    vault.use([make_key(os.urandom)])
    assert vault.writing != older
    assert vault.open(COLUMN, ROW, text) == VALUE


def test_a_key_file_is_private_whole_and_never_made_over_another(tmp_path):
    file, keys = KeyFile(tmp_path / "keys"), [make_key(os.urandom), make_key(os.urandom)]
    file.create(keys)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert list(file.read()) == keys
    with pytest.raises(KeyFault, match="exists"):
        file.create(keys)
    file.replace(keys[:1])
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert list(file.read()) == keys[:1]
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_key_file_that_others_may_read_is_refused(tmp_path, mode):
    file = KeyFile(tmp_path / "keys")
    file.create([make_key(os.urandom)])
    file.path.chmod(mode)
    with pytest.raises(KeyFault, match=f"mode {mode:04o}, others may read it; run: chmod 600"):
        file.read()


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"a:secret", b"\xff\xfe", b"a" * 70_000])
def test_what_is_no_key_file_is_refused_in_one_line_without_its_content(tmp_path, content):
    file = KeyFile(tmp_path / "keys")
    file.path.write_bytes(content)
    file.path.chmod(0o600)
    with pytest.raises(KeyFault) as caught:
        file.read()
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_vault_reads_a_new_key_before_it_seals_and_when_it_meets_one(tmp_path):
    file, first, second, third = (
        KeyFile(tmp_path / "keys"),
        *(make_key(os.urandom) for _ in range(3)),
    )
    file.create([first])
    here, there = Vault(), Vault()
    here.follow(file)
    there.follow(file)
    file.replace([second, first])
    text = here.seal(COLUMN, ROW, VALUE)
    assert text.startswith(head_of(second.id))
    assert there.open(COLUMN, ROW, text) == VALUE
    file.replace([third])
    assert there.open(COLUMN, ROW, here.seal(COLUMN, ROW, VALUE)) == VALUE


def test_a_key_file_that_went_bad_costs_a_running_vault_nothing(tmp_path):
    file, first, second = KeyFile(tmp_path / "keys"), make_key(os.urandom), make_key(os.urandom)
    file.create([first])
    vault = Vault()
    vault.follow(file)
    file.replace([second])
    file.path.chmod(0o644)
    assert vault.seal(COLUMN, ROW, VALUE).startswith(head_of(first.id))
    file.path.chmod(0o600)
    assert vault.seal(COLUMN, ROW, VALUE).startswith(head_of(second.id))
    file.path.unlink()
    assert vault.seal(COLUMN, ROW, VALUE).startswith(head_of(second.id))


def test_a_look_from_outside_uses_the_key_file_or_the_setting(tmp_path):
    database = tmp_path / "master.db"
    with pytest.raises(KeyFault, match="cannot be read"):
        open_vault(database)
    with pytest.raises(KeyFault, match="MASTER_KEYS"):
        open_vault(database, "a:b")
    written = "a:" + "A" * 43 + "="
    assert open_vault(database, written).writing == "a"
    KeyFile(tmp_path / "master.db.keys").create(parse_keys(written.replace("a:", "b:")))
    assert open_vault(database).writing == "b"


def test_a_file_system_without_links_will_do(tmp_path, monkeypatch):
    def refuse(*names: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    file, keys = KeyFile(tmp_path / "keys"), [make_key(os.urandom)]
    file.create(keys)
    assert list(file.read()) == keys
    with pytest.raises(KeyFault, match="exists"):
        file.create(keys)
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]
