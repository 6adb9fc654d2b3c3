"""What only SQLite needs: the file, its connections, its versions, its keys, copies of it."""
