"""The notebooks hold what the tutorials hold, cell by cell."""

from __future__ import annotations

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")

from benchmarks.studies import notebooks  # noqa: E402

PAGE = """# A page

Words and [a link](other.md), [another](https://example.org).

```python
print(1)
```

```text
1
```

```console
$ nb201 table list
a line that it prints
$ nb201 table verify x
```

<!-- written by: python -m benchmarks.studies rl_rewards page -->

| a | b |
| --- | --- |

<!-- end -->

```sh
cat > mine.py <<'END'
x = 1
END
```
"""


def test_blocks_become_cells(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    made = nbformat.reads(notebooks.notebook(page), 4)
    assert [(cell.cell_type, cell.source) for cell in made.cells] == [
        ("markdown", "# A page\n\nWords and a link, [another](https://example.org)."),
        ("code", "print(1)"),
        ("code", "!nb201 table list\n!nb201 table verify x"),
        ("markdown", "| a | b |\n| --- | --- |"),
        ("markdown", "```sh\ncat > mine.py <<'END'\nx = 1\nEND\n```"),
    ]
    assert made.cells[1].outputs[0].text == "1\n"
    assert notebooks.notebook(page) == notebooks.notebook(page)


@pytest.mark.parametrize("path", notebooks.TUTORIALS, ids=lambda path: path.stem)
def test_every_tutorial_links_its_notebook(path: Path) -> None:
    assert f"[The same as a notebook]({path.stem}.ipynb)" in path.read_text(encoding="utf-8")
