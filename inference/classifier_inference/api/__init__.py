"""The HTTP routes, one router a protocol."""
