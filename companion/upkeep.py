"""The commands that look after an installation: models, sidecars, backups, the doctor."""

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.text import Text

from companion import backups, health as health_of, local, lock, terminal, trial
from companion.app import opened
from companion.arguments import AsJson, ConfigFile, DataDir, err, group, out, print_json
from companion.config import Config
from companion.doctor import Health, examine
from companion.settings import load
from companion.stages import needed_models
from companion.store.accounts import OWNER_NAME, new_password
from scanners import fetch, models as table
from scanners.base import STAGES

app = group("Look after an installation.")
models = group("The model files that scanning and searching use.")
sidecars = group("The JSON files beside the films, from which everything can be rebuilt.")
app.add_typer(models, name="models")
app.add_typer(sidecars, name="sidecars")


# --- models --------------------------------------------------------------------------------------

Folder = Annotated[
    Path | None, typer.Option("--to", help="Another folder than that of the configuration.")
]
Names = Annotated[
    list[str] | None, typer.Argument(help="Models; without names, those of the profile.")
]


@models.command("list")
def list_models(to: Folder = None, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """List every model.

    What it is for, its size and licence, whether its files are here, and whether it is used.
    """
    settings = load(data_dir=data_dir, file=config)
    used = table.roles(settings.models.profile, settings.models.roles)
    terminal.print_models(out, to or settings.models_folder, set(used.values()))


@models.command("get")
def get_models(
    names: Names = None, to: Folder = None, config: ConfigFile = None, data_dir: DataDir = None
) -> None:
    """Bring model files that are missing."""
    settings = load(data_dir=data_dir, file=config)
    folder = to or settings.models_folder
    for name in _names(settings, names):
        with terminal.download(err, name) as progress:
            fetch.get(folder, name, progress)
        out.print(f"{name} is there")


@models.command("verify")
def verify_models(
    names: Names = None, to: Folder = None, config: ConfigFile = None, data_dir: DataDir = None
) -> None:
    """Check every byte of the model files."""
    settings = load(data_dir=data_dir, file=config)
    for name in _names(settings, names):
        table.verify(to or settings.models_folder, name)
        out.print(f"{name}: every byte as expected")


def _names(config: Config, names: list[str] | None) -> list[str]:
    if names:
        return names
    chosen = table.roles(config.models.profile, config.models.roles)
    return sorted({name for stage in STAGES for name in needed_models(stage, chosen)})


# --- sidecars ----------------------------------------------------------------------------------


@sidecars.command("import")
def import_sidecars(config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Rebuild the database from the sidecars."""
    rebuilt, without = asyncio.run(local.import_sidecars(load(data_dir=data_dir, file=config)))
    out.print(f"{rebuilt} files rebuilt, {without} without a sidecar that can be used")


@sidecars.command("sweep")
def sweep_sidecars(config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Remove the sidecars of films that left."""
    removed = asyncio.run(local.sweep_sidecars(load(data_dir=data_dir, file=config)))
    out.print(f"{removed} sidecars removed")


# --- looking after it ----------------------------------------------------------------------------


@app.command()
def doctor(as_json: AsJson = False, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Look at what this installation stands on.

    Status 1 if something must be done; each line says what.
    """
    findings = examine(load(data_dir=data_dir, file=config))
    if as_json:
        print_json([msgspec.to_builtins(finding) for finding in findings])
    else:
        terminal.print_findings(out, findings)
    raise typer.Exit(1 if any(one.health is Health.FAIL for one in findings) else 0)


@app.command()
def backup(
    to: Annotated[Path | None, typer.Argument(help="A new file; default: backups/.")] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Copy the database, also while it is used."""
    made = backups.take(load(data_dir=data_dir, file=config), to)
    out.print(Text(f"{made}"), soft_wrap=True)


@app.command()
def restore(
    backup: Annotated[Path, typer.Argument(help="A backup that `heimdex backup` has made.")],
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Put a backup in place of the database.

    The present database is moved aside, never overwritten. The daemon must not run.
    """
    settings = load(data_dir=data_dir, file=config)
    with lock.take(settings.data_dir):
        aside = backups.restore(settings, backup)
    out.print(Text(f"{settings.database} is now {backup}"), soft_wrap=True)
    if aside is not None:
        out.print(Text(f"the database before lies at {aside}"), soft_wrap=True)


@app.command()
def demo(folder: Annotated[Path, typer.Argument(help="Where to put it.")]) -> None:
    """Assemble the demo library in a folder.

    Real films and real speech that may be shared; its README states the rights.
    """
    raise typer.Exit(trial.assemble(folder))


@app.command()
def health(data_dir: DataDir = None) -> None:
    """Say how the running daemon is.

    down, alive, ready or degraded; status 0 if searching works.
    """
    answer = health_of.ask(load(data_dir=data_dir).data_dir)
    for line in (answer.state, *answer.reasons):
        out.print(Text(line))
    raise typer.Exit(0 if answer.well else 1)


@app.command()
def password(config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Make a new password for the owner.

    It is printed once, and every session of the owner ends.
    """
    settings, fresh = load(data_dir=data_dir, file=config), new_password()

    async def change() -> None:
        async with opened(settings, alone=False) as parts:
            await parts.accounts.set_password(OWNER_NAME, fresh)

    asyncio.run(change())
    out.print(fresh)
