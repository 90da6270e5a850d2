"""The front door: command line, configuration, the run, the demo estate."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("auditpack")
except PackageNotFoundError:  # run from a checkout that was never installed
    __version__ = "0.0.0+unknown"
