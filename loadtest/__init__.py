"""Load over real sockets on a Master of its own: Locust users, shapes, thresholds."""
