"""The server: the protocol, and routes, a file or a folder a protocol."""
