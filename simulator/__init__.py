"""Simulated workers, admins, clients and a social platform: Master's demo, test bed and load."""
