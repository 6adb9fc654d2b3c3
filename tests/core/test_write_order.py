"""Names freed and used in one batch can be stored in any order of decisions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from master.draft import Draft
from tests.core.growth import check
from tests.core.store import model_of
from tests.records import make_account, make_config, make_proxy
from tests.stored import describe_farm, describe_file


def free_the_proxy(draft):
    draft.configs.put(make_config("w1"))
    draft.proxies.remove("p")


def replace_the_proxy(draft):
    draft.proxies.put(make_proxy("another", name="p"))
    draft.configs.put(make_config("w1", proxy_id="another"))
    draft.proxies.remove("p")


def remove_the_configuration_too(draft):
    draft.configs.remove("w1")
    draft.proxies.remove("p")


def swap_the_names_of_proxies(draft):
    draft.proxies.put(make_proxy("q", name="p"))
    draft.proxies.put(make_proxy("p", name="q"))


def name_a_proxy_as_one_that_goes(draft):
    draft.proxies.put(make_proxy("q", name="p"))
    free_the_proxy(draft)


def pass_on_a_name(draft):
    # the name of `held`, which gets another
    draft.accounts.put(replace(draft.accounts.get("waits"), account_id="x"))
    draft.accounts.put(replace(draft.accounts.get("held"), account_id="z", monitor_interval=99))


def swap_the_names_of_accounts(draft):
    draft.accounts.put(replace(draft.accounts.get("held"), account_id="y"))
    draft.accounts.put(replace(draft.accounts.get("waits"), account_id="x", epoch=1))


def remove_the_held_account(draft):
    draft.release(draft.accounts.get("held"), 1)
    draft.logins.remove("login")
    draft.accounts.remove("held")


def name_an_account_as_one_that_goes(draft):
    remove_the_held_account(draft)
    draft.accounts.put(replace(draft.accounts.get("waits"), account_id="x"))


def add_an_account_again(draft):
    remove_the_held_account(draft)
    draft.accounts.put(make_account("new", account_id="x"))


def remove_a_worker_whose_accounts_move(draft):
    account = draft.release(draft.accounts.get("held"), 1)
    draft.logins.remove("login")
    draft.assign(account, "w2", 2)
    draft.workers.remove("w1")


@pytest.mark.parametrize(
    "decide",
    [
        free_the_proxy,
        replace_the_proxy,
        remove_the_configuration_too,
        swap_the_names_of_proxies,
        name_a_proxy_as_one_that_goes,
        pass_on_a_name,
        swap_the_names_of_accounts,
        name_an_account_as_one_that_goes,
        add_an_account_again,
        remove_a_worker_whose_accounts_move,
    ],
    ids=lambda decide: decide.__name__,
)
async def test_what_one_batch_frees_and_reuses_can_be_stored_in_whatever_order_it_was_decided(
    filled, decide
):
    named = Draft(filled.memory)
    named.proxies.put(make_proxy("q"))
    for key, name in (("held", "x"), ("waits", "y")):
        named.accounts.put(replace(named.accounts.get(key), account_id=name))
    await filled.commit(named)
    filled.ask_file("DELETE FROM login_sessions WHERE id != 'login'")
    draft = Draft(filled.memory)
    if decide is remove_a_worker_whose_accounts_move:
        # memory does not have ended logins
        filled.ask_file("UPDATE login_sessions SET worker_id = NULL")
    decide(draft)
    await filled.commit(draft)
    assert describe_farm(filled.memory.farm) == describe_file(filled.path)
    check(await filled.load(), model_of(filled.memory.farm))
