"""The benchmark report: from trajectories alone to Markdown, CSV, figures and one HTML page.

    nb201 report runs/bench --out report

`data` reads trajectories and the tables they name, `statistics` and `summary` compute,
`tables` words the numbers once for `markdown` and `page`; `csv_files` and `figures` write the rest.
The same trajectories give the same bytes.
"""
