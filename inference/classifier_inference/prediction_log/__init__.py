"""The prediction log: a spool that the server writes, and the recorder that ships it."""
