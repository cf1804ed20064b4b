"""Benchmarks, run by hand: `python -m tests.benchmarks --help` lists them (see CONTRIBUTING.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from tests.benchmarks import bench_auto_cost, bench_contended, bench_exchange, bench_lambda
from tests.benchmarks.bench_answers import count_named, count_named_by_runs
from tests.benchmarks.bench_at_once import compare_workers
from tests.benchmarks.bench_clusters import compare_clusters
from tests.benchmarks.bench_exchange import EXCHANGES
from tests.benchmarks.bench_kernels import time_kernels
from tests.benchmarks.bench_large import SIZES, UPDATED_ROWS, time_rows, time_update
from tests.benchmarks.bench_movement import compare_movement
from tests.benchmarks.bench_pace import compare_paces
from tests.benchmarks.bench_pages import weigh_pages
from tests.benchmarks.bench_pipeline import compare_pipeline
from tests.benchmarks.bench_quality import compare_quality
from tests.benchmarks.bench_reasons import count_reasons
from tests.benchmarks.bench_repulsion import compare_repulsion
from tests.benchmarks.bench_reuse import compare_reuse
from tests.benchmarks.bench_settings import EFFECTS, show_effects
from tests.benchmarks.bench_speed import CASES, compare_imports, compare_speed, compare_threads
from tests.benchmarks.bench_stages import SIZES as STAGE_SIZES
from tests.benchmarks.bench_stages import measure_stages
from tests.benchmarks.bench_start import measure_starts
from tests.benchmarks.bench_strength import compare_rules
from tests.benchmarks.bench_view import SIZES as VIEWED
from tests.benchmarks.bench_view import time_views
from tests.benchmarks.bench_windows import WINDOWS, compare_windows
from tests.benchmarks.clock import describe_machine
from tests.benchmarks.data_sets import available, is_available

IMAGE = Path("examples/images/lambda_curve.png")
PIECES = (*CASES, "threads", "imports", "pipeline")

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Names(click.ParamType):
    """Words or numbers with commas between them."""

    name = "a,b,..."

    def __init__(self, kind: Callable[[str], Any] = str) -> None:
        self._kind = kind

    def convert(self, value, param, ctx):
        if not isinstance(value, str):
            return value
        try:
            return [self._kind(part) for part in value.split(",") if part]
        except ValueError:
            self.fail(f"{value!r} must be {self._kind.__name__} values with commas between them.", param, ctx)


out_option = click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write all figures as JSON.")


def common_options(command):
    """Add the options that all comparisons have."""
    for option in (
        out_option,
        click.option("--fresh-peer", is_flag=True, help="Run umap-learn even where its maps are kept."),
        click.option("--no-peer", is_flag=True, help="Leave umap-learn out."),
        click.option("--seeds", type=Names(int), default=[0, 1, 2, 3, 4], help="Ours; default 0,1,2,3,4."),
    ):
        command = option(command)
    return command


data_option = click.option("--data", type=Names(), help="Data sets; default: all that are on this machine.")


@click.group()
def main() -> None:
    """Measure driftmap beside umap-learn. Times mean something on an idle machine only."""


@main.command()
@data_option
@click.option("--n-epochs", type=int, help="Of both; default: ours as it is, umap-learn's 200.")
@click.option("--peer-seeds", type=click.IntRange(1, 3), default=3, show_default=True, help="How many of umap-learn's.")
@click.option("--kept-peer", is_flag=True, help="Only those of umap-learn's maps that are kept already.")
@common_options
def quality(data, n_epochs, peer_seeds, kept_peer, seeds, no_peer, fresh_peer, out) -> None:
    """Trustworthiness, neighbours, drift, arrangement: our defaults over seeds beside umap-learn's AlignedUMAP."""
    found = compare_quality(
        data or available(),
        seeds,
        n_peer_seeds=0 if no_peer else peer_seeds,
        is_only_kept=kept_peer,
        is_fresh=fresh_peer,
        n_epochs=n_epochs,
        say=click.echo,
    )
    write(out, quality=found)


@main.command()
@click.option("--only", type=Names(), help=f"Some of {', '.join(PIECES)}.")
@click.option("--no-peer", is_flag=True, help="Leave umap-learn out.")
@out_option
def speed(only, no_peer, out) -> None:
    """Wall times of fit and update beside umap-learn, threads, imports, the pipeline, and where the time goes."""
    write(out, speed=measure_speed(only or available_pieces(), has_peer=not no_peer))


@main.command()
@click.option("--repeats", type=int, default=5, show_default=True, help="Starts of each kind.")
@out_option
def start_up(repeats, out) -> None:
    """CPU seconds of a start of `driftmap ingest` with nothing new, and with one small window."""
    write(out, start_up=measure_starts(repeats, say=click.echo))


@main.command(name="lambda")
@data_option
@click.option("--n-epochs", type=int, default=200, show_default=True, help="Of both.")
@click.option(
    "--image", type=click.Path(path_type=Path, dir_okay=False), default=IMAGE, show_default=True, help="The figure."
)
@click.option("--kept-peer", is_flag=True, help="Only those of umap-learn's maps that are kept already.")
@common_options
def lambda_(data, n_epochs, image, kept_peer, seeds, no_peer, fresh_peer, out) -> None:
    """Drift against trustworthiness for 8 strengths of the alignment, as a figure."""
    found = bench_lambda.trace_curves(
        data or [name for name in bench_lambda.DATA if is_available(name)],
        seeds,
        has_peer=not no_peer,
        is_only_kept=kept_peer,
        is_fresh=fresh_peer,
        n_epochs=n_epochs,
        say=click.echo,
    )
    bench_lambda.draw_curves(found, image)
    write(out, curves=found)


@main.command()
@data_option
@click.option("--seeds", type=Names(int), default=[0, 1, 2, 3, 4], help="Default 0,1,2,3,4.")
@click.option(
    "--kept", type=click.Path(path_type=Path, dir_okay=False), help="File of figures, read and added to fit by fit."
)
@out_option
def strength(data, seeds, kept, out) -> None:
    """Rules for the strength that the data decide, on every set, and which one the other sets would choose."""
    write(out, strength=compare_rules(data or available(), seeds, kept=kept, say=click.echo))


@main.command()
@data_option
@click.option("--seeds", type=Names(int), default=[0, 1, 2, 3, 4], help="Default 0,1,2,3,4.")
@out_option
def pace(data, seeds, out) -> None:
    """Lengths of the joint pass, on every set, and which one the other sets would choose."""
    write(out, pace=compare_paces(data or available(), seeds, say=click.echo))


@main.command()
@data_option
@click.option("--seeds", type=Names(int), default=[0, 1, 2, 3, 4], help="Default 0,1,2,3,4.")
@out_option
def repulsion(data, seeds, out) -> None:
    """Weights of the repulsion by the rows of a window, on every set, and which one the other sets would choose."""
    write(out, repulsion=compare_repulsion(data or available(), seeds, say=click.echo))


@main.command()
@data_option
@click.option("--rounds", type=int, default=bench_auto_cost.ROUNDS, show_default=True, help="Fits of each kind.")
@out_option
def auto_cost(data, rounds, out) -> None:
    """CPU seconds of a fit with "auto" against one with a constant strength."""
    write(out, auto_cost=bench_auto_cost.compare_cost(data or available(), rounds, say=click.echo))


@main.command()
@common_options
def movement(seeds, no_peer, fresh_peer, out) -> None:
    """Blobs of which it is known who moves: movers left behind, and how far the others move."""
    write(out, movement=compare_movement(seeds, has_peer=not no_peer, is_fresh=fresh_peer, say=click.echo))


@main.command()
@click.option("--sizes", type=Names(int), default=list(SIZES), help="Rows of a window; default 2,000 to 1,000,000.")
@out_option
def large(sizes, out) -> None:
    """CPU time of a row in an epoch, in windows of 2,000 to 1,000,000 rows."""
    write(out, large=time_rows(sizes, say=click.echo))


@main.command()
@click.option("--window", "names", multiple=True, help=f"ROWSxFEATURES, a set, SET:all; default: {', '.join(WINDOWS)}.")
@click.option("--seeds", type=Names(int), default=[0, 1, 2], help="Ours; default 0,1,2.")
@click.option("--peer-seeds", type=click.IntRange(0), default=1, show_default=True, help="How many of umap-learn's.")
@out_option
def windows(names, seeds, peer_seeds, out) -> None:
    """Maps of single large windows beside umap-learn's UMAP: a quarter of an hour."""
    found = compare_windows(names or WINDOWS, seeds, n_peer_seeds=peer_seeds, say=click.echo)
    write(out, windows=found)


@main.command(name="update")
@click.option("--rows", type=int, default=UPDATED_ROWS, show_default=True, help="Of each window.")
@out_option
def update_(rows, out) -> None:
    """CPU seconds of an update with a large window, beside a fit of two such."""
    write(out, update=time_update(rows, say=click.echo))


@main.command()
@click.option("--sizes", type=Names(int), default=list(STAGE_SIZES), help="Rows of a window; 400,000 and 2,000,000.")
@out_option
def stages(sizes, out) -> None:
    """Memory and CPU time of a large window's start and clusters, beside their estimates."""
    write(out, stages=measure_stages(sizes, say=click.echo))


@main.command()
@out_option
def kernels(out) -> None:
    """Nanoseconds of an attraction and of a repulsion."""
    write(out, kernels=time_kernels(say=click.echo))


@main.command()
@click.option("--rounds", type=int, default=bench_contended.ROUNDS, show_default=True, help="Fits of each kind.")
@out_option
def contended(rounds, out) -> None:
    """CPU seconds of a fit beside one busy process per core, against an idle machine."""
    write(out, contended=bench_contended.compare_contended(click.echo, rounds))


@main.command()
@out_option
def reuse(out) -> None:
    """What keeping neighbours from window to window brings, by overlap."""
    write(out, reuse=compare_reuse(say=click.echo))


@main.command()
@data_option
@click.option("--seeds", type=Names(int), default=[0, 1, 2, 3, 4], help="Default 0,1,2,3,4.")
@click.option("--exchanges", type=Names(int), default=list(EXCHANGES), help="Default 5,10,20,40,80.")
@click.option("--block-windows", type=int, default=4, show_default=True, help="Windows in a block, for the quality.")
@click.option("--windows", type=int, default=32, show_default=True, help="Of the layout that is timed; 0: none.")
@out_option
def exchange(data, seeds, exchanges, block_windows, windows, out) -> None:
    """Blocks in parallel: quality by the number of exchanges, time on 1 and 2 workers, and played for 1,000."""
    names = [name for name in bench_exchange.DATA if is_available(name)] if data is None else data
    found: dict[str, Any] = {}
    if windows:
        found["workers"] = compare_workers(windows, say=click.echo)
    found["quality"] = bench_exchange.trace_exchanges(names, seeds, exchanges, block_windows, say=click.echo)
    write(out, exchange=found)


@main.command()
@out_option
def pages(out) -> None:
    """Sizes of the pages of 10 x 20,000 and of 1,000,000 rows, with river, names and sentences: two minutes."""
    write(out, pages=weigh_pages(click.echo))


@main.command()
@click.option("--size", "sizes", multiple=True, help=f"Windows x rows; default: {' and '.join(VIEWED)}.")
@click.option("--folder", type=click.Path(path_type=Path, exists=True), help="Keeps the stores for the next time.")
@out_option
def view(sizes, folder, out) -> None:
    """`driftmap view` of large stores: first picture, all windows, memory of server and page; 1 GB of disk."""
    write(out, view=time_views(list(sizes or VIEWED), folder, say=click.echo))


@main.command()
@click.option("--seeds", type=Names(int), default=[0, 1, 2], help="Ours; default 0,1,2.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=EFFECTS, help="TOML for the site.")
def settings(seeds, out) -> None:
    """What each setting does to the maps of digits, for the documentation: two minutes."""
    out.write_text(show_effects(seeds, say=click.echo), encoding="utf-8")


@main.command()
@click.option("--stores", type=int, default=20, show_default=True, help="Of each kind, with labels and without.")
@click.option("--runs", is_flag=True, help="Plant the changes in data, and run them: 3 s a store.")
@click.option("--first-seed", type=int, default=0, show_default=True, help="Of the stores; the next ones follow.")
@click.option("--windows", type=int, default=4, show_default=True, help="Of each store, without --runs.")
@click.option("--rows", type=int, help="Of each of five groups, without --runs; else 40 to 95, by the seed.")
@click.option("--share-new", type=float, default=0.0, show_default=True, help="Of ids, in each window of the runs.")
@out_option
def answers(stores, runs, first_seed, windows, rows, share_new, out) -> None:
    """How often the page's sentences name a planted change, in maps made by hand or by runs."""
    if runs:
        found = count_named_by_runs(stores, first_seed, share_new, click.echo)
    else:
        found = count_named(stores, first_seed, windows, rows, click.echo)
    write(out, answers=found)


@main.command()
@click.option("--stores", type=int, default=20, show_default=True, help="Of each of four kinds: 2 s a store.")
@out_option
def reasons(stores, out) -> None:
    """How often the page's card names planted words and columns, three of five among its first five."""
    write(out, reasons=count_reasons(stores, click.echo))


@main.command()
@data_option
@click.option("--seeds", type=Names(int), default=[0, 1, 2], help="Default 0,1,2.")
@out_option
def clusters(data, seeds, out) -> None:
    """Ways to find clusters without labels: stability, agreement with labels, number, time; "planted" is a set too."""
    write(out, clusters=compare_clusters(data or ["planted", *available()], seeds, say=click.echo))


@main.command(name="all")
@common_options
def everything(seeds, no_peer, fresh_peer, out) -> None:
    """All of the above, times first: about half an hour where umap-learn's maps are not kept yet."""
    found = {
        "speed": measure_speed(available_pieces(), has_peer=not no_peer),
        "kernels": time_kernels(say=click.echo),
        "quality": compare_quality(
            available(), seeds, n_peer_seeds=0 if no_peer else 1, is_fresh=fresh_peer, say=click.echo
        ),
    }
    found["curves"] = bench_lambda.trace_curves(
        [name for name in bench_lambda.DATA if is_available(name)],
        seeds,
        has_peer=not no_peer,
        is_fresh=fresh_peer,
        say=click.echo,
    )
    bench_lambda.draw_curves(found["curves"], IMAGE)
    write(out, **found)


def available_pieces() -> list[str]:
    """Names of what can be timed on this machine."""
    return [piece for piece in PIECES if piece not in CASES or is_available(CASES[piece].data)]


def measure_speed(pieces: Sequence[str], *, has_peer: bool) -> dict[str, Any]:
    """Time what is asked for."""
    found: dict[str, Any] = {}
    cases = [case for case in CASES if case in pieces]
    if cases:
        found["cases"] = compare_speed(cases, has_peer=has_peer, say=click.echo)
    if "threads" in pieces:
        found["threads"] = compare_threads(say=click.echo)
    if "imports" in pieces:
        found["imports"] = compare_imports(say=click.echo)
    if "pipeline" in pieces:
        found["pipeline"] = compare_pipeline(say=click.echo)
    return found


def write(out: Path | None, **results: Any) -> None:
    """Write results, and what they were measured on, where the user wants them."""
    if out is not None:
        out.write_text(json.dumps({**describe_machine(), **results}, indent=2) + "\n", encoding="utf-8")
        click.echo(f"All figures are in {out}.")


if __name__ == "__main__":
    main()
