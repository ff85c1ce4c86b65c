"""What the commands have in common: consoles, options, and how JSON is printed."""

import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where database, models and cache lie [HEIMDEX_DATA_DIR]."),
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="Another heimdex.toml [HEIMDEX_CONFIG].")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def group(words: str) -> typer.Typer:
    """Return a group of commands; with none named it prints its help."""
    return typer.Typer(
        help=words,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def print_json(value: Any) -> None:
    """Write JSON for a program: UTF-8 whatever the terminal speaks."""
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(value)) + b"\n")
    sys.stdout.flush()
