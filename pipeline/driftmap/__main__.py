"""`python -m driftmap`: the command `driftmap`."""

from driftmap.pipeline.cli.app import main

if __name__ == "__main__":
    main()
