"""The command `classifier`: what each word of it does, thinly."""
