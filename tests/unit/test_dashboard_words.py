"""The dashboard's dictionaries: complete, alike, and without a word that nobody reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import relume
from relume.errors import (
    JobUnfinished,
    LeaseLost,
    MethodNotAllowed,
    OutputInvalid,
    ProviderError,
    RelumeError,
    SettingsError,
)

DASHBOARD = Path(relume.__file__).parent / "dashboard"
LANGUAGES = ("en", "vi")
PLURAL_FORMS = ("one", "other")


@cache
def dictionary(language: str) -> dict[str, str]:
    source = (DASHBOARD / "locales" / f"{language}.js").read_text(encoding="utf-8")
    comments_gone = re.sub(r"^ *//.*$", "", source, flags=re.MULTILINE)
    last_comma_gone = re.sub(r",\s*\};\s*$", "}", comments_gone)
    pairs = json.loads(
        last_comma_gone.removeprefix("export default ").rstrip().removesuffix(";"), object_pairs_hook=list
    )
    assert len(pairs) == len(dict(pairs)), "a key stands twice"
    return dict(pairs)


@cache
def scripts() -> str:
    paths = [path for path in sorted(DASHBOARD.rglob("*.js")) if path.parent.name != "locales"]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


@cache
def page() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(DASHBOARD.rglob("*.html")))


@cache
def groups() -> set[str]:
    return {key.partition(".")[0] for key in dictionary("en")}


def keys_used(markup: str, script: str) -> Iterator[str]:
    """Each key that stands in full in markup or in a script: any string that begins with a group's name."""
    yield from re.findall(r'data-i18n(?:-[a-z-]+)?="([^"]+)"', markup)
    yield from re.findall(r"\bt\(\s*'([^']+)'", script)
    for key in re.findall(r"\bplural\(\s*'([^']+)'", script):
        yield from (f"{key}.{form}" for form in PLURAL_FORMS)
    for key in re.findall(r"'([a-z]+(?:\.\w+)+)'", script):
        if key.partition(".")[0] in groups():
            yield key


def keys_missing(markup: str, script: str) -> set[str]:
    """`x` is not missing where `x.one` and `x.other` are there."""
    known = dictionary("en")
    plurals = {key.rpartition(".")[0] for key in known if key.endswith(PLURAL_FORMS)}
    return set(keys_used(markup, script)) - known.keys() - plurals


def patterns_used() -> Iterator[re.Pattern[str]]:
    """Each key that a script puts together, such as `state.${photo.state}`, as a pattern."""
    for template in re.findall(r"`([a-z]+\.[^`\s]*\$\{[^`]*)`", scripts()):
        fixed = re.split(r"\$\{[^}]*\}", template)
        yield re.compile(r"\w+".join(map(re.escape, fixed)))


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_all_languages_have_the_same_keys_in_the_same_order(language: str) -> None:
    assert list(dictionary(language)) == list(dictionary("en"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_empty(language: str) -> None:
    assert all(sentence.strip() for sentence in dictionary(language).values())


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_all_languages_fill_in_the_same_values(language: str) -> None:
    def blanks(sentence: str) -> set[str]:
        return set(re.findall(r"\{(\w+)\}", sentence))

    other = dictionary(language)
    assert {key: blanks(other[key]) for key in other} == {
        key: blanks(en) for key, en in dictionary("en").items()
    }


def test_every_key_that_is_used_exists() -> None:
    assert keys_missing(page(), scripts()) == set()
    assert len(set(keys_used(page(), scripts()))) > 60  # the search itself works


@pytest.mark.parametrize(
    ("markup", "script", "missing"),
    [
        ('<p data-i18n="card.nobody"></p>', "", {"card.nobody"}),
        ('<p data-i18n-title="other.words"></p>', "", {"other.words"}),
        ("", "t('nowhere.to.be')", {"nowhere.to.be"}),
        ("", "plural('gallery.none', 2)", {"gallery.none", "gallery.none.one", "gallery.none.other"}),
        ("", "const key = 'state.lost';", {"state.lost"}),
        ("", "t('state.queued') + plural('gallery.all', 2)", set()),
    ],
)
def test_a_missing_key_is_found(markup: str, script: str, missing: set[str]) -> None:
    assert keys_missing(markup, script) == missing


def test_every_key_that_is_put_together_exists() -> None:
    patterns = list(patterns_used())
    assert len(patterns) > 5
    for pattern in patterns:
        assert any(pattern.match(key) for key in dictionary("en")), pattern.pattern


def test_every_state_and_action_has_words() -> None:
    states = set(re.findall(r"state: '(\w+)'", scripts())) - {
        "refused",
        "done",
    }  # shown as failed; as what was done
    assert {f"state.{state}" for state in states} <= dictionary("en").keys()
    purposes = set(re.findall(r'name="purpose" value="(\w+)"', page()))
    assert len(purposes) == 3
    assert {f"{group}.{purpose}" for group in ("done", "purpose") for purpose in purposes} <= dictionary(
        "en"
    ).keys()
    actions = set(re.findall(r'data-action="(\w+)"', page()))
    assert {f"card.{action}" for action in actions} <= dictionary("en").keys()


def test_every_word_is_read_somewhere() -> None:
    used = set(keys_used(page(), scripts()))
    patterns = list(patterns_used())
    unread = {
        key
        for key in dictionary("en")
        if key not in used
        and key.rpartition(".")[0] not in used
        and not any(pattern.fullmatch(key) for pattern in patterns)
    }
    assert unread == set()


def test_every_error_sentence_belongs_to_a_code() -> None:
    of_the_service = {error.code for error in _all_errors(RelumeError)}
    of_the_page = set(re.findall(r"code(?: =|:) '(\w+)'", scripts()))
    of_the_page |= set(re.findall(r"'error\.(\w+)'", scripts()))
    codes = {key.removeprefix("error.") for key in dictionary("en") if key.startswith("error.")}
    assert codes <= of_the_service | of_the_page
    parts = {error.code for error in _all_errors(ProviderError)} - {OutputInvalid.code}
    elsewhere = {error.code for error in (JobUnfinished, LeaseLost, MethodNotAllowed, SettingsError)}
    assert of_the_service - parts - elsewhere <= codes, "each that a person can meet here has its words"


def _all_errors(kind: type[RelumeError]) -> Iterator[type[RelumeError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _all_errors(child)
