"""Where things lie that tests and benchmarks use."""

from __future__ import annotations

from pathlib import Path

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Real data sets that are not part of the project; it may be absent."""
