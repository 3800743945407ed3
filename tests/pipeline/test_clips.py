"""Clips that are read whole."""

from pathlib import Path

import pytest

from telefuser_grpc.pipeline.clips import read_clip, read_sound
from tests.fakes.media_files import mp4, wav


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return tmp_path / "film.mp4"


def test_clip_has_its_frames_and_rate(film: Path) -> None:
    film.write_bytes(mp4(frames=5, width=32, height=16))

    clip = read_clip(film, limit=9)

    assert [frame.size for frame in clip.frames] == [(32, 16)] * 5
    assert clip.fps == 8


def test_no_more_frames_are_read_than_the_limit(film: Path) -> None:
    film.write_bytes(mp4(frames=5))

    assert len(read_clip(film, limit=3).frames) == 3


def test_sound_comes_in_two_channels_at_its_own_rate(film: Path) -> None:
    film.write_bytes(mp4(with_sound=True))

    clip = read_clip(film, limit=1)

    assert clip.audio is not None
    samples, rate = clip.audio
    assert (samples.shape[0], rate) == (2, 8000)
    assert samples.shape[1] > 0


def test_silent_clip_has_no_sound(film: Path) -> None:
    film.write_bytes(mp4())

    assert read_clip(film, limit=1).audio is None


def test_sound_is_read_alone_up_to_a_length(tmp_path: Path) -> None:
    file = tmp_path / "sound.wav"
    file.write_bytes(wav(seconds=0.5))

    for seconds, count in ((0.25, 2000), (9.0, 4000)):
        sound = read_sound(file, seconds=seconds)

        assert sound is not None
        assert (sound[0].shape, sound[1]) == ((2, count), 8000)


def test_film_without_sound_has_none_to_read(film: Path) -> None:
    film.write_bytes(mp4())

    assert read_sound(film, seconds=1.0) is None
