"""Help as rich-click draws it in a terminal."""

from __future__ import annotations

from typing import Any

import click
from rich_click import RichCommand, RichContext, RichGroup, RichHelpConfiguration
from rich_click.rich_panel import RichOptionPanel, RichPanel


def draw_help(command: click.Command, ctx: click.Context, groups: dict[str, list[click.Parameter]]) -> str:
    """Draw a command's help, a panel for each heading of `groups`.

    The command that is parsed stays click's own; only its twin, made here, is rich-click's.
    """
    panels: list[RichPanel[Any, Any]] = [
        RichOptionPanel(heading, options=[one.opts[0] for one in parameters]) for heading, parameters in groups.items()
    ]
    shared: dict[str, Any] = {
        "name": command.name,
        "params": command.params,
        "help": command.help,
        "epilog": command.epilog,
    }
    twin: RichCommand
    if isinstance(command, click.Group):
        listed = {name: command.get_command(ctx, name) for name in command.list_commands(ctx)}
        twin = RichGroup(
            commands={name: one for name, one in listed.items() if one is not None}, panels=panels, **shared
        )
    else:
        twin = RichCommand(panels=panels, **shared)
    look = RichHelpConfiguration(theme="default-slim", style_helptext="", text_paragraph_linebreaks="\n\n")
    drawn = RichContext(
        twin,
        info_name=ctx.info_name,
        parent=ctx.parent,
        help_option_names=ctx.help_option_names,
        rich_help_config=look,
    )
    return twin.get_help(drawn)
