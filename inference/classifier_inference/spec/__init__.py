"""What a classifier is, a file a part of the object. No I/O; the operator's spec builds on it."""
