"""Our own protocol, under /api/v1."""
