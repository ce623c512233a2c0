"""A classifier's files: named, found, brought here, checked by their digests, pushed elsewhere."""
