"""The benchmark report: from trajectories alone to Markdown, CSV, figures and one HTML page.

    nb201 report runs/bench --out report

`data` reads trajectories and the tables they name; `statistics` and `summary` compute; `tables`
words the numbers, and `papers` sets the published ones beside ours; `document` puts all that in
order, and `markdown` and `page` render it; `csv_files` and `figures` write the rest, `write` all
files. The same trajectories give the same bytes.
"""
