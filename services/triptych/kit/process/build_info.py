"""Shows the version and the build that run, as a metric."""

import platform
from importlib.metadata import version

from prometheus_client import Gauge

BUILD_INFO = Gauge("triptych_build_info", "Always 1; the labels say what runs", ["version", "commit", "python_version"])
UNKNOWN = "unknown"


def show_build_info(commit: str) -> None:
    """Show the version of the package, the commit (empty if it is not known), and the version of Python."""
    BUILD_INFO.labels(version("triptych"), commit or UNKNOWN, platform.python_version()).set(1)
