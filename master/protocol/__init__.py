"""Payload types of every event and route, with their limits and encoding."""
