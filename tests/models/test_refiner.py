"""Training of the refiner: samples, what they become, learning, going on, the file."""

import dataclasses
import json
import pickle
import signal
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from stream.compositing.learned import SHAPES, SMALL, Learned
from stream.errors import ModelError, StreamError, UsageError
from stream.instances import Instances
from stream_models.training.reading import read
from stream_models.training.refiner.augment import (
    Change,
    changed,
    cut,
    shown,
    unsure,
    worsened,
)
from stream_models.training.refiner.command import train_refiner_command
from stream_models.training.refiner.samples import Samples, collect, pasted

pytestmark = pytest.mark.timeout(1200)


def people(folder, count=24):
    """Pictures of bright bodies before noise, as a COCO set."""
    rng = np.random.default_rng(1)
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for number in range(1, count + 1):
        picture = rng.integers(0, 90, (200, 160, 3)).astype(np.uint8)
        x, radius = int(rng.integers(60, 100)), int(rng.integers(30, 45))
        angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        ring = np.stack([x + radius * np.cos(angles), 100 + 1.6 * radius * np.sin(angles)], 1)
        cv2.fillPoly(picture, [np.round(ring - 0.5).astype(np.int32)], (200, 170, 140))
        low, high = ring.min(axis=0), ring.max(axis=0)
        cv2.imwrite(str(folder / "images" / f"{number}.png"), picture)
        name = f"{number}.png"
        images.append(
            {"id": number, "file_name": name, "width": 160, "height": 200, "source": "data"}
        )
        annotations.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "bbox": [*low.tolist(), *(high - low).tolist()],
                "area": float(np.prod(high - low)),
                "iscrowd": 0,
                "segmentation": [ring.ravel().tolist()],
            }
        )
    content = {"images": images, "annotations": annotations}
    content["categories"] = [{"id": 1, "name": "person"}]
    (folder / "instances.json").write_text(json.dumps(content))
    return folder


class Model:
    """Finds bright bodies, and draws their masks a little beside them and too small."""

    names = ("person",)

    def __init__(self):
        self.threshold = 0.5

    def __call__(self, rgb):
        # Also where a camera's faults have made all of it dark.
        level = cv2.blur(rgb, (9, 9)).min(axis=2)
        bright = (level > 0.55 * level.max()).astype(np.uint8)
        x, y, width, height = cv2.boundingRect(bright)
        box = np.float32([[x, y, x + width, y + height]])
        part = cv2.erode(bright, np.ones((9, 9)))[y : y + height, x : x + width]
        mask = cv2.resize(part.astype(np.float32), (56, 56), interpolation=cv2.INTER_AREA)
        return Instances(
            boxes=box,
            scores=np.ones(1, np.float32),
            labels=np.zeros(1, np.int64),
            masks=np.roll(mask, 3, axis=1)[None],
            class_names=("person",),
            picture_size=rgb.shape[:2],
            mask_threshold=0.4,
        )


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("refiner")
    data = read(people(folder / "data"))
    told = []
    count = collect(data, Model(), folder, ("person",), 0, lambda done, of: told.append((done, of)))
    assert told[-1] == (24, 24)
    found = Samples(folder)
    assert len(found) == count > 16
    return found


def test_samples_are_the_pictures_and_the_models_masks(samples):
    for index in range(len(samples)):
        sample = samples[index]
        # Bodies are bright, and where they are is said to a pixel.
        bright = sample.rgb.min(axis=2) > 115
        assert np.count_nonzero(bright != (sample.true > 0)) < 0.01 * bright.size
        for found in sample.found:
            inside = pasted(found, sample.true.shape) > 127
            shared = np.count_nonzero(inside & (sample.true > 0))
            assert 0.4 < shared / np.count_nonzero(inside | (sample.true > 0)) < 0.98


def test_a_set_without_sure_masks_is_refused(tmp_path):
    data = read(people(tmp_path / "data", 2))
    with pytest.raises(UsageError, match="no object of the class dog"):
        collect(data, Model(), tmp_path, ("dog",), 0, lambda done, of: None)


def test_changed_samples_still_show_where_the_object_is(samples):
    rng = np.random.default_rng(0)
    change = Change(colour=0.0, camera=0.0, turn=0.5)
    for index in range(len(samples)):
        seen = changed(samples[index], rng, change, SHAPES[1])
        assert seen.image.shape == (*SHAPES[1], 4)
        bright = seen.image[..., :3].min(axis=2) > 115
        assert np.count_nonzero(bright != (seen.true > 127)) < 0.02 * bright.size


def test_worsened_masks_are_wrong_but_of_the_same_object(samples):
    rng = np.random.default_rng(0)
    found = samples[0].found[0]
    others = [worsened(found, rng) for _ in range(40)]
    moved = [np.abs(one.mask.astype(int) - found.mask).mean() for one in others]
    assert np.median(moved) > 2
    assert max(moved) < 100


def test_a_mask_that_is_unsure_of_a_part_keeps_the_rest(samples):
    rng = np.random.default_rng(0)
    lost, won = 0, 0
    for index in range(len(samples)):
        sample = samples[index]
        found = sample.found[0]
        cells = shown(sample, found)
        assert cells.shape == (*found.mask.shape, 3)
        # Bodies are bright: what is seen lies where the mask does.
        assert np.percentile(cells[found.mask > 250], 1) > np.median(cells[found.mask < 5])
        for _ in range(5):
            other = unsure(found, cells, rng).mask
            changed_by = other.astype(int) - found.mask
            lost += changed_by.min() < -100
            won += changed_by.max() > 100
            assert (changed_by == 0).any()
            # Either a part is lost or a part too much is taken in.
            assert changed_by.max() <= 0 or changed_by.min() >= 0
    assert lost > won > 0


def test_another_runs_checkpoint_is_begun_with_and_anything_else_is_refused(tmp_path):
    import torch

    from stream_models.refiner import Refiner
    from stream_models.training.refiner.run import begun

    torch.manual_seed(0)
    other = Refiner()
    file = tmp_path / "checkpoint.pt"
    torch.save({"average": other.state_dict()}, file)
    for mine, known in zip(begun(file).parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, known)
    wrong = tmp_path / "wrong.pt"
    torch.save({"average": {"stem.weight": torch.zeros(3)}}, wrong)
    text = tmp_path / "text.pt"
    text.write_bytes(b"no checkpoint")
    torch.save([1, 2], tmp_path / "list.pt")
    for bad in (wrong, text, tmp_path / "list.pt", tmp_path / "none.pt"):
        with pytest.raises(UsageError, match="is no refiner's checkpoint"):
            begun(bad)


def asked(tmp_path, *more):
    app = typer.Typer()
    app.command()(train_refiner_command)
    words = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), *more]
    return CliRunner().invoke(app, words)


def test_what_can_be_told_at_once_is_told_before_the_data_are_looked_at(tmp_path):
    (tmp_path / "a file").touch()
    for words, told in {
        ("--init", str(tmp_path / "a file")): "is no refiner's checkpoint",
        ("--also", str(tmp_path)): "holds no samples of a run",
        ("--model", "nosuch"): "there is no model 'nosuch'",
        ("--classes", "person,Zebra"): "has no class 'Zebra'; it has person",
        ("--weight", "data"): "write it as SOURCE=FACTOR",
        ("--out", str(tmp_path / "a file")): "a file is a file; give the name of a folder",
    }.items():
        result = asked(tmp_path, *words)
        assert isinstance(result.exception, StreamError), (words, result.exception)
        assert told in str(result.exception), words
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a file"], "nor are there any data"
    people(tmp_path / "data", 2)
    result = asked(tmp_path, "--weight", "other=2", "--steps", "1")
    assert "no picture is of the source other; there is data" in str(result.exception)
    assert "the model looks" not in result.output and not (tmp_path / "out").exists()


def test_an_untrained_refiner_changes_nothing(samples):
    import torch

    from stream_models.refiner import Refiner
    from stream_models.training.refiner.loop import as_input

    torch.manual_seed(0)
    refiner = Refiner().eval()
    seen = cut(samples[0], samples[0].found[0])
    with torch.no_grad():
        logits = refiner(as_input([seen.image]))[0, 0].numpy()
    assert np.array_equal(logits > 0, seen.image[..., 3] > 127)


def test_a_backbone_is_taken_over_but_for_its_padding():
    import torch

    from stream_models.backbone import MobileNetV2
    from stream_models.refiner import Refiner

    torch.manual_seed(0)
    backbone, refiner = MobileNetV2(0), Refiner()
    refiner.adopt(backbone)
    x = torch.randn(1, 3, 64, 64)
    mine, own = refiner.blocks[0], backbone.blocks[0]
    wide = torch.randn(1, 32, 16, 16)
    assert torch.allclose(mine(wide), own(wide), atol=1e-5)
    # Strided filters are padded alike on all sides here: the same numbers, one pixel on.
    moved = backbone.stem(x)[..., :-1, :-1]
    shifted = refiner.stem(torch.roll(x, (1, 1), (2, 3)))[..., 1:, 1:]
    assert torch.allclose(moved[..., 1:, 1:], shifted[..., 1:, 1:], atol=1e-4)


def test_four_pixels_at_a_time_are_the_same_pixels():
    import copy

    import torch

    from stream_models.refiner import Refiner

    torch.manual_seed(0)
    refiner = Refiner().eval()
    torch.nn.init.normal_(refiner.out.weight)
    torch.nn.init.normal_(refiner.out.bias)
    wide = copy.deepcopy(refiner)
    wide.widen()
    x = 2 * torch.rand(1, 4, 64, 96) - 1
    with torch.no_grad():
        assert torch.allclose(wide(x), refiner(x), atol=1e-4)
        assert refiner(x).std() > 1


def test_errors_at_the_edge_and_a_smaller_overlap_cost_more():
    import torch

    from stream_models.training.refiner.loop import loss

    true = torch.zeros(1, 1, 64, 64)
    true[..., 16:48, 16:48] = 1
    right = 8 * true - 4
    edge, far = right.clone(), right.clone()
    edge[..., 48, 16:48] = 4
    far[..., 60, 16:48] = 4
    costs = [float(loss(one, true, 4.0, 1.0)) for one in (right, far, edge)]
    assert costs[0] < costs[1] < costs[2]
    assert float(loss(far, true, 4.0, 0.0)) < costs[1]


def test_ctrl_c_keeps_every_batch_that_the_refiner_learnt(samples, tmp_path):
    import torch

    from stream_models.refiner import Refiner
    from stream_models.training.refiner.loop import LoopConfig, Trainer

    def trainer(times):
        made = Trainer(Refiner(), samples, {}, tmp_path, LoopConfig(batch=1, steps=5), Change())

        def step(batch):
            if made.progress.step == 2:
                for _ in range(times):
                    signal.raise_signal(signal.SIGINT)
            return torch.zeros(())

        made._step = step
        return made

    for times, kept in ((2, 0), (1, 3)):
        with pytest.raises(KeyboardInterrupt):
            trainer(times).run(lambda progress: None, lambda average: {})
        again = trainer(0)
        assert again.progress.step == kept, times
        said = f"the run in {tmp_path} is taken up at batch {kept}"
        assert again.taken_up() == (said if kept else None)


@pytest.mark.parametrize("held", ["noise", "a run of stream train"])
def test_what_is_no_refiner_s_checkpoint_is_not_taken_up(samples, tmp_path, held):
    import torch

    from stream_models.refiner import Refiner
    from stream_models.training.refiner.loop import LoopConfig, Trainer

    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"PK\3\4 cut short")
    if held != "noise":
        torch.save({"weights": {}, "step": 3}, path)
    with pytest.raises(
        ModelError, match=r"checkpoint\.pt is damaged, or no checkpoint of a run of"
    ):
        Trainer(Refiner(), samples, {}, tmp_path, LoopConfig(batch=1, steps=5), Change())


@pytest.mark.slow
def test_it_learns_goes_on_where_it_was_and_becomes_a_file(samples, tmp_path):
    import torch

    from stream_models.refiner import Refiner
    from stream_models.training.refiner.loop import LoopConfig, Trainer, as_input, judged
    from stream_models.training.refiner.ship import save, to_onnx

    torch.manual_seed(0)

    def trainer(steps):
        config = LoopConfig(batch=4, steps=steps, warmup=5, ema_decay=0.9, small=0.0, few=0.5)
        return Trainer(Refiner(), samples, {}, tmp_path, config, Change(wrong=0.0))

    first = trainer(30)
    first.run(lambda progress: None, lambda average: {})
    again = trainer(60)
    assert again.progress.step == 30
    for mine, other in zip(again.average.parameters(), first.average.parameters(), strict=True):
        assert torch.equal(mine, other)
    again.run(lambda progress: None, lambda average: {})
    steps = [json.loads(line)["step"] for line in (tmp_path / "history.jsonl").open()]
    assert steps == [0, 30, 60]
    before, after = judged(again.average, again.judged).popitem()[1]
    assert after.iou > before.iou + 0.02

    file = tmp_path / "refiner.onnx"
    save(to_onnx(again.average, ("person", "dog"), {"refiner.licence": "mine"}), file)
    assert file.stat().st_size < 1_000_000
    refiner = Learned(file)
    assert refiner.classes == {"person", "dog"}
    rng = np.random.default_rng(0)
    for shape in (SHAPES[0], SMALL[1]):
        seen = rng.integers(0, 256, (*shape, 4)).astype(np.uint8)
        with torch.no_grad():
            logits = again.average(as_input([seen]))[0, 0]
        wanted = torch.sigmoid(logits).numpy() * 255
        assert np.abs(refiner(seen) - wanted).max() < 4


def test_classes_are_asked_for_in_any_case_and_named_as_the_model_does(tmp_path, monkeypatch):
    from stream_models.training.refiner.run import RefinerConfig, spelt

    known = SimpleNamespace(names=("person", "traffic light"))
    monkeypatch.setattr(
        "stream_models.training.refiner.run.Segmenter",
        SimpleNamespace(load=lambda model, provider: known),
    )
    asked_for = ("Traffic Light", "PERSON", "person")
    assert spelt(RefinerConfig(tmp_path, classes=asked_for)).classes == known.names
    data = dataclasses.replace(read(people(tmp_path / "data", 2)), names=("Person",))
    assert collect(data, Model(), tmp_path, ("person",), 0, lambda done, of: None)


def test_the_command_shows_no_progress_of_what_is_done_already(tmp_path, monkeypatch):
    from stream_models.training.refiner import run
    from stream_models.training.refiner.loop import Progress

    people(tmp_path / "data", 2)
    steps: list[int] = []

    def train(config, data, found, watch, tell):
        for step in steps:
            watch(Progress(step=step, share=step / 4, loss=0.5))
        return run.Result(config.out / "refiner.onnx", {}, 0)

    monkeypatch.setattr(run, "train", train)
    # A run that is at its end, and one that has its samples.
    for done, told in (([], set()), ([3, 4], {"the refiner learns"})):
        steps[:] = done
        result = asked(tmp_path, "--steps", "4")
        assert result.exit_code == 0, result.output
        bars = [line.split("  ")[0] for line in result.output.splitlines() if "%" in line]
        assert {one.partition(":")[0].partition(" ━")[0] for one in bars} == told


@pytest.mark.slow
def test_the_command_trains_from_pictures_to_the_file(tmp_path, monkeypatch):
    people(tmp_path / "data", 14)
    monkeypatch.setattr(
        "stream_models.training.refiner.run.Segmenter",
        SimpleNamespace(load=lambda model, provider: Model()),
    )
    out = tmp_path / "out"
    result = asked(
        *(tmp_path, "--steps", "2", "--batch", "2", "--weight", "data=2", "--licence", "CC0-1.0"),
        *("--classes", "Person"),
    )
    assert result.exit_code == 0, result.output
    assert "refined" in result.output
    assert Learned(out / "refiner.onnx").classes == {"person"}
    assert json.loads((out / "report.json").read_text())
    assert json.loads((out / "history.jsonl").read_text().splitlines()[-1])["step"] == 2


def test_samples_of_an_earlier_run_are_learnt_from_too(tmp_path, samples):
    both = Samples(samples.folders[0], samples.folders[0])
    assert len(both) == 2 * len(samples)
    assert both.sources == samples.sources * 2
    first, again = both[1], both[len(samples) + 1]
    assert np.array_equal(first.rgb, again.rgb)
    assert [one.box.tolist() for one in first.found] == [one.box.tolist() for one in again.found]
    assert len(pickle.loads(pickle.dumps(both))) == len(both)


def test_samples_are_made_anew_where_they_are_no_longer_true(tmp_path, monkeypatch):
    """Of labels that were mended since, or another model, they were learnt from without a word."""
    from stream_models.training.refiner import run as runs

    monkeypatch.setattr(runs, "Segmenter", SimpleNamespace(load=lambda model, provider: Model()))

    class Stop(Exception):
        pass

    def stop(*given):
        raise Stop

    monkeypatch.setattr(runs, "Trainer", stop)
    folder = people(tmp_path / "data", 4)
    config, looked, said = runs.RefinerConfig(tmp_path / "out"), [], []

    def begin(asked):
        with pytest.raises(Stop):
            runs.train(asked, read(folder), lambda *at: looked.append(at), print, said.append)

    begin(config)
    assert looked.pop() == (4, 4)
    looked.clear()
    begin(config)
    assert not looked
    assert not said
    content = json.loads((folder / "instances.json").read_text())
    content["annotations"].pop()
    (folder / "instances.json").write_text(json.dumps(content))
    begin(config)
    assert looked.pop() == (4, 4)
    assert len(Samples(tmp_path / "out")) < 4
    begin(dataclasses.replace(config, model="default.int8"))
    assert looked.pop() == (4, 4)
    assert [one.endswith("they are made anew") for one in said] == [True, True]
    # Runs before that was told go on as they did.
    index = tmp_path / "out" / "samples.json"
    index.write_text(json.dumps(json.loads(index.read_text())["samples"]))
    looked.clear()
    begin(config)
    assert not looked


def test_something_is_held_back_however_few_pictures_there_are():
    """Of fewer than twelve nothing was, and a refiner came out without a figure or a word."""
    from stream_models.training.refiner.loop import _held_back

    assert _held_back([1, 12, 12, 30, 24]).tolist() == [False, True, True, False, True]
    assert _held_back([1, 5, 3, 5]).tolist() == [False, True, False, True]
    assert _held_back([5, 5]).tolist() == [False, False]


def test_samples_that_have_no_room_leave_it_free(tmp_path):
    """The error had no file's name, and what was written stayed and filled the disk."""
    resource = pytest.importorskip("resource", reason="Windows has no limits of this kind")
    data = read(people(tmp_path / "data", 4))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(OSError, match=r"samples\.bin") as raised:
            collect(data, Model(), tmp_path, ("person",), 0, lambda done, of: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert raised.value.strerror
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_picture_that_cannot_be_read_is_told_before_any_is_looked_at(tmp_path):
    """It would end the run when its turn comes, hours later."""
    data = people(tmp_path / "data", 3)
    sorted((data / "images").iterdir())[1].write_bytes(b"nothing")
    result = asked(tmp_path, "--steps", "1")
    assert isinstance(result.exception, UsageError)
    assert "1 thing is wrong" in str(result.exception)
    assert "--skip-bad" in str(result.exception)
    assert "the model looks" not in result.output and not (tmp_path / "out").exists()
