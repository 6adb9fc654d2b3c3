"""Simulated workers, administrators, devices and a platform: Master's demo, test bed and load."""
