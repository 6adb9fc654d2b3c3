"""Workers, administrators and devices, over one Transport protocol."""
