"""Sources by URL: `file://`, a web server, and Google's object storage, emulated; what is read is what is on disk."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import numpy as np
import pyarrow as pa
import pytest
from tests.pipeline.small_sources import write_format

from driftmap.pipeline import open_store, run
from driftmap.pipeline.errors import SourceError, StoreError
from driftmap.pipeline.sources import as_source, open_source
from driftmap.pipeline.sources.locations import SourcePlace
from driftmap.pipeline.store.disk.location import Location

N_ROWS, N_YEARS = 30, 3
SETTINGS = {"by": "year", "id": "id", "n_neighbors": 5, "n_epochs": 8, "scheduler": "serial"}


class Objects(BaseHTTPRequestHandler):
    """Objects by path, in memory: read with ranges; written, listed and deleted as Google's storage has it (XML)."""

    objects: dict[str, bytes]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a body waits 40 ms until its head is acknowledged

    def do_GET(self):
        url = urlsplit(self.path)
        query = parse_qs(url.query, keep_blank_values=True)
        if "list-type" in query:
            self.list_objects(unquote(url.path).strip("/"), query.get("prefix", [""])[0], query.get("delimiter"))
            return
        content = self.objects.get(unquote(url.path))
        if content is None:
            self.answer(404, b"none")
            return
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if found is None:
            self.answer(200, content)
            return
        start, stop = int(found[1]), min(int(found[2]) + 1, len(content))
        self.answer(206, content[start:stop], {"Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"})

    def do_HEAD(self):
        self.do_GET()

    def do_PUT(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        path = unquote(urlsplit(self.path).path)
        if self.headers.get("x-goog-if-generation-match") == "0" and path in self.objects:
            self.answer(412, b"")
            return
        self.objects[path] = content
        self.answer(200, b"")

    def do_DELETE(self):
        self.answer(204 if self.objects.pop(unquote(urlsplit(self.path).path), None) is not None else 404, b"")

    def list_objects(self, bucket, prefix, delimiter):
        names = sorted(path.removeprefix(f"/{bucket}/") for path in self.objects if path.startswith(f"/{bucket}/"))
        names = [name for name in names if name.startswith(prefix)]
        folders = []
        if delimiter:
            deeper = [name for name in names if "/" in name[len(prefix) :]]
            folders = sorted({prefix + name[len(prefix) :].partition("/")[0] + "/" for name in deeper})
            names = [name for name in names if name not in deeper]
        files = [
            f"<Contents><Key>{escape(name)}</Key><Size>{len(self.objects[f'/{bucket}/{name}'])}</Size>"
            f"<LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>{self.tag(f'/{bucket}/{name}')}</ETag></Contents>"
            for name in names
        ]
        folders = [f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in folders]
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(files + folders)}</ListBucketResult>"
        self.answer(200, text.encode())

    def tag(self, path):
        return f"tag-{hash(self.objects.get(path))}"

    def answer(self, code, content, headers=None):
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        self.send_header("ETag", self.tag(unquote(urlsplit(self.path).path)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    handler = type("Handler", (Objects,), {"objects": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield handler.objects, f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()


@pytest.fixture
def google(server, tmp_path, monkeypatch):
    """Google's storage as obstore finds it: by a service account, whose file names the server."""
    account = {"gcs_base_url": server[1], "disable_oauth": True, "client_email": "", "private_key": ""}
    (tmp_path / "account.json").write_text(json.dumps({**account, "private_key_id": ""}))
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(tmp_path / "account.json"))
    return server[0]


def make_table():
    rng = np.random.default_rng(0)
    columns = {f"e{axis}": rng.integers(-99, 99, N_ROWS * N_YEARS) / 8 for axis in range(4)}
    years = np.repeat(2000 + np.arange(N_YEARS), N_ROWS)
    return pa.table({"year": years, "id": np.tile(np.arange(N_ROWS), N_YEARS), **columns})


def list_maps(store):
    return [(store.labels[window], store.positions(window).tobytes()) for window in range(store.n_windows)]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl.gz", "arrow", "arrows"])
def test_a_web_server_and_file_urls(tmp_path, server, ending):
    objects, url = server
    path = write_format(tmp_path / f"my rows.{ending}", make_table())
    objects[f"/data/my rows.{ending}"] = path.read_bytes()
    expected = list_maps(run(path, tmp_path / "maps", **SETTINGS))
    far = run(f"{url}/data/my rows.{ending}", tmp_path / "far", **SETTINGS)
    assert list_maps(far) == expected
    near = run(path.as_uri(), tmp_path / "near", **SETTINGS)
    assert list_maps(near) == expected
    assert near.config["source"]["path"] == str(path)
    source = as_source(f"{url}/data/my rows.{ending}", id="id", by="year")
    objects[f"/data/my rows.{ending}"] = path.read_bytes() + b"\n"
    assert SourcePlace(source.spec.path).stamp_all()[0].size == path.stat().st_size + 1


def test_vectors_beside_a_table_on_a_web_server(tmp_path, server):
    objects, url = server
    table, matrix = make_table(), np.random.default_rng(0).normal(size=(N_ROWS * N_YEARS, 3))
    objects["/t.csv"] = write_format(tmp_path / "t.csv", table.select(["year", "id"])).read_bytes()
    np.save(tmp_path / "e.npy", matrix)
    objects["/e.npy"] = (tmp_path / "e.npy").read_bytes()
    source = open_source(as_source(f"{url}/t.csv", id="id", vectors_file=f"{url}/e.npy").spec)
    read = source.read_rows(np.array([[1, 3], [80, 81]]))
    np.testing.assert_array_equal(read.vectors, matrix[[1, 2, 80]].astype(np.float32))


def test_sources_and_stores_in_googles_storage(tmp_path, google):
    table = make_table()
    expected = list_maps(run(table, tmp_path / "maps", **SETTINGS))
    for year in range(N_YEARS):
        part = write_format(tmp_path / f"{year}.csv", table.slice(year * N_ROWS, N_ROWS))
        google[f"/bucket/team/rows/{year}.csv"] = part.read_bytes()
    for _ in range(2):
        store = run("gs://bucket/team/rows", "gs://bucket/team/maps", **SETTINGS)
        assert list_maps(store) == expected
    assert list_maps(open_store("gs://bucket/team/maps")) == expected
    place = Location("gs://bucket/new")
    assert place.create("a", b"1")
    assert not place.create("a", b"2")
    assert place.read("a") == b"1"


def test_what_is_no_url_is_named(tmp_path, server):
    _, url = server
    with pytest.raises(SourceError, match=r"no such file or folder: http://.*/absent\.csv"):
        as_source(f"{url}/absent.csv")
    with pytest.raises(SourceError, match=r"no place for a source; give https://HOST/FILE, as text"):
        as_source("https://host/file?token=1")
    with pytest.raises(StoreError, match=r"no place for a store; give a folder, or s3://.* \(also gs://, az"):
        Location("https://host/maps")
    assert str(Location("az://container//a/")) == "az://container/a"
    assert Location(f"file://{tmp_path}/a%20b").folder == tmp_path / "a b"
