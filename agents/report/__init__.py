"""The benchmark report: from trajectories alone to Markdown, LaTeX, CSV, JSON, figures and one HTML page.

    nb201 report runs/bench --out report

`data` reads trajectories and the tables they name; `statistics`, `intervals`, `ranks` and `summary` compute;
`tables` words the numbers and `marks` the best of them, `verdict` says who won, and `papers` sets the
published numbers beside ours; `document` puts all that in order, and `markdown`, `latex` and `page` render
it. `csv_files`, `json_file` and `figures` write the rest, `write` all files. Agents look alike everywhere by
`looks`. The same trajectories give the same bytes.
"""
