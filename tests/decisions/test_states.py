"""Every (state, event) pair of the login and the worker state machines."""

from __future__ import annotations

import itertools

import pytest

from master.decisions import liveness, login
from master.decisions.login import LoginEvent, read_id
from master.errors import LoginClosed
from master.model import LOST, OPEN_SESSION, LoginStatus, SessionStatus, WorkerStatus
from tests.records import make_account

LEADS_TO = {
    LoginEvent.QRCODE: SessionStatus.SCANNING,
    LoginEvent.PROGRESS: SessionStatus.SCANNING,
    LoginEvent.SUCCESS: SessionStatus.SUCCESS,
    LoginEvent.FAILED: SessionStatus.FAILED,
    LoginEvent.TIME: SessionStatus.EXPIRED,
}
WORKER_EVENTS = (liveness.SIGN_OF_LIFE, liveness.SOCKET_CLOSED, liveness.SILENCE, liveness.GOODBYE)


@pytest.mark.parametrize(("status", "event"), list(itertools.product(SessionStatus, LoginEvent)))
def test_an_open_login_follows_and_an_ended_one_refuses(status, event):
    if status in OPEN_SESSION:
        assert login.follow(status, event) is LEADS_TO[event]
    else:
        with pytest.raises(LoginClosed):
            login.follow(status, event)


@pytest.mark.parametrize(("status", "event"), list(itertools.product(WorkerStatus, WORKER_EVENTS)))
def test_a_worker_follows_every_event_in_every_state(status, event):
    wanted = {
        liveness.SIGN_OF_LIFE: WorkerStatus.CONNECTED,
        liveness.SILENCE: WorkerStatus.OFFLINE,
        liveness.GOODBYE: WorkerStatus.OFFLINE,
        liveness.SOCKET_CLOSED: WorkerStatus.OFFLINE
        if status is WorkerStatus.OFFLINE
        else WorkerStatus.DISCONNECTED,
    }
    assert liveness.follow(status, event) is wanted[event]


@pytest.mark.parametrize(
    ("silence", "silent"), [(0, False), (29.9, False), (30, False), (30.1, True), (3600, True)]
)
def test_a_worker_last_heard_exactly_the_timeout_ago_is_alive(silence, silent):
    assert liveness.find_silent([("w", 1000.0)], 1000.0 + silence, 30) == (["w"] if silent else [])


@pytest.mark.parametrize(
    ("stored", "opens", "before", "after_failure"),
    [
        (False, True, LoginStatus.NOT_LOGGED_IN, LoginStatus.LOGIN_FAILED),
        # a fingerprint alone does not log in
        (
            False,
            False,
            LoginStatus.NOT_LOGGED_IN,
            LoginStatus.LOGIN_FAILED,
        ),
        (True, True, LoginStatus.LOGGED_IN, LoginStatus.LOGGED_IN),
        (True, False, LoginStatus.CREDENTIALS_UNREADABLE, LoginStatus.CREDENTIALS_UNREADABLE),
    ],
)
def test_an_account_goes_back_to_what_its_stored_credentials_say(
    stored, opens, before, after_failure
):
    account = make_account("a", login_status=LoginStatus.LOGGING_IN, has_credentials=stored)
    assert login.login_status_before(account, None, opens=opens) is before
    assert login.login_status_after_failure(account, None, opens=opens) is after_failure
    for lost in LOST:
        kept = lost if stored and opens else before
        assert login.login_status_before(account, lost, opens=opens) is kept


@pytest.mark.parametrize(
    ("uid", "read"),
    [("7001", "7001"), (7001, "7001"), (2**53 - 1, str(2**53 - 1)), (2**53, None), (1.5, None)],
)
def test_a_rounded_number_names_no_person(uid, read):
    assert read_id(uid) == read
