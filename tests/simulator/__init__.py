"""The simulator: its parts by table, its actors in virtual time, and whole runs as processes."""
