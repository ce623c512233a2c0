"""Build: an ImageClassifier to manifests, one file a kind, no I/O."""
