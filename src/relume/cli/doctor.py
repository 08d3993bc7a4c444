"""`relume doctor`: is everything here that Relume needs?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import typer

from relume.cli.home import log_faults, read_settings
from relume.errors import SettingsError

if TYPE_CHECKING:
    from relume.cli.checkup.finding import Finding

SOMETHING_BROKEN = 1
STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def doctor() -> None:
    """Check the installation, the settings and this machine.

    Exit code 1 when something is broken that Relume needs.
    """
    findings = _examine_all()
    _print(findings)
    if any(finding.status == "failed" for finding in findings):
        raise typer.Exit(SOMETHING_BROKEN)


def _examine_all() -> list[Finding]:
    from relume.cli.checkup.finding import examine, failed

    try:
        from relume.cli.checkup import machine, service
    except ImportError as error:  # A package, or a system library below one, is missing.
        return [failed("installation", str(error))]
    findings = examine(machine.CHECKS)
    try:
        settings = read_settings()
    except SettingsError as error:  # The other checks would only say it again.
        return [*findings, failed("settings", error.detail)]
    log_faults(settings)
    return findings + examine((what, partial(check, settings)) for what, check in service.CHECKS)


def _print(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("what", "state", "details", box=None, pad_edge=False)
    for finding in findings:
        state = Text(finding.status.value, style=STYLES[finding.status.value])
        table.add_row(Text(finding.what), state, Text(finding.details, overflow="fold"))
    Console().print(table)
