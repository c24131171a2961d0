"""Lines of JSON: whatever a kill cuts off, nothing else is lost with it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.jsonl import append, objects, read_lines


def test_a_line_that_was_cut_off_takes_no_other_with_it(tmp_path: Path) -> None:
    file = tmp_path / "new" / "events.jsonl"
    assert read_lines(file) == []
    append(file, event="begun", unit=1)
    with open(file, "a") as stream:
        stream.write('{"event": "do')  # its writer was killed
    append(file, event="begun", unit=2)
    append(file, event="done", unit=2)
    assert read_lines(file) == [
        {"event": "begun", "unit": 1}, {"event": "begun", "unit": 2}, {"event": "done", "unit": 2},
    ]  # fmt: skip


def test_objects_stand_among_other_lines() -> None:
    assert objects(["warning", '{"a": 1}', "3", '{"a": ', '{"a": 2}']) == [{"a": 1}, {"a": 2}]
