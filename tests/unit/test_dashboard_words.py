"""The dashboard's dictionaries: complete, alike, and without a word that nobody reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import relume
from relume.errors import RelumeError

DASHBOARD = Path(relume.__file__).parent / "dashboard"
LANGUAGES = ("en", "vi")
PLURAL_FORMS = ("one", "other")


@cache
def dictionary(language: str) -> dict[str, str]:
    source = (DASHBOARD / "locales" / f"{language}.js").read_text(encoding="utf-8")
    pairs = json.loads(
        source.removeprefix("export default ").rstrip().removesuffix(";"), object_pairs_hook=list
    )
    assert len(pairs) == len(dict(pairs)), "a key stands twice"
    return dict(pairs)


@cache
def scripts() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(DASHBOARD.glob("*.js")))


@cache
def page() -> str:
    return (DASHBOARD / "index.html").read_text(encoding="utf-8")


def keys_used() -> Iterator[str]:
    """Each key that stands in full in the page or in a script."""
    yield from re.findall(r'data-i18n(?:-[a-z-]+)?="([^"]+)"', page())
    yield from re.findall(r"\bt\(\s*'([^']+)'", scripts())
    for key in re.findall(r"\bplural\(\s*'([^']+)'", scripts()):
        yield from (f"{key}.{form}" for form in PLURAL_FORMS)
    yield from re.findall(r"'((?:card|compare|announce|gallery)\.\w+)'", scripts())


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
    whole = set(keys_used())
    forms = {key.rsplit(".", 1)[0] for key in dictionary("en")}
    assert {key for key in whole if key not in dictionary("en") and key not in forms} == set()
    assert len(whole) > 60  # the search itself works


def test_every_key_that_is_put_together_exists() -> None:
    patterns = list(patterns_used())
    assert len(patterns) > 5
    for pattern in patterns:
        assert any(pattern.match(key) for key in dictionary("en")), pattern.pattern


def test_every_state_and_action_has_words() -> None:
    states = set(re.findall(r"state: '(\w+)'", scripts())) - {"refused"}  # shown as failed
    assert {f"state.{state}" for state in states} <= dictionary("en").keys()
    actions = set(re.findall(r'data-action="(\w+)"', page()))
    assert {f"card.{action}" for action in actions} <= dictionary("en").keys()


def test_every_word_is_read_somewhere() -> None:
    used = set(keys_used())
    patterns = list(patterns_used())
    unread = {
        key
        for key in dictionary("en")
        if key not in used and not any(pattern.fullmatch(key) for pattern in patterns)
    }
    assert unread == set()


def test_every_error_sentence_belongs_to_a_code() -> None:
    of_the_service = {error.code for error in _all_errors(RelumeError)}
    of_the_page = set(re.findall(r"code(?: =|:) '(\w+)'", scripts()))
    codes = {key.removeprefix("error.") for key in dictionary("en") if key.startswith("error.")}
    assert codes <= of_the_service | of_the_page


def _all_errors(kind: type[RelumeError]) -> Iterator[type[RelumeError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _all_errors(child)
