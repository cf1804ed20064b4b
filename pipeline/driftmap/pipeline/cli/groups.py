"""Options in groups, each under its heading in `--help`.

Click has none, and the libraries that add them (cloup, rich-click) cost more to load than the rest of `--help` takes.
"""

from __future__ import annotations

from typing import Any

import click


class GroupedOption(click.Option):
    """An option that knows its heading; None: with the others."""

    def __init__(self, *given: Any, group: str | None = None, **options: Any) -> None:
        super().__init__(*given, **options)
        self.group = group


class GroupedCommand(click.Command):
    """A command whose help lists its options by their headings, in the order in which headings first come."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, those without a heading last."""
        by_heading: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                by_heading.setdefault(getattr(parameter, "group", None) or "", []).append(record)
        others = by_heading.pop("", [])
        for heading, records in (*by_heading.items(), ("Options" if not by_heading else "Other options", others)):
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)
