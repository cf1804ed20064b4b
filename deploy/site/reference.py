"""Pages made from the code: settings, commands, the public names, the store's format."""

from __future__ import annotations

import ast
import tomllib
from typing import TYPE_CHECKING, Any

import click
from texts import HOME

import driftmap.engine
import driftmap.pipeline
import driftmap.pipeline.look
from driftmap.engine.settings import GRAPH_NAMES, LAYOUT_NAMES, TARGET_NAMES
from driftmap.pipeline.cli.app import cli
from driftmap.pipeline.config.run_settings import OWN_SETTINGS, RUN_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from driftmap.engine.settings import Setting

GUIDE = "examples/guide/settings.toml"
STORE_FORMAT = "pipeline/driftmap/pipeline/store/__init__.py"
"""A file whose docstring is the page of the store's format."""
EFFECTS = "examples/guide/effects.toml"

_ABOUT_COMMANDS = """\
# Command line

What `--help` says. Each option is also read from a variable: `DRIFTMAP`, the command and the option, in capitals with
underscores, such as `DRIFTMAP_RUN_N_NEIGHBORS` or `DRIFTMAP_INGEST_GRACE`; several values have spaces between them. The
command line wins over variables, and these over a TOML file. Lengths of time are a whole number and a unit: `s`, `min`,
`h`, `D`, `W`, `M` (months), `Y`.

Completion of commands and options by the Tab key:

| shell | line | in |
|---|---|---|
| bash | `eval "$(_DRIFTMAP_COMPLETE=bash_source driftmap)"` | `~/.bashrc` |
| zsh | `eval "$(_DRIFTMAP_COMPLETE=zsh_source driftmap)"` | `~/.zshrc` |
| fish | <code>_DRIFTMAP_COMPLETE=fish_source driftmap &#124; source</code> | `~/.config/fish/config.fish` |"""

_GROUPS = {
    "Neighbours": GRAPH_NAMES,
    "Targets": TARGET_NAMES,
    "Layout": LAYOUT_NAMES,
    "Of a run": tuple(OWN_SETTINGS),
}


def make_reference() -> dict[str, str]:
    """Make all pages: paths on the site, and their texts."""
    return {
        "reference/settings.md": _describe_settings(),
        "reference/commands.md": _list_commands(),
        "reference/store.md": _describe_format(),
        "reference/estimator.md": "# AlignedUMAP\n\n::: driftmap.engine.AlignedUMAP\n",
        "reference/pipeline.md": _list_names("Runs and stores", driftmap.pipeline),
        "reference/look.md": _list_names("Pictures", driftmap.pipeline.look),
        "reference/engine.md": _list_names("Engine", driftmap.engine, but=("AlignedUMAP",)),
    }


def _describe_settings() -> str:
    said = tomllib.loads((HOME / GUIDE).read_text(encoding="utf-8"))
    effects = tomllib.loads((HOME / EFFECTS).read_text(encoding="utf-8"))
    lines = [
        "# Settings",
        "",
        said.pop("about"),
        "",
        effects.pop("about"),
    ]
    for heading, names in _GROUPS.items():
        lines += ["", f"## {heading}"]
        for name in names:
            lines += _describe_setting(RUN_SETTINGS[name], said[name], effects.get(name, []))
    return "\n".join(lines) + "\n"


def _describe_setting(setting: Setting, said: dict[str, str], effects: list[dict[str, Any]]) -> Iterator[str]:
    yield from ("", f"### {setting.name}{' *' if setting.per_window else ''}", "", setting.help, "")
    yield from ("| | |", "|---|---|")
    yield f"| default | `{setting.default}` |"
    if bounds := _describe_bounds(setting):
        yield f"| may be | {bounds} |"
    yield f"| cost | {said['cost']} |"
    yield f"| change it | {said['when']} |"
    if effects:
        yield from ("", "| value | trust | neighbours | drift |", "|---|---|---|---|")
        for one in effects:
            yield f"| `{one['value']}` | {one['trust']:.3f} | {one['neighbours']:.3f} | {one['drift']:.3f} |"


def _describe_bounds(setting: Setting) -> str:
    words = [f"`{word}`" for word in setting.words]
    if setting.kind in ("integer", "number"):
        low = f"{'above ' if setting.is_above else ''}{setting.low:g}"
        what = "whole number" if setting.kind == "integer" else "number"
        words.insert(0, f"a {what}, {low} to {setting.high:,.12g}")
        words += [f"`{other}`" for other in setting.other if other != setting.default]
    elif setting.kind == "metric":
        words.append("a name of pynndescent; from Python a function of two rows too")
    elif setting.kind == "arguments":
        words.append("a JSON object, from Python a dict")
    return " or ".join(words)


def _list_commands() -> str:
    lines = [_ABOUT_COMMANDS]
    top = click.Context(cli, info_name="driftmap", terminal_width=100)
    for command, context in _walk(cli, top):
        lines += ["", f"## {context.command_path}", "", "```text", click.Command.get_help(command, context), "```"]
    return "\n".join(lines) + "\n"


def _walk(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    yield command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                options = {"help_option_names": context.help_option_names, "terminal_width": 100}
                yield from _walk(found, click.Context(found, info_name=name, parent=context, **options))


def _describe_format() -> str:
    said = ast.get_docstring(ast.parse((HOME / STORE_FORMAT).read_text(encoding="utf-8"))) or ""
    return f"# The store's format\n\n{said}\n\n<!-- include README.md#The store -->\n"


def _list_names(title: str, package: Any, but: Iterable[str] = ()) -> str:
    names = [name for name in package.__all__ if name not in set(but) and callable(getattr(package, name))]
    parts = [f"# {title}", (package.__doc__ or "").strip()]
    return "\n\n".join([*parts, *(f"::: {package.__name__}.{name}" for name in names)]) + "\n"
