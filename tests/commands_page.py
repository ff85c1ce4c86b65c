"""Writes companion/commands.md from the help of every command: `python -m tests.commands_page`."""

from collections.abc import Iterator
from pathlib import Path

import typer
from typer.core import TyperCommand, TyperGroup

from companion.cli import app

PAGE = Path(__file__).parent.parent / "companion" / "commands.md"
HEAD = """\
# Commands

Written by `python -m tests.commands_page` from what `--help` says; a test keeps it fresh.
"""
WIDTH = 88

Command = TyperCommand | TyperGroup


def commands() -> Iterator[tuple[str, Command]]:
    """Give every command with its full name, groups before what is in them."""
    command = typer.main.get_command(app)
    assert isinstance(command, TyperGroup)
    yield from _below("heimdex", command)


def _below(name: str, command: Command) -> Iterator[tuple[str, Command]]:
    yield name, command
    for child, below in getattr(command, "commands", {}).items():
        yield from _below(f"{name} {child}", below)


def help_of(name: str, command: Command) -> str:
    context = typer.Context(
        command, info_name=name, terminal_width=WIDTH, help_option_names=["-h", "--help"]
    )
    text = command.get_help(context)
    return "\n".join(line.rstrip() for line in text.splitlines())


def page() -> str:
    parts = [f"## {name}\n\n```\n{help_of(name, command)}\n```\n" for name, command in commands()]
    return "\n".join([HEAD, *parts])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
