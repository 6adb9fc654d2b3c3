"""Records that are quick to make are the frozen dataclasses that they look like."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields

import pytest

from master.decisions.history import Deed
from master.model import Account, Message, Notification, Worker
from master.record import change, quick_to_make
from master.turn import Address, HandOut, Parcel

QUICK = [Account, Address, Deed, HandOut, Message, Notification, Parcel, Worker]


def fill(kind):
    """Return values for the fields of a record that have no default."""
    return {
        one.name: f"value of {one.name}"
        for one in fields(kind)
        if one.default is MISSING and one.default_factory is MISSING
    }


@pytest.mark.parametrize("kind", QUICK, ids=lambda kind: kind.__name__)
def test_a_record_has_its_fields_its_defaults_and_no_others(kind):
    given = fill(kind)
    made = kind(**given)
    for one in fields(kind):
        if one.default_factory is not MISSING:
            expected = one.default_factory()
        else:
            expected = given.get(one.name, one.default)
        assert getattr(made, one.name) == expected
    assert made == kind(**given)
    assert not hasattr(made, "__dict__")
    with pytest.raises(TypeError):
        kind(**given, unknown=1)
    with pytest.raises(AttributeError):
        made.unknown = 1


@pytest.mark.parametrize("kind", QUICK, ids=lambda kind: kind.__name__)
def test_a_change_is_a_new_record(kind):
    before = kind(**fill(kind))
    name = fields(kind)[0].name
    after = change(before, **{name: "another value"})
    assert (getattr(after, name), getattr(before, name)) == ("another value", f"value of {name}")
    assert before != after
    assert change(after, **{name: f"value of {name}"}) == before


def test_a_factory_makes_a_value_for_each_record():
    @quick_to_make
    @dataclass(frozen=True, slots=True)
    class Shelf:
        name: str
        books: list[str] = field(default_factory=list)

    one, two = Shelf("a"), Shelf("b")
    one.books.append("x")
    assert two.books == []
    assert hash(change(one, books=("x",))) == hash(change(one, books=("x",)))
