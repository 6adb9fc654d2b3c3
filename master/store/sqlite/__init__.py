"""The part specific to SQLite: the file, its connections, versions, keys and copies."""
