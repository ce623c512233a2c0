"""What the API server's refusals mean, for those who never see the client that raises them."""


class ClusterError(Exception):
    """The API server did not do what was asked; its own words say why. Asking again later may help."""


class ConflictError(ClusterError):
    """The object has changed since it was read."""


class GoneError(ClusterError):
    """The object, or its namespace, has ended or is about to."""


class UnknownKindError(ClusterError):
    """The cluster has no such kind: an API group that isn't installed, or a CRD."""
