import io

import numpy as np
import pytest
from PIL import Image

from steelsight.pictures import encode_exhibit, encode_grey, encode_heat, thumbnail


def opened(data):
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize(
    ("shape", "size"), [((200, 200), (200, 200)), ((512, 1024), (256, 128)), ((16, 100_000), (256, 1))]
)
def test_thumbnails_keep_their_proportions(shape, size):
    picture = thumbnail(np.full(shape, 90, np.uint8), None)
    assert opened(picture.grey).size == size
    assert (picture.height, picture.width) == shape
    assert picture.heat == b""


def test_thumbnail_shows_the_picture():
    grey = np.tile(np.linspace(0, 255, 200).astype(np.uint8), (200, 1))
    shown = np.asarray(opened(encode_grey(grey)), int)
    assert np.abs(shown - grey).mean() < 3


def test_opacity_grows_with_heat():
    heat = np.linspace(0, 1, 30, dtype=np.float32).reshape(1, 30)
    opacity = np.asarray(opened(encode_heat(heat)).convert("RGBA"))[0, :, 3].astype(int)
    assert opacity[0] == 0
    assert opacity[-1] > 150
    assert (np.diff(opacity) >= 0).all()


def test_the_hottest_place_stays_where_it_is():
    heat = np.zeros((100, 100), np.float32)
    heat[70:80, 20:30] = 1
    layer = np.asarray(opened(encode_heat(heat)).convert("RGBA"))[:, :, 3]
    y, x = np.unravel_index(layer.argmax(), layer.shape)
    assert max(layer.shape) == 32
    assert (y / 32, x / 32) == pytest.approx((0.75, 0.25), abs=0.05)


def test_heat_outside_its_range_is_cut():
    layer = np.asarray(opened(encode_heat(np.array([[-1, np.nan, 0, 1, 7]], np.float32))).convert("RGBA"))[0, :, 3]
    assert layer[0] == layer[1] == layer[2] == 0
    assert layer[3] == layer[4] > 0


def test_a_textured_picture_stays_small():
    grey = np.random.default_rng(0).normal(128, 8, (256, 256)).clip(0, 255).astype(np.uint8)
    heat = np.random.default_rng(1).random((25, 25), np.float32)
    picture = thumbnail(grey, heat)
    assert 4 / 3 * (len(picture.grey) + len(picture.heat)) < 16_000  # in base64; pure noise is the worst there is


@pytest.mark.parametrize(
    ("shape", "size"), [((200, 200), (200, 200)), ((200, 408, 3), (408, 200)), ((1000, 2008, 3), (512, 255))]
)
def test_exhibits_keep_their_proportions(shape, size):
    picture = opened(encode_exhibit(np.full(shape, 90, np.uint8)))
    assert picture.size == size
    assert picture.mode == ("L" if len(shape) == 2 else "RGB")


@pytest.mark.parametrize("times", [1, 3, 10])
def test_a_frame_of_one_pixel_stays_red_however_small_it_gets(times):
    pixels = np.random.default_rng(0).normal(128, 20, (200 * times, 408 * times, 1)).clip(0, 255).astype(np.uint8)
    pixels = np.repeat(pixels, 3, axis=2)
    pixels[:, 40 * times] = (255, 40, 40)
    shown = np.asarray(opened(encode_exhibit(pixels)), int)
    column = 40 * shown.shape[1] // 408
    redness = shown[:, :, 0] - shown[:, :, 1]
    assert redness[:, column].mean() > 180
    assert redness[:, [column - 2, column + 2]].mean() < 20  # and thin
