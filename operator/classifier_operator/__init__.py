"""Kubernetes operator for ImageClassifier objects."""
