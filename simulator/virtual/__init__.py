"""Virtual time: the real Master and the same actors in one process, with a clock that jumps to what is due next."""
