"""The documentation is part of the product: what it leaves out, or says wrongly, fails here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import AliasChoices

from relume import errors
from relume.cli.main import app
from relume.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "relume"
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
NOT_YET = "**Not yet"


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# --- Settings ------------------------------------------------------------------------------------------


def names_of(field: str) -> list[str]:
    """Every name a setting may be given by, the documented one first."""
    alias = Settings.model_fields[field].validation_alias
    found = alias.choices if isinstance(alias, AliasChoices) else [field]
    return [str(name).upper() for name in found]


def as_written(value: object) -> str:
    """A default as it stands in a settings file."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, Path):
        return f"./{value}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def setting_rows() -> dict[str, tuple[list[str], str, str]]:
    """The rows of docs/settings.md by the first name: all names, default, meaning."""
    page = read("docs/settings.md").partition("## Variables that are not settings")[0]
    rows = re.findall(r"^\| (`[A-Z0-9_`, ]+`) \| (none|`.+?`) \| (.+) \|$", page, re.MULTILINE)
    parsed = [(re.findall(r"`([A-Z0-9_]+)`", names), default, meaning) for names, default, meaning in rows]
    return {names[0]: (names, default.strip("`"), meaning) for names, default, meaning in parsed}


@pytest.mark.parametrize("field", list(Settings.model_fields))
def test_every_setting_is_documented_with_its_names_and_default(field: str) -> None:
    names, default, meaning = setting_rows()[names_of(field)[0]]
    assert names == names_of(field)
    assert default == (as_written(Settings.model_fields[field].default) or "none")
    assert len(meaning.replace(NOT_YET, "")) > 20


def test_no_setting_is_documented_that_does_not_exist() -> None:
    assert set(setting_rows()) == {names_of(field)[0] for field in Settings.model_fields}


def test_settings_without_effect_are_marked_and_no_others() -> None:
    """A setting that is read nowhere has no effect, whatever the documentation wishes."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py"))
    through_property = {"max_image_mb", "max_file_size_mb", "storage_dir"}
    unused = {
        names_of(field)[0]
        for field in Settings.model_fields
        if field not in through_property and not re.search(rf"\bsettings\.{field}\b", code)
    }
    assert {name for name, row in setting_rows().items() if NOT_YET in row[2]} == unused


@pytest.mark.parametrize("field", list(Settings.model_fields))
def test_bounds_of_numbers_are_documented(field: str) -> None:
    """From 0, or above 0, goes without saying."""
    bounds = [
        getattr(fact, kind, 0) for fact in Settings.model_fields[field].metadata for kind in ("ge", "le")
    ]
    meaning = setting_rows()[names_of(field)[0]][2]
    assert [bound for bound in bounds if bound and not re.search(rf"\b{bound}\b", meaning)] == []


@pytest.fixture
def clean_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without settings files, in an environment without settings."""
    for field in Settings.model_fields:
        for name in names_of(field):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def example_lines() -> list[str]:
    return re.findall(r"^#([A-Z0-9_]+=.*)$", read("config.env.example"), re.MULTILINE)


def test_the_example_file_names_every_setting_once_with_an_explanation() -> None:
    assert [line.partition("=")[0] for line in example_lines()] == [
        names_of(field)[0] for field in Settings.model_fields
    ]
    for line in example_lines():
        assert re.search(rf"^# \S.+\n#{re.escape(line)}$", read("config.env.example"), re.MULTILINE), line


def test_uncommenting_the_whole_example_file_changes_nothing(clean_folder: Path) -> None:
    defaults = load_settings()
    (clean_folder / "config.env").write_text("\n".join(example_lines()), encoding="utf-8")
    assert load_settings() == defaults


def test_the_example_file_is_really_read(clean_folder: Path) -> None:
    changed = [line.replace("MAX_IMAGE_MB=15", "MAX_IMAGE_MB=16") for line in example_lines()]
    (clean_folder / "config.env").write_text("\n".join(changed), encoding="utf-8")
    assert load_settings().max_image_mb == 16


# --- Errors and logs -----------------------------------------------------------------------------------


def all_errors(kind: type[errors.RelumeError] = errors.RelumeError) -> Iterator[type[errors.RelumeError]]:
    for error in kind.__subclasses__():
        if error.__module__ == errors.__name__:
            yield error
            yield from all_errors(error)


@pytest.mark.parametrize("error", list(all_errors()), ids=lambda error: error.code)
def test_every_error_is_documented(error: type[errors.RelumeError]) -> None:
    can_pass = "yes" if error.can_pass else "no"
    assert f"| `{error.code}` | {error.status} | {can_pass} |" in read("docs/errors.md")


def test_no_error_is_documented_that_does_not_exist() -> None:
    documented = re.findall(r"^\| `(\w+)` \| \d", read("docs/errors.md"), re.MULTILINE)
    assert sorted(documented) == sorted({error.code for error in all_errors()})


def test_every_log_event_is_documented() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py"))
    events = set(re.findall(r"\blog\.\w+\(\s*\"([a-z_.]+)\"", code))
    assert events
    assert [event for event in sorted(events) if f"`{event}`" not in read("docs/running.md")] == []


# --- Commands ------------------------------------------------------------------------------------------


def commands() -> dict[str, list[Any]]:
    """Each command by its name; a group stands for all that is below it."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    return {
        name: list(command.commands.values()) if isinstance(command, typer.core.TyperGroup) else [command]
        for name, command in group.commands.items()
    }


def test_every_command_and_option_is_documented() -> None:
    page = read("docs/cli.md")
    assert commands()
    for name, members in commands().items():
        section = page.partition(f"## relume {name}\n")[2].partition("\n## ")[0]
        assert f"| `relume {name}` |" in page
        assert section, f"relume {name} has no section"
        for command in members:
            assert command.name == name or f"relume {name} {command.name}" in section
            options = [option.opts for option in command.params if option.opts[0].startswith("-")]
            assert [
                names
                for names in options
                if not any(re.search(rf"{option}\b(?!-)", section) for option in names)
            ] == []


# --- Pages ---------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors GitHub makes of headings."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link for link in found if not re.match(r"https?://", link)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_images_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_can_be_reached() -> None:
    """From the README, by links alone."""
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or not page.exists():
            continue
        reached.add(page)
        targets = ((page.parent / link.partition("#")[0]).resolve() for link in links(page))
        waiting += [target for target in targets if target.suffix == ".md"]
    index = DOCS / "README.md"  # What GitHub shows for the folder.
    assert set(PAGES) - reached - {index} == set()
