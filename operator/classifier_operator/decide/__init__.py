"""Decide: from what was observed to what is so and what is to be done, no I/O."""
