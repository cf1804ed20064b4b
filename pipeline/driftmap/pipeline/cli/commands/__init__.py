"""Commands of `driftmap`, one file each: parse, call, print. At the top they import click and nothing slow."""
