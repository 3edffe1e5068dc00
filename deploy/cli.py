"""`lienthong`: the command line. It runs the product and speaks to it over HTTP like anybody else."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import typer

from deploy import commands


def build() -> typer.Typer:
    """Every module of `deploy/commands` put together, in the order of their names."""
    app = typer.Typer(
        name="lienthong",
        help="The one-stop dossier system of a town: intake, routing, notification, reporting over Kafka.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for module in pkgutil.iter_modules(commands.__path__):
        app.add_typer(import_module(f"{commands.__name__}.{module.name}").app)
    return app


def main() -> None:
    """The entry point `lienthong`. Exit codes: 0 done, 1 something stands in the way, 2 usage."""
    build()()


if __name__ == "__main__":
    main()
