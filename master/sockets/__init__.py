"""The Socket.IO edge: it only translates."""
