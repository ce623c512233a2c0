"""Serves one image classifier over HTTP."""
