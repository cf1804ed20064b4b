"""Traces and log lines: what a run and an ingest do, by run, stage and window."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from tests.pipeline.growing import OPTIONS, make_store, take_in, write_days

from driftmap.pipeline import open_store, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import SourceError

LABELS = [f"2024-01-0{day}" for day in range(1, 6)]


@pytest.fixture
def spans():
    """Spans that end during a test, by the provider of a caller who set one up."""
    sdk, export = pytest.importorskip("opentelemetry.sdk.trace"), pytest.importorskip("opentelemetry.sdk.trace.export")
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter").InMemorySpanExporter()
    from opentelemetry import trace

    with pytest.MonkeyPatch.context() as patch:
        provider = sdk.TracerProvider()
        provider.add_span_processor(export.SimpleSpanProcessor(memory))
        patch.setattr(trace, "_TRACER_PROVIDER", provider)
        yield memory.get_finished_spans
        provider.shutdown()


def list_spans(spans, name):
    return [span for span in spans() if span.name == f"driftmap {name}"]


def test_a_run_and_an_ingest_are_traced(spans, tmp_path):
    make_store(tmp_path / "days", tmp_path / "store")
    (whole,) = list_spans(spans, "run")
    graphs, blocks = list_spans(spans, "graph"), list_spans(spans, "block")
    assert sorted(span.attributes["driftmap.window"] for span in graphs) == LABELS
    assert {label for span in blocks for label in span.attributes["driftmap.windows"]} == set(LABELS)
    stages = [span.name for span in spans() if span.name in ("driftmap graphs", "driftmap layout")]
    assert sorted(stages) == ["driftmap graphs", "driftmap layout"]
    for span in spans():
        assert span.context.trace_id == whole.context.trace_id
        assert whole.start_time <= span.start_time <= span.end_time <= whole.end_time
    write_days(tmp_path / "days", range(6, 8))
    take_in(tmp_path)
    (ingest,) = list_spans(spans, "ingest")
    own = [span for span in spans() if span.context.trace_id == ingest.context.trace_id]
    assert {span.name for span in own} == {
        f"driftmap {name}" for name in ("ingest", "look", "graphs", "graph", "layout")
    }
    (graph,) = (span for span in own if span.name == "driftmap graph")
    names = ("driftmap.run", "driftmap.stage", "driftmap.window")
    assert [graph.attributes[name] for name in names] == [ingest.attributes["driftmap.run"], "graphs", "2024-01-06"]
    (layout,) = (span for span in own if span.name == "driftmap layout")
    assert layout.attributes["driftmap.windows"] == ("2024-01-06",)


def test_an_error_is_noted_in_its_span(spans, tmp_path):
    with pytest.raises(SourceError):
        run(tmp_path / "nowhere", tmp_path / "store", scheduler="serial", **OPTIONS)
    (span,) = spans()
    assert span.status.status_code.name == "ERROR"
    assert "nowhere" in span.events[0].attributes["exception.message"]


def test_nothing_of_opentelemetry_is_loaded_where_nobody_asks_for_traces(tmp_path):
    make_store(tmp_path / "days", tmp_path / "store")
    script = (
        "import sys\nfrom driftmap.pipeline import ingest\n"
        "ingest('store', scheduler='serial')\nprint([name for name in sys.modules if 'opentelemetry' in name])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_log_lines_of_a_run_name_run_stage_and_window(tmp_path, capfd):
    write_days(tmp_path / "days", range(6))
    words = ["run", str(tmp_path / "days"), "--store", str(tmp_path / "store"), "--scheduler", "serial", "--log-json"]
    for name, value in OPTIONS.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    assert run_command(words) == 0
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert {"run", "stage", "event", "time", "level"} <= set.intersection(*map(set, lines))
    assert len({line["run"] for line in lines}) == 1
    assert [line["window"] for line in lines if line["event"] == "graph"] == LABELS
    assert {line["stage"] for line in lines if line["event"] == "graph"} == {"graphs"}
    last = {line["window"]: line["state"] for line in lines if line["event"] == "map"}
    assert last == {window.label: window.status for window in open_store(tmp_path / "store").state()}
    assert (lines[0]["event"], lines[-1]["event"], lines[-1]["stage"]) == ("started", "done", "end")
    assert run_command([*words, "--random-state", "7"]) == 2
    failed = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")][-1]
    assert (failed["event"], failed["level"], failed["stage"]) == ("failed", "error", "start")


def test_log_lines_of_an_ingest_name_run_stage_and_window(tmp_path, capfd):
    make_store(tmp_path / "days", tmp_path / "store")
    write_days(tmp_path / "days", range(6, 8))
    capfd.readouterr()
    assert run_command(["ingest", str(tmp_path / "store"), "--scheduler", "serial", "--log-json"]) == 0
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert all({"run", "stage"} <= set(line) for line in lines)
    assert len({line["run"] for line in lines}) == 1
    (window,) = (line for line in lines if line["event"] == "window")
    assert (window["window"], window["stage"]) == ("2024-01-06", "graphs")
