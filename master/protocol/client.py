"""The /client namespace: people's devices, which receive and confirm notifications."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import AliasChoices, Field

from master.protocol.admin import NewNotification
from master.protocol.wire import Id, Milliseconds, Outbound, Payload, Seconds, ShortText

SYNC_LIMIT = 500


class RegisterDevice(Payload):
    """A device registers."""

    device_id: Id
    device_type: Annotated[str, Field(max_length=64)] | None = None
    device_name: ShortText | None = None


class DeviceHeartbeat(Payload):
    """A device's heartbeat."""

    client_id: Id | None = None
    timestamp: Milliseconds | None = None


class ConfirmNotification(Payload):
    """A device confirms that it has displayed a notification to a person."""

    notification_id: Id = Field(validation_alias=AliasChoices("notification_id", "id"))
    client_id: Id | None = None
    timestamp: Milliseconds | None = None


class SyncRequest(Payload):
    """Request notifications after a sequence number, since a time, or all; oldest first.

    If `after_seq` was never assigned, the answer begins after the last sequence number that this
    device has passed.
    """

    device_id: Id
    since_timestamp: Seconds | None = None
    after_seq: Annotated[int, Field(ge=0, le=2**53)] | None = None
    limit: Annotated[int, Field(ge=1, le=SYNC_LIMIT)] = 50
    offset: Annotated[int, Field(ge=0, le=2**53)] = 0


@dataclass(frozen=True, slots=True)
class DeviceRegistered(Outbound):
    """The device is registered; `owed` notifications follow; `last_seq` is the newest `seq`.

    At most 500 follow; `has_more` means that a sync returns further ones.
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
class SyncHint(Outbound):
    """Stands for notifications up to `last_seq` that were too many to push; fetch them.

    A device sends `client:sync:request`, an administrator reads `GET /api/v1/notifications`.
    """

    event: ClassVar[str] = "client:sync"
    last_seq: int

    @property
    def state_key(self) -> str | None:
        """Return the key by which the newest hint replaces older ones."""
        return "sync"


@dataclass(frozen=True, slots=True)
class SyncResponse(Outbound):
    """Notifications in order of `seq`; request the next page with `after_seq: last_seq`.

    Master does not count the matching rows: `total_count` is a lower bound that includes the pages
    before.
    """

    event: ClassVar[str] = "client:sync:response"
    device_id: str
    notifications: list[NewNotification]
    total_count: int
    last_seq: int
    has_more: bool
