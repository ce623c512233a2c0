"""Start the operator: what `kopf run` does, with the settings out of the environment."""

import asyncio
import os
import sys

import kopf

from classifier_operator.controller import Controller
from classifier_operator.handlers import register
from classifier_operator.json_logs import configure_logging
from classifier_operator.names import MANAGER
from classifier_operator.settings import parse_settings


def main() -> None:
    """Run until told to stop."""
    try:
        settings = parse_settings(os.environ)
    except ValueError as error:
        sys.exit(f"the environment is not what the operator needs: {error}")
    configure_logging(settings.log_level)
    os.environ.setdefault("USER", MANAGER)  # Kopf asks for it, and a container's user need not have a name
    asyncio.run(
        kopf.operator(
            registry=register(Controller(settings)),
            standalone=True,
            clusterwide=not settings.watch_namespace,
            namespaces=[settings.watch_namespace] if settings.watch_namespace else [],
            liveness_endpoint=f"http://0.0.0.0:{settings.liveness_port}/healthz",
        )
    )


if __name__ == "__main__":
    main()
