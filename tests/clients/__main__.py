"""The clients that the compatibility table is about, tried: ``python -m tests.clients list`` and ``run``.

    python -m tests.clients list                   which there are, and what each needs
    python -m tests.clients run                    tries all that can be tried here
    python -m tests.clients run torchrl skrl       tries these
    python -m tests.clients run --ci               tries those that the slow tests try
    python -m tests.clients run --write            also keeps it in docs/data/clients.json and docs/clients.md

Environments are made in build/clients/ and used again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.studies.__main__ import write as write_pages
from benchmarks.studies.clients import FILE, read
from benchmarks.studies.pages import write_data
from tests.clients.catalogue import CLIENTS, Client, ClientError, find
from tests.clients.probes import Found
from tests.clients.running import try_client


def listing() -> str:
    """A line for each client, with what it needs beside the tests' environment."""
    return "\n".join(f"{client.name:18} {_needs(client)}" for client in CLIENTS)


def _needs(client: Client) -> str:
    folder = f"{client.checkout.variable}=FOLDER ({client.checkout.commit})" if client.checkout else ""
    needs = " ".join(filter(None, [*client.requires, folder])) or "nothing more"
    return needs if client.ci else f"{needs}; not in CI"


def run(clients: Sequence[Client], keep: bool) -> int:
    """Try clients one after the other; returns how many failed."""
    failed = 0
    for client in clients:
        print(client.title, flush=True)
        try:
            found = try_client(client, show)
        except ClientError as error:
            failed += 1
            print(f"error: {error}", file=sys.stderr, flush=True)
            continue
        if keep:
            held = read() | {client.name: found}
            write_data(FILE, {one.name: held[one.name] for one in CLIENTS if one.name in held})
            write_pages("clients")
    return failed


def show(found: Found) -> None:
    """Print a row."""
    why = found.lacks or found.adds
    print(f"  {found.result:6} {found.title} ({found.seconds:.1f} s){': ' if why else ''}{why}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.clients",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("list", help="print the clients")
    trying = commands.add_parser("run", help="try clients")
    trying.add_argument("client", nargs="*", help="names, as list prints them; all if none is given")
    trying.add_argument("--ci", action="store_true", help="only those that the slow tests try")
    trying.add_argument("--write", action="store_true", help="keep what came of it in docs/")
    options = parser.parse_args(arguments)
    if options.what == "list":
        print(listing())
        return 0
    try:
        chosen = [client for client in find(options.client) if client.ci or not options.ci]
    except ClientError as error:
        parser.error(str(error))
    if not options.client:
        for client in chosen:
            if client.why_not:
                print(f"skipped: {client.why_not}")
        chosen = [client for client in chosen if not client.why_not]
    return int(run(chosen, options.write) > 0)


if __name__ == "__main__":
    sys.exit(main())
