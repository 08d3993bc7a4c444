"""What a repeated run remembers."""

from __future__ import annotations

from relume.cli.restoring.manifest import Entry, Memory, parse

OPTIONS = {"model": "m", "strength": 0.6, "scale": 2}


def entry(
    path: str = "/photos/a.jpg", place: str = "a.jpg", sha256: str = "1", output: str = "out.jpg"
) -> Entry:
    return Entry(
        path, place, sha256, OPTIONS, "0.1", output, "2", "restored", 0.9, 1.5, [{"name": "denoise"}]
    )


def test_an_entry_survives_its_line() -> None:
    assert parse(entry().line() + entry(place="b.jpg").line()) == [entry(), entry(place="b.jpg")]


def test_lines_cut_short_or_not_ours_are_left_out() -> None:
    content = b'{"other": 1}\n[]\n' + entry().line() + entry().line()[:30]
    assert parse(content) == [entry()]


def test_names_that_are_no_text_survive() -> None:
    odd = entry(path="/photos/\udcff.jpg")
    assert parse(odd.line()) == [odd]


def test_a_photo_is_known_again_after_its_folder_moved() -> None:
    memory = Memory([entry()])
    assert memory.candidates("/moved/a.jpg", "a.jpg", "1", dict(OPTIONS)) == [entry()]


def test_other_bytes_another_place_or_other_options_are_another_photo() -> None:
    memory = Memory([entry()])
    assert memory.candidates("/photos/a.jpg", "a.jpg", "other", OPTIONS) == []
    assert memory.candidates("/photos/a.jpg", "sub/a.jpg", "1", OPTIONS) == []
    assert memory.candidates("/photos/a.jpg", "a.jpg", "1", {**OPTIONS, "scale": 4}) == []


def test_each_of_two_equal_copies_has_its_own_result() -> None:
    first, second = entry("/one/a.jpg", output="a.jpg"), entry("/two/a.jpg", output="b.jpg")
    memory = Memory([first, second])
    assert memory.candidates("/two/a.jpg", "a.jpg", "1", OPTIONS) == [second, first]
    memory.give(second)
    assert memory.candidates("/two/a.jpg", "a.jpg", "1", OPTIONS) == [first]
