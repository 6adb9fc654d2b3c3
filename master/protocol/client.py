"""The /client namespace: people's devices, which take notifications and say what they have seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import AliasChoices, Field

from master.protocol.admin import NewNotification
from master.protocol.wire import Id, Milliseconds, Outbound, Payload, Seconds, ShortText

SYNC_LIMIT = 500


class RegisterDevice(Payload):
    """A device introduces itself."""

    device_id: Id
    device_type: Annotated[str, Field(max_length=64)] | None = None
    device_name: ShortText | None = None


class DeviceHeartbeat(Payload):
    """A device's sign of life."""

    client_id: Id | None = None
    timestamp: Milliseconds | None = None


class ConfirmNotification(Payload):
    """A device has shown a notification to a person."""

    notification_id: Id = Field(validation_alias=AliasChoices("notification_id", "id"))
    client_id: Id | None = None
    timestamp: Milliseconds | None = None


class SyncRequest(Payload):
    """Ask for notifications: after a place in the sequence, since a time, or all; oldest first.

    An `after_seq` that was never given is no place: the answer begins at what this device has not passed.
    """

    device_id: Id
    since_timestamp: Seconds | None = None
    after_seq: Annotated[int, Field(ge=0, le=2**53)] | None = None
    limit: Annotated[int, Field(ge=1, le=SYNC_LIMIT)] = 50
    offset: Annotated[int, Field(ge=0, le=2**53)] = 0


@dataclass(frozen=True, slots=True)
class DeviceRegistered(Outbound):
    """The device is known; `owed` notifications follow, `last_seq` is the newest place in the sequence.

    They are 500 at the most; `has_more` says that there are others, which a sync gives.
    """

    event: ClassVar[str] = "client:register:success"
    may_lack: ClassVar[frozenset[str]] = frozenset({"has_more"})
    session_id: str
    device_id: str
    connected_at: int
    owed: int
    last_seq: int
    has_more: bool | None = None


@dataclass(frozen=True, slots=True)
class DeviceRefused(Outbound):
    """The device was refused."""

    event: ClassVar[str] = "client:register:error"
    error: str


@dataclass(frozen=True, slots=True)
class SyncResponse(Outbound):
    """Notifications in the order of their `seq`; ask again with `after_seq: last_seq` for what follows.

    Nothing is counted: `total_count` is how many there are at least, with those of the pages before.
    """

    event: ClassVar[str] = "client:sync:response"
    device_id: str
    notifications: list[NewNotification]
    total_count: int
    last_seq: int
    has_more: bool
