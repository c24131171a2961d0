"""The benchmark report: from trajectories alone to Markdown, CSV, figures and one HTML page.

    nb201 report runs/bench --out report

`data` reads trajectories and the tables they name, `statistics` and `summary` compute, `tables` and
`papers` word the numbers once for `markdown` and `page`; `csv_files` and `figures` write the rest, and
`write` calls them all.
The same trajectories give the same bytes.
"""
