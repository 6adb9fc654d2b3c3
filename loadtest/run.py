"""One load test from start to verdict: Master up, users in, numbers out, Master down."""

from __future__ import annotations

import gevent
from locust.stats import StatsEntry, stats_history, stats_printer

from loadtest.plan import Plan
from loadtest.report import OWN_KINDS, Row, find_faults, show_table
from loadtest.shapes import choose_shape
from loadtest.target import Target, TargetFailed
from loadtest.users import PLATFORM, AdminUser, DeviceUser, Peer, Stage, WorkerUser

STOP_TIMEOUT_S = 15
CREATE_AT_ONCE = 8
