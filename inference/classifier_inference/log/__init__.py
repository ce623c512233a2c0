"""The prediction log: a spool that the server writes, a recorder that ships it, and runs that hold it."""
