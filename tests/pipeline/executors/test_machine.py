"""Sizes as people write them, and what the machine has."""

from __future__ import annotations

import os
import platform

import psutil
import pytest

from driftmap.pipeline.errors import ConfigError
from driftmap.pipeline.executors import machine


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("2GB", 2 * 10**9),
        ("512MiB", 2**29),
        (1_000, 1_000),
        ("1.5 g", 1_500_000_000),
        ("10kB", 10_000),
        ("3 TiB", 3 * 2**40),
    ],
)
def test_sizes_are_read(text, n_bytes):
    assert machine.read_size(text, "memory") == n_bytes


@pytest.mark.parametrize("text", ["much", "", "-1GB", 0, "2 GBs", "1e9", "5i"])
def test_what_is_no_size_is_named(text):
    with pytest.raises(ConfigError, match=r"memory is .*'2GB'"):
        machine.read_size(text, "memory")


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (12, "12 B"),
        (1_000, "1.00 kB"),
        (999_900, "1.00 MB"),
        (123_456_789, "123 MB"),
        (1_250_000_000, "1.25 GB"),
        (5e12, "5.00 TB"),
    ],
)
def test_sizes_are_written(n_bytes, text):
    assert machine.format_size(n_bytes) == text


def test_a_container_has_what_it_was_given(monkeypatch, tmp_path):
    whole = machine.count_memory_bytes(), machine.count_cores()
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine.count_memory_bytes() >= whole[0]
    assert machine.count_cores() >= whole[1]
    (tmp_path / "memory.max").write_text(f"{2**28}\n")
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert machine.count_memory_bytes() == 2**28
    assert machine.count_cores() == 1


def test_the_machine_is_known():
    assert 2**28 < machine.count_memory_bytes() < 2**50
    assert 1 <= machine.count_cores() <= (os.cpu_count() or 1)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the GNU library's allocator is asked")
def test_memory_that_is_free_in_pieces_is_given_back():
    pieces = [bytearray(50_000) for _ in range(2_000)]
    held = pieces[-1]  # above all others, which the library therefore keeps
    del pieces
    before = psutil.Process().memory_info().rss
    machine.release_memory()
    assert before - psutil.Process().memory_info().rss > 50e6
    assert len(held) == 50_000
