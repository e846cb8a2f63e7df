"""The command that predicts: pictures of every kind, arrays, folders, a data set; and what it does with bad ones."""

import csv
import io
import json
import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from fastmlp import load_model, predict, save_model
from fastmlp.data import load_dataset
from fastmlp.errors import DataError
from fastmlp.models import pictures as images
from fastmlp.models import predictor
from fastmlp.models.pictures import read_picture
from models import small_model


@pytest.fixture
def model(tmp_path):
    save_model(tmp_path / "m.npz", small_model(layers=(3072, 4, 3)))
    return tmp_path / "m.npz"


def test_a_picture_of_the_right_size_is_taken_as_it_is(tmp_path, rng):
    pixels = rng.integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png").reshape(3, 32, 32), pixels.transpose(2, 0, 1))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_picture_is_read(tmp_path, mode):
    picture = (
        Image.new("I;16", (70, 40), 255 << 8) if mode == "I;16" else Image.new("RGB", (70, 40), "white").convert(mode)
    )
    picture.save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif"), 255)


def test_transparency_is_white_and_exif_turns(tmp_path):
    Image.new("RGBA", (32, 32), (255, 0, 0, 0)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), 255)
    picture = Image.new("RGB", (32, 32))
    picture.paste((255, 255, 255), (0, 0, 32, 16))  # the upper half
    exif = picture.getexif()
    exif[0x0112] = 6  # the camera was turned: the left half of the scene is stored on top
    picture.save(tmp_path / "b.png", exif=exif)
    right = read_picture(tmp_path / "b.png").reshape(3, 32, 32)[0][:, 16:]
    np.testing.assert_array_equal(right, 255)


def answers(capsys, *arguments):
    """Run the command for CSV; return its status, its rows and what it said."""
    status = predict.main([*map(str, arguments), "--format", "csv"])
    told = capsys.readouterr()
    return status, list(csv.DictReader(io.StringIO(told.out))), " ".join(told.err.split())


def test_pictures_arrays_and_folders_in_their_order(tmp_path, model, capsys, rng):
    inside = tmp_path / "in" / "deep"
    inside.mkdir(parents=True)
    pixels = rng.integers(0, 256, (5, 32, 32, 3), np.uint8)
    np.save(inside / "all.npy", pixels)
    for i, one in enumerate(pixels):
        Image.fromarray(one).save(inside / f"{i}.png")
    status, rows, _ = answers(capsys, model, tmp_path / "in", inside / "3.png")
    assert status == 0
    assert [row["source"].rsplit("/", 1)[-1] for row in rows] == [
        *(f"{i}.png" for i in range(5)), *["all.npy"] * 5, "3.png",
    ]  # fmt: skip
    told = [(row["class_1"], float(row["probability_1"]), row["class_2"], row["class_3"]) for row in rows]
    assert told[:5] == told[5:10]  # a picture and the same in an array
    loaded = load_model(model)
    expected = loaded.predict_proba(pixels.transpose(0, 3, 1, 2).reshape(5, -1))
    assert [t[0] for t in told[:5]] == [loaded.class_names[k] for k in expected.argmax(1)]
    np.testing.assert_allclose([t[1] for t in told[:5]], expected.max(1), rtol=1e-5)  # six digits are printed


def test_what_cannot_be_read_is_told_and_left_out(tmp_path, model, capsys):
    Image.new("RGB", (9, 9)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    np.save(tmp_path / "objects.npy", np.array([None]), allow_pickle=True)
    np.save(tmp_path / "wide.npy", np.zeros((2, 9), np.uint8))
    files = [tmp_path / name for name in ("bad.png", "good.png", "objects.npy", "wide.npy")]
    status, rows, told = answers(capsys, model, *files)
    assert status == 1
    assert [row["source"] for row in rows] == [str(tmp_path / "good.png")]
    assert "bad.png: it cannot be read as a picture" in told
    assert "objects.npy: it is no .npy file that can be read" in told
    assert "wide.npy: it holds uint8 of shape (2, 9)" in told


def test_json_and_table(tmp_path, model, capsys):
    Image.new("RGB", (9, 9), "red").save(tmp_path / "a.png")
    assert predict.main([str(model), str(tmp_path / "a.png"), "--format", "json", "--top", "2"]) == 0
    [one] = json.loads(capsys.readouterr().out)
    assert len(one["top"]) == 2
    assert one["top"][0]["probability"] >= one["top"][1]["probability"]
    assert predict.main([str(model), str(tmp_path / "a.png")]) == 0
    assert capsys.readouterr().out.startswith("| image | 1 | 2 | 3 |\n")


def test_a_data_sets_test_images_by_class(tmp_path, capsys):
    dataset = load_dataset("embedded")
    names = dataset.label_names["coarse"]
    made = small_model(layers=(3072, 4, len(names)))
    save_model(tmp_path / "m.npz", replace(made, class_names=names))
    assert predict.main([str(tmp_path / "m.npz"), "--dataset", "embedded"]) == 0
    expected = made.predict_proba(dataset.test_images).argmax(1) == dataset.test_labels["coarse"]
    assert f"| all | {len(expected)} | {100 * expected.mean():.2f} |" in capsys.readouterr().out


def test_answers_go_where_they_are_sent_though_a_bar_is_drawn(tmp_path, model, capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    np.save(tmp_path / "a.npy", np.zeros((2, 32, 32, 3), np.uint8))
    args = predict.main.parser("predict").parse_args([str(model), str(tmp_path / "a.npy"), "--format", "json"])
    assert predictor.predict(args, load_model(model), Console(stderr=True, force_terminal=True)) == 0
    told = capsys.readouterr()
    assert len(json.loads(told.out)) == 2
    assert "files" in told.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Give images or --dataset"),
        (["--dataset", "embedded"], "are not those of embedded"),
        (["none.png"], "is not there"),
        (["a.png", "--data-dir", "."], "--data-dir is where --dataset lies"),
    ],
)
def test_what_cannot_be_done_is_told(model, monkeypatch, capsys, arguments, told):
    monkeypatch.chdir(model.parent)
    assert predict.main(["m.npz", *arguments]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_a_model_of_numbers_is_refused(tmp_path, capsys):
    save_model(tmp_path / "m.npz", small_model(loss="poisson"))
    assert predict.main([str(tmp_path / "m.npz"), "--dataset", "embedded"]) == 2
    assert "a network with loss poisson, and this command tells classes" in " ".join(capsys.readouterr().err.split())


def test_one_bad_file_ends_no_others(tmp_path, capsys):
    save_model(tmp_path / "m.npz", small_model("none", "float32", layers=(4, 3, 3)))
    rows = {"good": np.ones((2, 4)), "nan": np.array([[1, 2, np.nan, 4]]), "large": np.full((1, 4), 1e300)}
    for name, one in rows.items():
        np.save(tmp_path / f"{name}.npy", one)
    (tmp_path / "zip.npy").write_bytes(b"PK\3\4" + bytes(99))
    status, answered, told = answers(capsys, tmp_path / "m.npz", *(tmp_path / f"{n}.npy" for n in (*rows, "zip")))
    assert status == 1
    assert [row["source"] for row in answered] == [str(tmp_path / "good.npy")] * 2
    assert "nan.npy: inputs hold NaN or infinity" in told
    assert "large.npy: inputs hold numbers that float32 cannot hold" in told
    assert "zip.npy: it is no .npy file that can be read" in told


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs")
def test_a_fifo_is_not_waited_for(tmp_path, model, capsys):
    os.mkfifo(tmp_path / "a.png")
    os.mkfifo(tmp_path / "b.npy")
    status, rows, told = answers(capsys, model, tmp_path / "a.png", tmp_path / "b.npy")
    assert (status, rows) == (1, [])
    assert told.count("it is a FIFO, not a file") == 2


def test_pictures_that_are_too_large_are_told_the_limit(tmp_path, model, capsys, monkeypatch):
    monkeypatch.setattr(images, "MOST_PIXELS", 100_000)
    for name, size in (("large.png", (400, 300)), ("good.png", (300, 300)), ("large.jpg", (1000, 1000))):
        Image.new("RGB", size).save(tmp_path / name)
    status, rows, told = answers(capsys, model, *sorted(tmp_path.glob("*.*g")))
    assert (status, [row["source"][-8:] for row in rows]) == (1, ["good.png", "arge.jpg"])  # JPEG at a fraction
    assert "large.png: it has 120,000 pixels, and 100,000 are allowed" in told


def test_kinds_of_pictures_that_start_other_programs_are_refused(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    with pytest.raises(DataError, match="allowed are PNG, JPEG, GIF, BMP, WEBP, TIFF"):
        read_picture(tmp_path / "a.png")
