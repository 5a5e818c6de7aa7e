"""``python -m simulator``: make the exports of a small county, and serve them as its three systems would.

Each command is imported when it is called: serving must not wait for what generating needs.
"""

from __future__ import annotations

import importlib

import click

#: Command -> where it lives, and what the overview says of it without importing it.
COMMANDS = {
    "generate": ("simulator.generate_cli:generate_command", "Write the exports of a generated county."),
    "serve": ("simulator.servers.cli:serve", "Serve exports as three source systems on loopback."),
    "stop": ("simulator.servers.cli:stop", "Stop the servers that were started for a state folder."),
}


class LazyGroup(click.Group):
    """A click group that imports a command's module only when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup)
def main() -> None:
    """The three source systems of the demo and of the tests."""


if __name__ == "__main__":
    main(prog_name="python -m simulator")
