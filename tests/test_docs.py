"""What the pages to read promise is so: commands, options, settings, links, targets."""

import re
import shlex
from pathlib import Path

import pytest

from companion.settings import OWN_VARIABLES, load, variable
from companion.values import KEYS
from tests import commands_page

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for folder in (".", "companion", "connectors", "scanners", "webui", "docker", "tests")
    for path in (ROOT / folder).glob("*.md")
)
COMMANDS = dict(commands_page.commands())


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def written_commands(text: str) -> list[list[str]]:
    """Return every `heimdex ...` of a page, in code blocks and between backticks."""
    spans = re.findall(r"`(heimdex [^`]+)`", text)
    blocks = re.findall(r"(?ms)^```(?:sh|console)?\n(.*?)^```", text)
    spans += [
        line.partition("#")[0].partition("heimdex ")[2].join(["heimdex ", ""])
        for block in blocks
        for line in block.splitlines()
        if re.match(r"(\w+=\S+ )*heimdex ", line)
    ]
    return [shlex.split(span.replace("\n", " ")) for span in spans]


def resolve(words: list[str]) -> tuple[commands_page.Command, list[str]]:
    """Return the command that words name, and what is left of them."""
    name = words[0]
    left = words[1:]
    while left and f"{name} {left[0]}" in COMMANDS:
        name, left = f"{name} {left[0]}", left[1:]
    return COMMANDS[name], left


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_command_and_option_on_a_page_exists(page: Path) -> None:
    for words in written_commands(page.read_text(encoding="utf-8")):
        if words[1:] in (["COMMAND", "--help"], []):
            continue
        command, left = resolve(words)
        assert command is not COMMANDS["heimdex"] or left[0].startswith("-"), words
        known = {option for parameter in command.params for option in parameter.opts}
        for word in left:
            if word.startswith("--"):
                assert word in known | {"--help"}, words


def test_the_readme_s_table_has_every_command_that_is_daily_bread() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for verb in ("serve", "scan", "search", "show", "models", "sidecars", "backup", "doctor"):
        assert f"`heimdex {verb}" in text, verb


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_setting_on_a_page_is_real(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    known = {variable(key) for key in KEYS} | OWN_VARIABLES | {"HEIMDEX_SECTION__KEY"}
    for name in set(re.findall(r"HEIMDEX_[A-Z_]*[A-Z]", text)):
        assert name in known or "TEST" in name or "CHILD" in name, name
    for block in re.findall(r"(?ms)^```toml\n(.*?)^```", text):
        (tmp_path / "heimdex.toml").write_text(block, encoding="utf-8")
        load(data_dir=tmp_path, environ={})


def test_every_target_that_is_promised_is_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    blocks = "\n".join(re.findall(r"(?ms)^```sh\n(.*?)^```", text))
    wanted = {*re.findall(r"`make (\w+)", text), *re.findall(r"(?m)^make (\w+)", blocks)}
    assert {"run", "test", "bench", "quality"} <= wanted
    for target in wanted:
        assert re.search(rf"(?m)^{target}:", makefile), target


def test_the_page_of_commands_is_fresh() -> None:
    assert commands_page.PAGE.read_text(encoding="utf-8") == commands_page.page(), (
        "renew it: python -m tests.commands_page"
    )


def test_every_command_option_and_argument_is_explained() -> None:
    for name, command in COMMANDS.items():
        assert getattr(command, "help", None), name
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name}: {parameter.name}"


def test_the_first_line_of_each_help_fits_into_the_list() -> None:
    for name, command in COMMANDS.items():
        assert not command.get_short_help_str(80).endswith("..."), name
