"""Options in groups, each under its heading in `--help`.

In a terminal rich-click draws the help. It is loaded when help is asked for: it takes longer to load than click.
"""

from __future__ import annotations

import sys
from typing import Any

import click

COMMON = "Common"
"""Heading of the options that most calls need; it comes first."""
OTHERS = "Other options"


class GroupedOption(click.Option):
    """An option that knows its heading; None: with the others."""

    def __init__(self, *given: Any, group: str | None = None, **options: Any) -> None:
        super().__init__(*given, **options)
        self.group = group


class DrawnHelp(click.Command):
    """A command whose help is drawn by rich-click where stdout is a terminal."""

    def get_help(self, ctx: click.Context) -> str:
        """Return the help: drawn for a terminal, plain text elsewhere."""
        if not sys.stdout.isatty():
            return super().get_help(ctx)
        from driftmap.pipeline.cli.drawn_help import draw_help

        return draw_help(self, ctx, group_parameters(self, ctx))


class DrawnGroup(DrawnHelp, click.Group):
    """A group of commands whose help, and theirs, is drawn."""

    command_class = DrawnHelp


class GroupedCommand(DrawnHelp):
    """A command whose help lists its options by their headings: the common ones, then as headings first come."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, those without a heading last."""
        for heading, parameters in group_parameters(self, ctx).items():
            records = [record for one in parameters if (record := one.get_help_record(ctx)) is not None]
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def group_parameters(command: click.Command, ctx: click.Context) -> dict[str, list[click.Parameter]]:
    """Sort the parameters of a command by their headings."""
    by_heading: dict[str, list[click.Parameter]] = {COMMON: []}
    others: list[click.Parameter] = []
    for parameter in command.get_params(ctx):
        heading = getattr(parameter, "group", None)
        (others if heading is None else by_heading.setdefault(heading, [])).append(parameter)
    found = {heading: parameters for heading, parameters in by_heading.items() if parameters}
    return {**found, OTHERS if found else "Options": others}
