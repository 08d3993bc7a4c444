"""Where the command line finds its settings, and what it logs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relume.settings import Settings

HOME_VARIABLE = "RELUME_HOME"
"""Set by run.py to the checkout, so that it finds config.env and data/ from any working directory."""


def enter_home() -> Path:
    """Change to the home folder if there is one. Paths the user typed have to be made absolute before."""
    if home := os.environ.get(HOME_VARIABLE):
        os.chdir(home)
    return Path.cwd()


def read_settings(**overrides: Any) -> Settings:
    """The settings of the home folder; an override that is None is none. Raises SettingsError."""
    enter_home()
    from relume.settings import load_settings

    return load_settings(**{name: value for name, value in overrides.items() if value is not None})


def log_faults(settings: Settings) -> None:
    """Send faults to stderr with their traces: stdout is for results. LOG_LEVEL=DEBUG sends everything."""
    from relume.telemetry import configure_logging

    configure_logging("DEBUG" if settings.log_level == "DEBUG" else "ERROR")
