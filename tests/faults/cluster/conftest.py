"""The end-to-end tests' cluster and operator."""

from tests.e2e.conftest import (
    authority,
    chart_values,
    cluster,
    folder,
    images,
    namespace,
    no_wide_operator,
    operator,
    prepared_run,
    pytest_runtest_makereport,
    pytest_sessionfinish,
    pytest_sessionstart,
)

__all__ = [
    "authority",
    "chart_values",
    "cluster",
    "folder",
    "images",
    "namespace",
    "no_wide_operator",
    "operator",
    "prepared_run",
    "pytest_runtest_makereport",
    "pytest_sessionfinish",
    "pytest_sessionstart",
]
