"""Load over real sockets against a Master of its own: Locust users, shapes, and a report with thresholds."""
