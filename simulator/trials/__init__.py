"""Runs against a Master that the simulator starts: the demo, crashes, restarts."""
