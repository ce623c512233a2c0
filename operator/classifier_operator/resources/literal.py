"""Text that a container gets as it stands."""


def escape(text: str) -> str:
    """Return text for a command, an argument or a variable's value, in which Kubernetes expands `$(NAME)` and `$$`."""
    return text.replace("$", "$$")
