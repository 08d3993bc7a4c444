"""`relume models`: the weights of local models. What is here, downloads, checks, copies, 8-bit versions."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relume.cli.home import log_faults, read_settings

if TYPE_CHECKING:
    from relume.engines.weights import KnownWeights, Weights, WeightsFolder
    from relume.settings import Settings

FAILED = 1
MEGABYTE = 1_000_000

app = typer.Typer(help="Look after the weights of local models.", no_args_is_help=True)


@app.command("list")
def list_models() -> None:
    """Show the weights that are here, those that can be downloaded, and the built-in networks."""
    from rich.console import Console
    from rich.table import Table

    from relume.builtin.cards import NetTable
    from relume.engines.weights import known_weights

    settings, folder = _folder()
    here = folder.scan()
    table = Table("file", "state", "MB", "what it is for", "licence", box=None, pad_edge=False)
    for weights in here:
        table.add_row(*_here(weights))
    absent = {known.sha256 for known in known_weights()} - {weights.sha256 for weights in here}
    for known in known_weights():
        if known.sha256 in absent:
            table.add_row(known.file, "not here", _mb(known.bytes), known.purpose, known.licence)
    for card in NetTable().cards.values():
        table.add_row(card.name, f"built in, {card.version}", _mb(card.bytes), card.purpose, card.licence)
    console = Console()
    console.print(table)
    for line in _credits(here):
        console.print(line, highlight=False, markup=False)
    console.print(f"The folder is {settings.weights_dir.absolute()} (WEIGHTS_DIR).", highlight=False)


@app.command("pull")
def pull(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="File names from `relume models list`.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Accept the licences without asking.")] = False,
) -> None:
    """Download known weights, several at once. A download that broke off goes on where it stopped."""
    wanted = [_known(name) for name in dict.fromkeys(names)]
    settings = read_settings()
    _confirm(wanted, yes=yes)
    from relume.cli.pulling import pull_all

    faults = pull_all(wanted, settings.weights_dir)
    _end(faults)


@app.command("verify")
def verify() -> None:
    """Read every file of weights again and compare its SHA-256. Exit code 1 when one is damaged or unusable."""
    from relume.engines.weights import known_weights

    settings, _ = _folder()
    by_name = {known.file: known for known in known_weights()}
    faults = []
    for weights in _scan_afresh(settings):
        name = weights.path.name
        if name in by_name and weights.sha256 != by_name[name].sha256:
            faults.append(f"{name}: damaged, or another file under this name (SHA-256 {weights.sha256}).")
        elif weights.identity.problem:
            faults.append(f"{name}: unusable, {weights.identity.problem}.")
        else:
            state = "as published" if weights.known else f"not a known file; {weights.family}"
            print(f"{name}: {state} (SHA-256 {weights.sha256})")
    _end(faults)


@app.command("quantise")
def quantise(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO", help="Photos like those you restore.")],
) -> None:
    """Make 8-bit versions of the upscalers that are here, calibrated on your photos, for LOCAL_PRECISION=int8."""
    paths = [path.absolute() for path in photos]
    settings, folder = _folder()
    from relume.cli.quantising import quantise_all

    _end(quantise_all(folder.scan(), paths, settings))


@app.command("import")
def import_files(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Files of weights.")],
) -> None:
    """Copy weights into the folder, after a look at what they are. Known files get their own name back."""
    paths = [path.absolute() for path in paths]
    settings = read_settings()
    faults = [fault for path in paths if (fault := _import(path, settings.weights_dir))]
    _end(faults)


def _import(path: Path, folder: Path) -> str | None:
    """What went wrong, in a sentence."""
    from relume.engines.models import identify
    from relume.engines.weights import SUFFIXES, known_weights, sha256_of

    if not path.is_file():
        return f"{path}: there is no such file."
    if path.suffix.lower() not in SUFFIXES:
        return f"{path}: weights end in {', '.join(SUFFIXES)}."
    digest = sha256_of(path)
    known = next((entry for entry in known_weights() if entry.sha256 == digest), None)
    identity = None if known else identify(path)
    if identity is not None and identity.problem:
        return f"{path}: it cannot be used, {identity.problem}."
    target = folder / (known.file if known else path.name)
    if target.exists():
        if sha256_of(target) == digest:
            print(f"{target.name}: is here already.")
            return None
        return f"{path}: {target.name} exists in {folder} with another content. Rename one of them."
    _copy_whole(path, target)
    print(f"{target.name}: copied ({known.purpose if known else identity.architecture if identity else ''}).")
    return None


def _copy_whole(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.importing")
    try:
        shutil.copyfile(source, aside)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def _folder() -> tuple[Settings, WeightsFolder]:
    from relume.engines.models import identify
    from relume.engines.weights import WeightsFolder

    settings = read_settings()
    log_faults(settings)
    return settings, WeightsFolder(settings.weights_dir, settings.engine_cache / "weights.json", identify)


def _scan_afresh(settings: Settings) -> list[Weights]:
    """Without what was remembered: a bad disk changes bytes and no time of change."""
    from relume.engines.models import identify
    from relume.engines.weights import WeightsFolder

    (settings.engine_cache / "weights.json").unlink(missing_ok=True)
    return WeightsFolder(settings.weights_dir, settings.engine_cache / "weights.json", identify).scan()


def _here(weights: Weights) -> tuple[str, str, str, str, str]:
    if weights.identity.problem:
        purpose = f"cannot be used: {weights.identity.problem}"
    elif weights.known:
        purpose = weights.known.purpose
    elif weights.kind == "recogniser":
        purpose = f"{weights.identity.architecture}, compares restored faces with the original ones"
    else:
        purpose = f"{weights.identity.architecture}, {weights.identity.scale} times"
    return weights.path.name, "here", _mb(weights.size_bytes), purpose, weights.licence


def _credits(here: list[Weights]) -> list[str]:
    """Whose the known families are, what their licences do not tell by name, and what nobody can tell."""
    from relume.engines.weights import known_weights

    families = {known.family: known for known in known_weights()}
    lines = [f"{family}: by {known.by}, {known.project}" for family, known in families.items() if known.by]
    lines += [
        f"{family}: {known.licence}. {known.licence_note}"
        for family, known in families.items()
        if known.licence_note
    ]
    if any(weights.known is None for weights in here):
        lines.append("Where a licence is unknown, ask whoever published the file.")
    return lines


def _mb(size: int) -> str:
    return f"{size / MEGABYTE:.1f}"


def _known(name: str) -> KnownWeights:
    from relume.engines.weights import known_weights

    for known in known_weights():
        if name.lower() in (known.file.lower(), Path(known.file).stem.lower()):
            return known
    names = ", ".join(known.file for known in known_weights())
    raise typer.BadParameter(f"'{name}' is not known. Known are {names}.")


def _confirm(wanted: list[KnownWeights], *, yes: bool) -> None:
    """Nothing is downloaded whose licence was not shown. Ends the program when it is declined."""
    for known in wanted:
        print(f"{known.file} ({_mb(known.bytes)} MB): {known.licence}. {known.licence_note}".rstrip())
    if not yes and not typer.confirm("Download under these licences?"):
        raise typer.Exit(FAILED)


def _end(faults: list[str]) -> None:
    for fault in faults:
        print(fault)
    if faults:
        raise typer.Exit(FAILED)
