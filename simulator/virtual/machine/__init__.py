"""The machine of a virtual run: time, processes, disk, network, and Master on it."""
