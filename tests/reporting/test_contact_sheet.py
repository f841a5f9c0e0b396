"""What a sheet shows is read off the artists of its figure."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import AxesImage

from pipelines.errors import MtpkdError
from pipelines.reporting.contact_sheet import draw_sheet, save_sheet
from pipelines.reporting.sheet_content import (
    AnnotationPanel,
    FacesPanel,
    FeaturesPanel,
    MissingPanel,
    Sheet,
    SoundPanel,
    WavePanel,
)
from pipelines.reporting.sheet_panels import MOST_FEATURES, NO_DATA, listed, runs

HATCH = NO_DATA["hatch"]


def faces():
    """Ten frames a second for two seconds, the frames 5 to 9 without a face; every third is shown."""
    valid = ~np.isin(np.arange(20), range(5, 10))
    shown = np.arange(1, 20, 3)
    crops = {int(frame): np.full((8, 8, 3), 100 + frame, np.uint8) for frame in shown if valid[frame]}
    return FacesPanel(name="faces", times=np.arange(20) / 10, valid=valid, shown=shown, crops=crops)


def wave(values, valid=None, **more):
    valid = np.ones(len(values), bool) if valid is None else valid
    return WavePanel(name="eda", unit="µS", times=np.arange(len(values)) / 10, values=values, valid=valid, **more)


def drawn(*panels, start_s=0.0, stop_s=2.0, facts=("group g · calm",)):
    sheet = Sheet(title="clip_1", facts=facts, start_s=start_s, stop_s=stop_s, panels=panels)
    return draw_sheet(sheet)


def axes_of(figure, label):
    return [axes for axes in figure.axes if axes.get_label() == label]


def hatched(axes):
    """(from, to) of every hatched span."""
    boxes = [patch.get_bbox() for patch in axes.patches if patch.get_hatch() == HATCH]
    return [(round(box.x0, 6), round(box.x1, 6)) for box in boxes]


def texts(figure):
    return [text.get_text() for text in figure.texts]


def test_a_frame_without_a_face_is_a_hatched_tile_and_no_picture():
    panel = faces()
    tiles = axes_of(drawn(panel), "faces tile")
    assert len(tiles) == len(panel.shown)
    for tile, frame in zip(tiles, panel.shown, strict=True):
        assert tile.get_xlabel() == f"{frame / 10:.2f} s"
        pictures = [artist for artist in tile.get_children() if isinstance(artist, AxesImage)]
        if frame in panel.crops:
            assert np.array_equal(pictures[0].get_array(), panel.crops[int(frame)])
            assert tile.patch.get_hatch() is None
        else:
            assert not pictures
            assert tile.patch.get_hatch() == HATCH
            assert [text.get_text() for text in tile.texts] == ["no face"]


def test_the_mask_of_all_frames_stands_on_the_axis_of_the_waves():
    figure = drawn(faces(), wave(np.arange(20.0)))
    (mask,), (signal,) = axes_of(figure, "faces mask"), axes_of(figure, "eda")
    assert hatched(mask) == [(0.5, 1.0)]
    assert mask.get_xlim() == signal.get_xlim() == (0.0, 2.0)
    assert mask.get_position().x0 == signal.get_position().x0
    assert mask.get_position().x1 == signal.get_position().x1
    assert "a face in 15 of 20 frames, 7 shown (▾)" in texts(figure)


def test_where_the_video_ends_is_a_line():
    """Beyond it lies no frame: that is another thing than frames without a face."""
    (shorter,) = axes_of(drawn(faces(), stop_s=5.0), "faces mask")
    (whole,) = axes_of(drawn(faces()), "faces mask")
    assert shorter.lines[0].get_xdata() == pytest.approx([2.0, 2.0])
    assert len(whole.lines) == len(shorter.lines) - 1
    assert hatched(shorter) == [(0.5, 1.0), (2.0, 5.0)]


def test_filler_of_a_wave_is_hatched_and_not_drawn():
    valid = np.arange(20) < 12
    figure = drawn(wave(np.where(valid, 1.0, 9.0), valid, features={"range": 0.5, "rmssd": float("nan")}))
    (axes,) = axes_of(figure, "eda")
    assert hatched(axes) == [(1.2, 2.0)]
    assert np.nanmax(axes.lines[0].get_ydata()) == 1.0
    assert axes.get_ylabel() == "µS"
    assert "range 0.5    rmssd no number" in texts(figure)


def test_what_lies_beyond_a_recording_is_hatched():
    (axes,) = axes_of(drawn(wave(np.arange(10.0)), start_s=-1.0), "eda")
    assert hatched(axes) == [(-1.0, 0.0), (1.0, 2.0)]


def test_a_long_wave_keeps_its_spikes():
    values, valid = np.zeros(500_001), np.ones(500_001, bool)
    values[[123_456, 500_000]] = 7.0, -5.0
    valid[200_000:300_000] = False
    (axes,) = axes_of(drawn(wave(values, valid), stop_s=50_000.1), "eda")
    y = axes.lines[0].get_ydata()
    assert len(y) < 5000
    assert (np.nanmax(y), np.nanmin(y)) == (7.0, -5.0)
    assert np.isnan(y).mean() == pytest.approx(0.2, abs=0.01)


def test_sound_has_its_gaps_hatched_and_hertz_beside_it():
    panel = SoundPanel(
        name="audio", decibels=np.zeros((100, 4)), start_s=0.0, stop_s=1.0, gaps=np.array([[0.2, 0.4]]),
        frequencies=np.array([100.0, 200.0, 400.0, 800.0]),
    )  # fmt: skip
    (axes,) = axes_of(drawn(panel), "audio")
    assert hatched(axes) == [(0.2, 0.4)]
    assert axes.patch.get_hatch() == HATCH, "beyond the track there is no picture"
    assert axes.images[0].get_extent()[:2] == [0.0, 1.0]
    assert {label.get_text() for label in axes.get_yticklabels()} >= {"100", "800"}


def test_frames_that_nobody_annotated_are_hatched():
    valence = np.linspace(-1, 1, 20)
    valence[3:6] = np.nan
    panel = AnnotationPanel(
        name="annotations", times=np.arange(20) / 10, values={"valence": valence, "arousal": -valence}
    )
    (axes,) = axes_of(drawn(panel), "annotations")
    assert hatched(axes) == [(0.3, 0.6)]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["valence", "arousal"]


def test_a_missing_modality_keeps_its_place_with_the_reason():
    figure = drawn(faces(), MissingPanel(name="ecg", reason="flat line at 3.0"), wave(np.arange(20.0)))
    (axes,) = axes_of(figure, "ecg")
    assert [text.get_text() for text in axes.texts] == ["missing: flat line at 3.0"]
    assert axes.patch.get_hatch() == HATCH
    assert not axes.lines


def features(number, **changes):
    given = {
        "names": tuple(f"f{i}" for i in range(number)),
        "values": np.arange(number, dtype=float),
        "deviations": np.zeros(number),
    }
    return FeaturesPanel(name="table", **(given | changes))


def test_the_most_unusual_feature_comes_first_and_those_without_a_number_last():
    panel = features(4, values=np.array([np.nan, 1, 2, 3]), deviations=np.array([np.nan, 0.5, -4, np.nan]))
    assert listed(panel).tolist() == [2, 1, 3, 0]
    figure = drawn(panel)
    (axes,) = axes_of(figure, "table")
    assert [text.get_text() for text in axes.texts] == ["f2", "2", "f1", "1", "f3", "3", "f0", "no number"]
    (strip,) = axes_of(figure, "table strip")
    assert (strip.images[0].get_array()[0, :, 3] == 0).tolist() == [True, False, False, False]
    assert strip.patch.get_hatch() == HATCH


def test_of_a_large_table_the_most_unusual_are_named():
    panel = features(500, deviations=np.arange(500.0))
    assert listed(panel)[:2].tolist() == [499, 498]
    assert len(listed(panel)) == MOST_FEATURES
    assert any(f"{MOST_FEATURES} most unusual are listed" in text for text in texts(drawn(panel)))


def test_without_other_clips_nothing_is_called_unusual():
    (said,) = [t for t in texts(drawn(features(3, deviations=np.full(3, np.nan)))) if "features" in t]
    assert said == "3 features, 0 without a number, the group has too few other clips to compare with"


def test_only_the_last_panel_with_a_time_bears_its_labels():
    figure = drawn(faces(), wave(np.arange(20.0)), features(3))
    assert [axes.get_label() for axes in figure.axes if axes.get_xlabel() == "time (s)"] == ["eda"]


def test_nothing_overlaps():
    """Axes, their tick labels and every text, but for what is meant to lie within axes."""
    panels = faces(), wave(np.arange(20.0)), MissingPanel(name="ecg", reason="x" * 400), features(60)
    figure = drawn(*panels, facts=("label " * 60, "usable: eda 100.0 %"))
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes] + [
        t.get_window_extent(renderer) for t in figure.texts
    ]
    for number, one in enumerate(boxes):
        assert one.x0 >= 0
        assert one.y0 >= 0
        assert one.x1 <= figure.bbox.x1
        assert one.y1 <= figure.bbox.y1
        for other in boxes[number + 1 :]:
            assert not (
                one.x0 < other.x1 - 1 and other.x0 < one.x1 - 1 and one.y0 < other.y1 - 1 and other.y0 < one.y1 - 1
            )


def test_dollars_in_a_name_are_no_formula(tmp_path):
    panels = MissingPanel(name="$e", reason="$\\frac$"), features(1, names=("a$b$",))
    save_sheet(Sheet(title="$x_1$ \\", facts=("$\\a$",), start_s=0.0, stop_s=1.0, panels=panels), tmp_path / "a.png")


def test_the_same_clip_makes_the_same_bytes(tmp_path):
    sheet = Sheet(title="c", facts=(), start_s=0.0, stop_s=2.0, panels=(faces(), wave(np.arange(20.0))))
    save_sheet(sheet, tmp_path / "a.png")
    save_sheet(sheet, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert b"matplotlib" not in (tmp_path / "a.png").read_bytes().lower()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    sheet = Sheet(title="c", facts=(), start_s=0.0, stop_s=2.0, panels=())
    with pytest.raises(MtpkdError, match=r"file/a\.png: cannot be written"):
        save_sheet(sheet, tmp_path / "file" / "a.png")


def test_runs_last_until_the_next_sample():
    times = np.array([0.0, 0.1, 0.2, 0.5])
    assert runs(times, np.array([True, False, True, True])) == pytest.approx(np.array([[0, 0.1], [0.2, 0.6]]))
    assert runs(np.zeros(0), np.zeros(0, bool)).shape == (0, 2)
