"""Developers' tools of this repository; they are not installed with Master."""
