"""Animations: frames drawn by numpy, and the files they are written to."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.pipeline.pictured import make_maps

from driftmap.pipeline.errors import PictureError
from driftmap.pipeline.look import animate
from driftmap.pipeline.look.colours import PALETTE, colour_rows, read_colours
from driftmap.pipeline.look.frames import draw_points, make_stamp, move_points, pair_windows
from driftmap.pipeline.look.movie_files import mix_palette
from driftmap.pipeline.look.sequence import as_sequence
from driftmap.pipeline.look.stage import build_stage


@pytest.fixture
def made():
    return make_maps()


def draw(places, colours, opacity, radius=2.0, size=(40, 60)) -> np.ndarray:
    canvas = np.ones((*size, 3), dtype=np.float32)
    arrays = (np.array(one, dtype=np.float32) for one in (places, colours, opacity))
    draw_points(canvas, *arrays, make_stamp(radius))
    return canvas


def test_a_dot_lies_where_it_should_and_has_its_area():
    darkness = 1 - draw([[20.5, 10.25]], [[0, 0, 0]], [1.0], radius=3.0)[..., 0]
    lines, columns = np.indices(darkness.shape)
    assert (columns * darkness).sum() / darkness.sum() == pytest.approx(20.5, abs=0.15)
    assert (lines * darkness).sum() / darkness.sum() == pytest.approx(10.25, abs=0.15)
    assert darkness.sum() == pytest.approx(np.pi * 9, rel=0.05)
    assert darkness.max() == 1


def test_dots_that_overlap_mix_whatever_their_order():
    places, colours = [[20, 20], [20, 20], [21, 20]], [[1, 0, 0], [0, 0, 1], [0, 0, 1]]
    first = draw(places, colours, [1, 1, 1])
    np.testing.assert_allclose(first, draw(places[::-1], colours[::-1], [1, 1, 1]), atol=1e-6)
    np.testing.assert_allclose(first[20, 18], [0.5, 0, 0.5], atol=0.3)


@given(st.lists(st.tuples(*[st.floats(-1e4, 1e4, width=32)] * 2, st.floats(0, 1, width=32)), max_size=8))
def test_any_dots_leave_a_picture(dots):
    places = np.array([dot[:2] for dot in dots]).reshape(-1, 2)
    canvas = draw(places, np.zeros((len(dots), 3)), [dot[2] for dot in dots])
    assert ((canvas >= -1e-6) & (canvas <= 1)).all()
    near = (places > -4).all(axis=1) & (places < [64, 44]).all(axis=1)
    if not near.any():
        assert (canvas == 1).all()


def test_points_move_and_those_that_leave_or_enter_fade():
    old = (np.array([1, 2, 3]), np.array([[0, 0], [10, 0], [np.nan, 0]], np.float32))
    new = (np.array([4, 1, 3]), np.array([[0, 10], [20, 20], [5, 5]], np.float32))
    colours = (np.zeros((3, 3), np.float32), np.ones((3, 3), np.float32))
    pairing = pair_windows((old[0], new[0]), (old[1], new[1]), colours)
    for part, staying, leaving, entering in ((0, [0, 0], 1, 0), (0.25, None, 0.5, 0), (0.5, [10, 10], 0, 0)):
        places, shades, opacity = move_points(pairing, part)
        if staying is not None:
            np.testing.assert_allclose(places[0], staying, atol=1e-5)
        assert opacity.tolist() == [1, leaving, entering, entering]  # 1 stays, 2 leaves, 4 and 3 enter
        np.testing.assert_allclose(places[1:], [[10, 0], [0, 10], [5, 5]])
        assert shades[0].min() <= part + 1e-6
    places, shades, opacity = move_points(pairing, 1.0)
    np.testing.assert_allclose(places[0], [20, 20], atol=1e-5)
    np.testing.assert_allclose(shades[0], 1)
    assert opacity.tolist() == [1, 0, 1, 1]


def read_frames(path) -> tuple[list[np.ndarray], list[int]]:
    frames, durations = [], []
    with Image.open(path) as movie:
        for number in range(movie.n_frames):
            movie.seek(number)
            movie.load()
            frames.append(np.asarray(movie.convert("RGB")) / 255)
            durations.append(movie.info["duration"])
    return frames, durations


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_every_window_stands_still_and_shows_its_points(made, tmp_path, ending):
    given = {"ids": made.ids, "label": made.kinds, "names": ["a", "b", "c", "d"]}
    path = animate(made.maps, tmp_path / "deep" / f"maps.{ending}", **given, steps=4, fps=20, size=300)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    frames, durations = read_frames(path)
    assert durations == [400, 50, 50, 50] * 3 + [1200]
    sequence = as_sequence(made.maps, made.kinds, made.ids)
    colouring = colour_rows(made.kinds, [60] * 4)
    stage = build_stage(sequence, colouring, 300)
    for window, frame in enumerate(frames[::4]):
        pixels = np.floor(stage.place(made.maps[window]) + 0.5).astype(int)
        shown = frame[stage.panel][pixels[:, 1], pixels[:, 0]]
        # Nearly all: where clusters touch, colours mix.
        off = np.abs(shown - colouring.paint(window)).max(axis=1)
        assert np.quantile(off, 0.7) < (0.12 if ending == "gif" else 0.3)
        assert (shown.min(axis=1) < 0.9).all()
    bars = [frame[stage.panel[0].stop + 12, stage.panel[1]].mean(axis=-1) for frame in frames]
    filled = [(bar < 0.5).mean() for bar in bars]
    assert np.allclose(filled[1:], np.arange(1, 13) / 12, atol=0.02)


def test_the_same_maps_give_the_same_bytes(made, tmp_path):
    paths = [animate(made.maps, tmp_path / f"{copy}.gif", ids=made.ids, steps=2, size=150) for copy in "ab"]
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_video(made, tmp_path):
    path = animate(made.maps, tmp_path / "maps.mp4", ids=made.ids, label=made.kinds, steps=4, size=251)
    shown = ["-count_frames", "-show_entries", "stream=nb_read_frames,width,height", "-of", "csv=p=0"]
    told = subprocess.run(["ffprobe", "-v", "error", *shown, path], capture_output=True, text=True, check=True)
    width, height, n_frames = map(int, told.stdout.strip().split(","))
    assert n_frames == 3 * (8 + 3) + 24
    assert width % 2 == height % 2 == 0


def test_video_without_ffmpeg_says_what_to_do(made, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PictureError, match=r"ffmpeg, which is not on the PATH; install it, or end the name in \.gif"):
        animate(made.maps, tmp_path / "maps.mp4", ids=made.ids, size=150)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("said", ["Unknown encoder", "No space left on device"])
def test_an_ffmpeg_that_fails_is_quoted(made, tmp_path, monkeypatch, said):
    # Before version 6 it ended well on a full disk, unless it was asked to mind its errors.
    minds = "True" if said == "Unknown encoder" else "'-xerror' in sys.argv"
    code = f"import sys; sys.stdin.buffer.read(); sys.exit({said!r} if {minds} else 0)"
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{code}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    with pytest.raises(PictureError, match=rf"ffmpeg could not write \.mp4 \({said}\)"):
        animate(made.maps, tmp_path / "maps.mp4", ids=made.ids, size=150)
    assert not list(tmp_path.glob("*.mp4"))


def test_an_interrupted_animation_leaves_what_was_there(made, tmp_path, monkeypatch):
    path = tmp_path / "maps.gif"
    path.write_bytes(b"old")

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("driftmap.pipeline.look.animation.draw_points", stop)
    with pytest.raises(KeyboardInterrupt):
        animate(made.maps, path, ids=made.ids, size=150)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["maps.gif"]


@pytest.mark.parametrize("n_windows", [1, 200])
def test_one_window_and_two_hundred(n_windows, tmp_path):
    made = make_maps(n_windows, n_rows=6)
    frames, _ = read_frames(animate(made.maps, tmp_path / "maps.gif", ids=made.ids, size=100))
    assert len(frames) == (1 if n_windows == 1 else 199 * 3 + 1)


@pytest.mark.parametrize("n_components", [1, 3])
def test_one_axis_and_three_with_odd_names_and_rows_without_a_place(n_components, tmp_path):
    made = make_maps(n_components=n_components, n_kinds=30)
    made.maps[1][:5] = np.nan
    made.maps[2][:] = np.nan
    names = ["x" * 300, "שלום", "😀🧑‍🚀", "$x^2$"]
    given = {"label": made.kinds, "ids": made.ids, "names": names}
    assert animate(made.maps, tmp_path / "maps.gif", **given, steps=2, size=150).stat().st_size > 1000


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ids": None}, "give ids, one array per window"),
        ({"path": "maps.avi"}, r"end its name in \.gif, \.webp, \.mp4"),
        ({"steps": 0}, "steps must be a whole number from 1"),
        ({"fps": 1.5}, "fps must be a whole number"),
        ({"size": 10**6}, "size must be a whole number from 100 to 4000"),
    ],
)
def test_what_cannot_be_drawn_is_refused(made, given, message):
    with pytest.raises(PictureError, match=message):
        animate(**{"maps": made.maps, "path": "maps.gif", "ids": made.ids, **given})


@pytest.mark.parametrize("n_colours", [1, 2, 11, 24, 200])
def test_a_gifs_palette_has_every_colour_and_white(n_colours):
    colours = np.random.default_rng(0).random((n_colours, 3)).astype(np.float32)
    palette = mix_palette(colours)
    assert palette.shape == (256, 3)
    assert (palette.max(axis=1) == 1).any()
    nearest = np.abs(palette[:, None] - colours[None]).max(axis=-1).min(axis=0)
    assert nearest[: 24 if n_colours <= 24 else 1].max() < 1e-5


def test_frames_are_quick():
    rng = np.random.default_rng(0)
    places = (320 + 90 * rng.normal(size=(20_000, 2))).astype(np.float32)
    colours = read_colours(PALETTE)[rng.integers(0, len(PALETTE), 20_000)]
    canvas = np.ones((640, 640, 3), dtype=np.float32)
    seconds = []
    for _ in range(5):
        started = time.process_time()
        draw_points(canvas, places, colours, np.ones(20_000, np.float32), make_stamp(1.0))
        seconds.append(time.process_time() - started)
    assert min(seconds) < 0.25
