import copy
import dataclasses
import errno
import json
import shutil
import signal
from functools import cache

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import typer
from onnx import numpy_helper
from typer.testing import CliRunner

from stream.errors import ModelError, StreamError, UsageError
from stream.inference.segmenter import Segmenter
from stream_export.metadata import read_metadata
from stream_models.training.command import train_command
from stream_models.training.reading import read

from .labelled import coco, coco_folder
from .made import coco_set, write

# Training and exporting a network is mostly waiting for a busy machine; a hang is what this is for.
pytestmark = pytest.mark.timeout(1200)


def app():
    out = typer.Typer()
    out.command()(train_command)
    return out


def losses(folder):
    entries = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [entry for entry in entries if "class" in entry]


@pytest.mark.slow
def test_the_loss_falls(run):
    folder, _ = run
    first, last = losses(folder / "out")[0], losses(folder / "out")[-1]
    assert last["class"] < first["class"]
    assert last["objectness"] < first["objectness"]
    assert last["mask"] < first["mask"]


@pytest.mark.slow
def test_a_run_leaves_models_a_report_a_plot_and_samples(run):
    folder, result = run
    out = folder / "out"
    for name in ("curve.png", "report.json", "checkpoint.pt"):
        assert (out / name).stat().st_size > 100
    assert cv2.imread(str(out / "curve.png")) is not None
    judged = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    judged = [entry for entry in judged if "figures" in entry]
    assert [entry["step"] for entry in judged][:: len(judged) - 1] == [0, 40]
    for entry in judged:
        assert (out / f"samples-{entry['step']:06d}.png").is_file()
    for path in (result.float_model, result.int8_model):
        assert Segmenter.load(path, provider="cpu").names == ("person", "bar")
    report = json.loads((out / "report.json").read_text())
    assert set(report["groups"]["all"]) == {"AP", "AP50", "AP75", "APs", "APm", "APl"}
    assert report["int8"] == result.rounded.groups
    told = read_metadata(onnx.load(str(result.int8_model))).accuracy
    assert told["mask AP50, all of 2 pictures"] == round(result.rounded.groups["all"]["AP50"], 4)


@pytest.mark.slow
def test_a_run_tells_what_it_began_with(run):
    _, result = run
    assert result.before.groups["all"]["AP"] <= result.report.groups["all"]["AP"]


@pytest.mark.slow
def test_what_takes_minutes_once_it_has_learnt_is_said_as_it_begins(run):
    folder, _ = run
    assert (folder / "told.txt").read_text().splitlines()[-3:] == [
        "judging what was learnt by 2 pictures",
        "writing model.float32.onnx",
        "writing model.int8.onnx, and judging it by 2 pictures",
    ]


@pytest.mark.slow
def test_the_frozen_layers_compute_as_int8_does_only_at_the_end(tmp_path):
    from stream_models.network import MaskRCNN, NetworkConfig
    from stream_models.training.augment import AugmentConfig
    from stream_models.training.loop import LoopConfig, Trainer
    from stream_models.training.losses import LossConfig

    folder = tmp_path / "data"
    coco_set(folder, 4)
    data = read(folder)
    trainer = Trainer(
        MaskRCNN(NetworkConfig(data.names)),
        data.pictures,
        np.ones(4),
        tmp_path / "out",
        LoopConfig(batch=2, steps=4, fake_quantize_share=0.5),
        AugmentConfig(canvases=((96, 96),)),
        LossConfig(),
    )
    seen = []
    learn = trainer._learn

    def spy(*batch):
        values = learn(*batch)
        seen.append(trainer.network.backbone.stem.fake_quantized)
        return values

    trainer._learn = spy
    trainer.run(lambda progress: None)
    assert seen == [False, False, False, True]
    assert not trainer.ema.network.backbone.stem.fake_quantized


@pytest.mark.slow
def test_where_only_masks_learn_all_else_stays_as_it_was(tmp_path):
    import torch

    from stream_models.network import MASK_PARTS, MaskRCNN, NetworkConfig
    from stream_models.training.augment import AugmentConfig
    from stream_models.training.loop import Learn, LoopConfig, Trainer
    from stream_models.training.losses import LossConfig

    folder = tmp_path / "data"
    coco_set(folder, 4)
    data = read(folder)
    network = MaskRCNN(NetworkConfig(data.names))
    before = copy.deepcopy(dict(network.named_parameters()))
    trainer = Trainer(
        network,
        data.pictures,
        np.ones(4),
        tmp_path / "out",
        LoopConfig(batch=2, steps=3, learn=Learn.MASKS),
        AugmentConfig(canvases=((96, 96),)),
        LossConfig(),
    )
    trainer.run(lambda progress: None)
    after = dict(trainer.network.named_parameters())
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert all(name.startswith(MASK_PARTS) for name in changed)
    for part in MASK_PARTS:
        assert any(name.startswith(part) for name in changed), part


@pytest.mark.slow
def test_an_interrupted_run_is_taken_up_again(run, tmp_path):
    import torch

    from stream_models.network import MaskRCNN, NetworkConfig
    from stream_models.training.augment import AugmentConfig
    from stream_models.training.loop import LoopConfig, Trainer
    from stream_models.training.losses import LossConfig

    folder, _ = run
    shutil.copy(folder / "out" / "checkpoint.pt", tmp_path)
    data = read(folder / "data")
    trainer = Trainer(
        MaskRCNN(NetworkConfig(data.names)),
        data.pictures,
        np.ones(len(data.pictures)),
        tmp_path,
        LoopConfig(batch=4, steps=41),
        AugmentConfig(canvases=((128, 160),)),
        LossConfig(),
    )
    told = trainer.taken_up()
    assert told.startswith(f"the run in {tmp_path} is taken up at batch 40, with a learning")
    stem = trainer.network.backbone.stem
    assert stem.reach.tolist() == [-1.0, 1.0], "the range that the first run rounded in"
    seen = []
    trainer.run(seen.append)
    assert trainer.step == 41
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 41


@pytest.mark.slow
def test_a_trained_model_can_be_trained_on(run):
    from stream_models.training import ship
    from stream_models.training.checkpoints import load_network

    folder, result = run
    again = ship.from_onnx(result.float_model)
    trained = load_network(folder / "out" / "checkpoint.pt")
    assert again.config == trained.config
    with pytest.raises(ModelError, match="float32 variant"):
        ship.from_onnx(result.int8_model)


@pytest.mark.slow
def test_half_stored_weights_answer_alike(run, tmp_path):
    from stream_models.training import ship

    _, result = run
    model = onnx.load(str(result.float_model))
    half = ship.store_half(model)
    onnx.save(half, str(tmp_path / "half.onnx"))
    assert (tmp_path / "half.onnx").stat().st_size < 0.6 * result.float_model.stat().st_size
    image = np.random.default_rng(0).integers(0, 256, (1, 96, 128, 3), np.uint8)
    first = answers(model, image)
    second = answers(half, image)
    count = min(len(first[0]), len(second[0]), 5)
    np.testing.assert_allclose(first[1][:count], second[1][:count], atol=0.01)
    assert ship.from_onnx(tmp_path / "half.onnx").config.names == ("person", "bar")


def answers(model, image):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"image": image})


@pytest.mark.slow
def test_the_exported_graph_keeps_the_contract(exported):
    _, model = exported
    assert read_metadata(model).names == ("person", "bar")
    assert not {node.op_type for node in model.graph.node} & {"Loop", "If", "Scan"}


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(96, 128), (160, 96)])
def test_the_exported_graph_answers_as_torch_does(exported, shape):
    import torch
    from onnx import numpy_helper

    from stream_models.detect import Detector

    network, model = copy.deepcopy(exported)
    # So little trained, it may see nothing: here nearly everything is an object.
    with torch.no_grad():
        network.box.classes.bias[0] -= 5.0
        network.refine.classes.bias[0] -= 5.0
    biases = [i for i in model.graph.initializer if i.name.endswith(".classes.bias")]
    assert len(biases) == 2
    for item in biases:
        bias = numpy_helper.to_array(item).copy()
        bias[0] -= 5.0
        item.CopyFrom(numpy_helper.from_array(bias, item.name))
    image = np.random.default_rng(1).integers(0, 256, (1, *shape, 3), np.uint8)
    with torch.no_grad():
        expected = Detector(network.eval())(torch.from_numpy(image))
    found = answers(model, image)
    assert len(found[0]) > 0
    boxes, scores, labels, masks = (
        [ours, theirs.numpy()] for ours, theirs in zip(found[:4], expected[:4], strict=True)
    )
    assert [len(one) for one in boxes] == [pytest.approx(len(boxes[0]), abs=2)] * 2
    # Of objects that score alike either may come first, or suppress the other.
    same = 0
    for place in range(len(boxes[1])):
        off = np.abs(boxes[0] - boxes[1][place]).max(axis=1) + (labels[0] != labels[1][place])
        partner = int(off.argmin())
        same += bool(
            off[partner] < 0.05
            and abs(scores[0][partner] - scores[1][place]) < 2e-3
            and np.abs(masks[0][partner] - masks[1][place]).max() < 2e-2
        )
    assert same >= 0.9 * len(boxes[1])


def test_a_detector_answers_with_the_classes_that_it_keeps():
    import torch

    from stream_models.detect import DetectConfig, Detector
    from stream_models.network import MaskRCNN, NetworkConfig

    torch.manual_seed(0)
    network = MaskRCNN(NetworkConfig(("person", "dog", "cup"))).eval()
    torch.nn.init.normal_(network.box.classes.weight, std=0.3)
    config = DetectConfig(score_floor=0.2, detections=12)
    image = torch.randint(0, 256, (1, 96, 128, 3), dtype=torch.uint8)
    with torch.no_grad():
        _, scores, labels, *_ = Detector(network, config, [2, 0])(image)
        _, turned_scores, turned, *_ = Detector(network, config, [0, 2])(image)
    assert 0 < len(labels) <= 12
    assert set(labels.tolist()) <= {0, 1}
    torch.testing.assert_close(scores, turned_scores)
    assert labels.tolist() == (1 - turned).tolist()


@pytest.mark.slow
def test_nothing_found_is_an_empty_answer_of_the_graph(exported):
    from stream_models.training import ship

    _, model = exported
    certain = onnx.ModelProto()
    certain.CopyFrom(model)
    biases = [i for i in certain.graph.initializer if i.name.endswith(".classes.bias")]
    assert len(biases) == 2
    for item in biases:
        bias = numpy_helper.to_array(item).copy()
        bias[0] = 30.0  # of the background
        item.CopyFrom(numpy_helper.from_array(bias, item.name))
    small = ship.quantise(certain, [np.full((90, 120, 3), 90, np.uint8)])
    for graph in (certain, small):
        boxes, scores, labels, masks, mask_boxes = answers(
            graph, np.zeros((1, 96, 128, 3), np.uint8)
        )
        assert boxes.shape == mask_boxes.shape == (0, 4)
        assert scores.shape == labels.shape == (0,)
        assert masks.shape == (0, 56, 56)


def test_evaluation_knows_a_perfect_detector(tmp_path):
    from stream_models.training.evaluate import evaluate

    coco_set(tmp_path / "data", 4)
    data = read(tmp_path / "data")
    pictures = iter(data.pictures)

    def perfect(image):
        items = next(pictures).objects
        boxes = np.array([item.box for item in items], np.float32)
        masks = []
        for item in items:
            x1, y1, x2, y2 = item.box
            canvas = np.zeros((112, 112), np.uint8)
            rings = [
                np.round((ring - [x1, y1]) / [x2 - x1, y2 - y1] * 112).astype(np.int32)
                for ring in item.polygons
            ]
            cv2.fillPoly(canvas, rings, 1)
            masks.append(cv2.resize(canvas.astype(np.float32), (56, 56)))
        labels = np.array([item.label for item in items])
        return boxes, np.ones(len(items), np.float32), labels, np.array(masks), boxes

    report = evaluate(perfect, data.names, data, classes=True)
    assert report.groups["all"]["AP50"] == pytest.approx(1.0)
    assert report.groups["all"]["AP"] > 0.9
    assert report.classes == {"person": pytest.approx(1.0), "bar": pytest.approx(1.0)}


@pytest.mark.slow
def test_evaluation_through_the_runtime(run):
    from stream_models.training.evaluate import evaluate, runtime_detector

    folder, result = run
    data = read(folder / "data")
    data.pictures = data.pictures[:2]
    segmenter = Segmenter.load(result.int8_model, provider="cpu", threshold=0.0)
    report = evaluate(runtime_detector(segmenter), segmenter.names, data)
    assert 0 <= report.groups["all"]["AP50"] <= 1


def test_pasted_masks_lie_in_their_box():
    from stream_models.training.evaluate import paste

    full = paste(np.ones((56, 56), np.float32), np.array([10.0, 5, 30, 25], np.float32), 40, 50)
    assert full.sum() == 400
    assert full[5:25, 10:30].all()
    outside = np.array([60.0, 5, 80, 25], np.float32)
    assert paste(np.ones((56, 56), np.float32), outside, 40, 50).sum() == 0


def test_the_rate_warms_up_and_falls():
    from stream_models.training.loop import LoopConfig, rate_factor

    config = LoopConfig(warmup=10, decay=0.25)
    assert rate_factor(0, 0.0, config) == pytest.approx(0.1)
    assert rate_factor(50, 0.5, config) == 1.0
    assert rate_factor(50, 0.875, config) == pytest.approx(0.51)
    assert rate_factor(50, 1.0, config) == pytest.approx(0.02)


def test_judging_pictures_are_not_learnt_from(tmp_path):
    from stream_models.training.run import split

    coco_set(tmp_path / "data", 17)
    learn, judged = split(read(tmp_path / "data"))
    assert len(learn.pictures) == 15
    assert not {p.id for p in learn.pictures} & {p.id for p in judged.pictures}


def test_canvases_suit_the_pyramid():
    from stream_models.training.augment import AugmentConfig

    assert all(side % 32 == 0 for canvas in AugmentConfig().canvases for side in canvas)


def perfect(data):
    """A detector that answers with the truth of `data`, picture by picture."""
    pictures = iter(data.pictures)

    def answer(image):
        items = [item for item in next(pictures).objects if not item.crowd]
        boxes = np.array([item.box for item in items], np.float32).reshape(-1, 4)
        masks = np.ones((len(items), 8, 8), np.float32)
        labels = np.array([item.label for item in items], np.int64)
        return boxes, np.ones(len(items), np.float32), labels, masks, boxes

    return answer


def judged(folder, content):
    from stream_models.training.evaluate import evaluate

    data = read(coco_folder(folder, content))
    return evaluate(perfect(data), data.names, data, classes=True)


def test_figures_of_very_few_pictures_come_with_a_sentence(tmp_path):
    report = judged(tmp_path, coco())
    assert report.subject == "person"
    assert (report.pictures, report.objects) == (3, 1)
    assert report.groups["all"]["AP"] == pytest.approx(1.0)
    assert report.groups["all"]["APs"] == report.groups["all"]["APl"] == -1
    # One person of 30 by 40 pixels: COCO's medium.
    assert report.line().endswith("APs - APm 1.000 APl -")
    assert "judged by 3 pictures (1 with masks of 'person'): so few say little" in report.caution()
    assert dataclasses.replace(report, pictures=20, objects=50).caution() is None
    assert dataclasses.replace(report, pictures=19, objects=50).caution() is not None


def test_where_nobody_is_to_judge_by_the_first_class_that_is_there_is_judged(tmp_path):
    content = coco()
    content["annotations"] = content["annotations"][1:]
    report = judged(tmp_path, content)
    assert (report.subject, report.objects) == ("box", 2)
    assert report.groups["all"]["AP"] == pytest.approx(1.0)
    assert report.classes == {"box": pytest.approx(1.0)}


def test_a_detector_that_finds_nothing_has_zeros_only_where_there_was_something(tmp_path):
    from stream_models.training.evaluate import evaluate

    data = read(coco_folder(tmp_path))
    nothing = (np.zeros((0, 4), np.float32), np.zeros(0), np.zeros(0, int), np.zeros((0, 8, 8)))
    report = evaluate(lambda image: nothing, data.names, data)
    figures = report.groups["all"]
    assert figures == {"AP": 0, "AP50": 0, "AP75": 0, "APs": -1, "APm": 0, "APl": -1}


def test_what_is_found_where_an_object_was_left_out_is_no_mistake(tmp_path):
    """A skipped object's place proves nothing, whatever its class was."""
    from stream_models.training.evaluate import evaluate

    data = read(coco_folder(tmp_path / "good"))
    for category in (1, 99):
        content = coco()
        content["annotations"][0]["category_id"] = category
        if category == 1:
            content["annotations"][0]["segmentation"] = [[]]
        # A second person keeps the class judged.
        extra = {**coco()["annotations"][0], "id": 9, "image_id": 3}
        content["annotations"].append(extra)
        spoilt = read(coco_folder(tmp_path / str(category), content))
        assert len(spoilt.problems) == 1
        data.pictures[2].objects = spoilt.pictures[2].objects
        report = evaluate(perfect(data), data.names, spoilt, classes=True)
        assert report.groups["all"]["AP"] == pytest.approx(1.0)
        assert report.classes["person"] == pytest.approx(1.0)


def test_data_to_judge_by_may_write_classes_otherwise(tmp_path):
    from stream_models.training.evaluate import evaluate

    data = read(coco_folder(tmp_path))
    others = tuple(name.upper() for name in data.names)
    report = evaluate(perfect(data), others, data, classes=True)
    assert report.groups["all"]["AP"] == pytest.approx(1.0)
    assert report.classes["person"] == pytest.approx(1.0)
    written = dataclasses.replace(data, names=others)
    report = evaluate(perfect(data), data.names, written, classes=True)
    assert (report.subject, report.groups["all"]["AP"]) == ("PERSON", pytest.approx(1.0))


def test_a_place_left_out_is_ignored_in_training_and_not_background(tmp_path):
    from stream_models.training.augment import AugmentConfig, find_donors, make
    from stream_models.training.picture_files import load_picture

    content = coco()
    content["annotations"][0]["segmentation"] = [[]]
    data = read(coco_folder(tmp_path, content))
    config = AugmentConfig(
        shortest=60,
        longest=80,
        whole=1.0,
        flip=0.0,
        rotate=0.0,
        turn=0.0,
        headless=0.0,
        paste=0.0,
        paste_things=0.0,
    )
    rng = np.random.default_rng(0)
    _, truth = make(data.pictures[0], load_picture, find_donors([]), (60, 80), config, rng)
    assert truth.labels.tolist() == [1]
    (place,) = truth.ignore.tolist()
    width, height = place[2] - place[0], place[3] - place[1]
    assert width / height == pytest.approx(30 / 40, rel=0.05)


def command(tmp_path, *more):
    arguments = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), *more]
    return CliRunner().invoke(app(), arguments)


@pytest.fixture
def no_training(monkeypatch):
    """What the command would have trained with, without training."""
    from stream_models.training import run as module

    asked = []

    def train(config, sets, watch, tell):
        asked.append(sets)
        report = module.Report({"all": dict.fromkeys(FIGURE_NAMES, -1.0)}, {}, "person", 2, 1)
        return module.Result(config.out / "f.onnx", config.out / "i.onnx", report, report)

    monkeypatch.setattr(module, "train", train)
    return asked


FIGURE_NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def test_the_command_says_what_it_left_out_and_that_few_pictures_say_little(tmp_path, no_training):
    content = coco()
    content["annotations"][0]["bbox"] = None
    content["annotations"][0]["segmentation"] = None
    coco_folder(tmp_path / "data", content)
    coco_folder(tmp_path / "val")
    (tmp_path / "val" / "images" / "c.jpg").unlink()
    result = command(tmp_path, "--val", str(tmp_path / "val"))
    assert isinstance(result.exception, StreamError)
    assert "annotation 1 has neither a box nor a mask" in str(result.exception)
    assert no_training == []
    result = command(tmp_path, "--val", str(tmp_path / "val"), "--skip-bad")
    assert result.exception is None
    said = " ".join(result.output.split())
    assert (
        "data: 1 object is left out; what stays is 3 pictures with 2 objects to learn from" in said
    )
    assert (
        "val: 1 of 3 pictures with all that is labelled there is left out; what stays is 2 pictures"
        in said
    )
    assert "judged by 2 pictures (1 with masks of 'person'): so few say little" in said
    assert "in int8 all: AP -" in said
    ((learn, kept),) = no_training
    assert learn.count() == 2
    assert [picture.path.name for picture in kept.pictures] == ["a.jpg", "b.jpg"]


def test_the_command_names_the_class_that_was_judged_and_those_that_are_not_exported(
    tmp_path, monkeypatch, no_training
):
    from stream_models.training import run as module

    train, classes = module.train, {"Würfel": 0.9, "owl": 0.1, "cat": 0.5, "dog": 1.0}

    def several(*asked):
        result = train(*asked)
        report = dataclasses.replace(result.report, classes=classes, subject="Würfel")
        return dataclasses.replace(result, report=report, left_out=("owl",))

    monkeypatch.setattr(module, "train", several)
    coco_folder(tmp_path / "data")
    said = " ".join(command(tmp_path, "--val", str(tmp_path / "data")).output.split())
    assert "'Würfel'; box AP50: owl 0.100, cat 0.500, Würfel 0.900, dog 1.000" in said
    assert "not exported, as they are found too badly (box AP50 below 0.35): owl" in said


def test_a_models_accuracy_says_of_which_class_it_is():
    from stream_models.training.evaluate import Report
    from stream_models.training.run import _accuracy

    for subject, said in (("person", "mask AP, all"), ("Würfel", "mask AP of Würfel, all")):
        assert list(_accuracy(Report({"all": {"AP": 0.5}}, {}, subject, 100, 100))) == [said]


@pytest.mark.parametrize("asked", ["all", "masks"])
def test_the_command_hands_on_what_is_to_learn(tmp_path, monkeypatch, no_training, asked):
    from stream_models.training import run as module

    configs, train = [], module.train
    monkeypatch.setattr(
        module, "train", lambda config, *rest: configs.append(config) or train(config, *rest)
    )
    coco_set(tmp_path / "data", 4)
    assert command(tmp_path, "--learn", asked).exit_code == 0
    assert [one.loop.learn for one in configs] == [asked]


def test_the_command_refuses_what_cannot_learn_alone(tmp_path):
    assert command(tmp_path, "--learn", "boxes").exit_code == 2


@pytest.mark.parametrize("init", ["imagenet", "backbone.npz"])
def test_masks_alone_do_not_learn_where_nothing_is_found(tmp_path, init):
    """The network would find nothing afterwards, so that there is nothing to outline.

    That is said before weights are downloaded, or found not to be there.
    """
    result = command(tmp_path, "--learn", "masks", "--init", init)
    assert isinstance(result.exception, UsageError)
    assert f"--init {init} is none" in str(result.exception)


def test_pictures_missing_from_val_are_an_error_that_names_them(tmp_path, no_training):
    coco_folder(tmp_path / "data")
    coco_folder(tmp_path / "val")
    (tmp_path / "val" / "images" / "a.jpg").unlink()
    result = command(tmp_path, "--val", str(tmp_path / "val"))
    assert isinstance(result.exception, StreamError)
    assert f"1 thing is wrong with {tmp_path / 'val'}" in str(result.exception)
    assert "a.jpg: the picture is missing" in str(result.exception)
    assert no_training == []


def test_the_part_for_validation_judges_without_being_asked_for(tmp_path, no_training):
    coco_folder(tmp_path / "data" / "train")
    coco_folder(tmp_path / "data" / "valid")
    assert command(tmp_path).exception is None
    ((learn, kept),) = no_training
    assert {picture.path.parts[-3] for picture in learn.pictures} == {"train"}
    assert {picture.path.parts[-3] for picture in kept.pictures} == {"valid"}


def test_the_command_names_bad_data_and_does_not_start(tmp_path):
    coco_set(tmp_path / "data", 3)
    (tmp_path / "data" / "images" / "001.png").unlink()
    arguments = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app(), arguments)
    assert isinstance(result.exception, StreamError)
    assert "1 thing is wrong" in str(result.exception)
    assert "001.png" in result.output
    assert not (tmp_path / "out").exists()


def test_the_command_refuses_a_missing_folder(tmp_path):
    arguments = ["--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app(), arguments)
    assert isinstance(result.exception, StreamError)
    assert "is not there" in str(result.exception)


def test_classes_that_the_network_does_not_know_are_told():
    from stream_models.training.initial import initial_network, untrained

    names = ("Person", "Hütte", "sports_ball", "a class")
    known = initial_network("default", names)[1]
    assert known == {"Person", "sports_ball"}
    told = untrained(names, known)
    assert told == "new to the network, and so begun untrained: Hütte, a class"
    many = str(untrained(tuple(f"thing {number}" for number in range(200)), known))
    assert many.endswith("thing 10, thing 11 and 188 more")
    assert untrained(("person",), frozenset(("person",))) is None
    assert "not found afterwards" in str(untrained(names, known, masks_alone=True))
    assert untrained(("person",), None) is None, "an untrained network knows nothing"


FOREIGN = {
    "nothing": b"",
    "text": b"weights, honestly",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(64),
    "an archive": b"PK\x03\x04" + bytes(64),
}


@pytest.mark.parametrize("ending", [".pt", ".onnx", ".npz", ".pth"])
@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_network_is_no_beginning(tmp_path, content, ending):
    from stream_models.training.initial import initial_network

    path = tmp_path / f"file{ending}"
    path.write_bytes(content)
    with pytest.raises(ModelError) as raised:
        initial_network(str(path), ("person",))
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_can_be_told_at_once_is_told_before_the_data_are_looked_at(tmp_path):
    weights = tmp_path / "mine.onnx"
    weights.write_bytes(b"weights, honestly")
    for words, told in {
        ("--init", str(weights)): "mine.onnx",
        ("--init", str(tmp_path)): "there is no such file",
        ("--weight", "a"): "write it as SOURCE=FACTOR",
        ("--weight", "a=nan"): "a factor is a number from 0 on",
        ("--weight", "a=-1"): "a factor is a number from 0 on",
        ("--out", str(weights)): "mine.onnx is a file; give the name of a folder",
        ("--out", str(weights / "run")): "mine.onnx is a file; give the name of a folder",
    }.items():
        result = command(tmp_path, *words)
        assert isinstance(result.exception, StreamError), (words, result.exception)
        assert told in str(result.exception), words
    for words in (("--seed", "-1"), ("--rate", "nan"), ("--rate", "0"), ("--rate", "-1")):
        assert command(tmp_path, *words).exit_code == 2, words
    assert list(tmp_path.iterdir()) == [weights], "nor are there any data"


def test_factors_are_of_sources_that_there_are(tmp_path, no_training):
    content = coco()
    for entry, source in zip(content["images"], ("cats=1", "dogs", "dogs"), strict=True):
        entry["source"] = source
    coco_folder(tmp_path / "data", content)
    assert command(tmp_path, "--weight", "cats=1=0", "--weight", "dogs=2").exit_code == 0
    for words, told in {
        ("--weight", "cat=2"): "no picture is of the source cat; there is cats=1, dogs",
        ("--weight", "cats=1=0", "--weight", "dogs=0"): "nothing would be learnt from",
    }.items():
        assert told in str(command(tmp_path, *words).exception)


@pytest.mark.parametrize("held", ["nothing", "a state", "other classes"])
def test_another_runs_checkpoint_is_not_taken_up(tmp_path, held):
    import torch

    from stream_models.network import MaskRCNN, NetworkConfig
    from stream_models.training.augment import AugmentConfig
    from stream_models.training.checkpoints import load_network, save_checkpoint
    from stream_models.training.loop import LoopConfig, Trainer
    from stream_models.training.losses import LossConfig

    folder = tmp_path / "data"
    coco_set(folder, 1)
    data = read(folder)
    network, checkpoint = MaskRCNN(NetworkConfig(data.names)), tmp_path / "out" / "checkpoint.pt"
    checkpoint.parent.mkdir()
    if held == "other classes":
        other = MaskRCNN(NetworkConfig(("cat", "dog", "owl")))
        save_checkpoint(checkpoint, other, {"average": other.state_dict(), "optimizer": {}})
        assert load_network(checkpoint).config.names == ("cat", "dog", "owl")
    else:
        torch.save([] if held == "nothing" else network.state_dict(), checkpoint)
        with pytest.raises(ModelError, match="no checkpoint of a run"):
            load_network(checkpoint)
    before = checkpoint.read_bytes()
    with pytest.raises(ModelError, match=r"another run|no checkpoint of a run.*; take it away to"):
        Trainer(
            network,
            data.pictures,
            np.ones(1),
            tmp_path / "out",
            LoopConfig(batch=1, steps=1),
            AugmentConfig(canvases=((96, 96),)),
            LossConfig(),
        )
    assert checkpoint.read_bytes() == before


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("Person", "BAR"), ""),
        (("person", "rod"), "learns person, bar and not person, rod;"),
        (("bar", "person"), "learns person, bar and not bar, person;"),
    ],
)
def test_a_run_goes_on_with_its_own_classes_alone(trainer_of, names, said):
    """As many of other names have weights of the same shapes, and were learnt as the old ones."""
    trainer_of(lambda trainer: None, 1).save()
    if not said:
        trainer_of(lambda trainer: None, 1, names)
        return
    with pytest.raises(ModelError, match=said):
        trainer_of(lambda trainer: None, 1, names)


def test_a_disk_without_room_for_a_checkpoint_is_said_before_anything_is_learnt(
    tmp_path, monkeypatch
):
    from types import SimpleNamespace

    from stream_models.network import MaskRCNN, NetworkConfig
    from stream_models.training import checkpoints

    network = MaskRCNN(NetworkConfig(("person",)))
    size = sum(one.nbytes for one in network.state_dict().values())
    free = [6 * size]
    monkeypatch.setattr(
        checkpoints.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free[0])
    )
    checkpoints.check_room(tmp_path, network)
    free[0] = 4 * size
    with pytest.raises(OSError, match=r"a checkpoint and the models need \d+ MB there") as caught:
        checkpoints.check_room(tmp_path, network)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path))
    # Where only masks learn the optimiser keeps little.
    network.requires_grad_(False)
    checkpoints.check_room(tmp_path, network)
    # It is as much as a checkpoint takes.
    average = copy.deepcopy(network)
    checkpoints.save_checkpoint(tmp_path / "a.pt", network, {"average": average.state_dict()})
    assert (tmp_path / "a.pt").stat().st_size == pytest.approx(2 * size, rel=0.05)


def test_who_judges_by_what_was_learnt_is_told(trainer_of, tmp_path, monkeypatch):
    """Every eighth picture is held back, which are others once one is taken away."""
    from stream_models.training import run as runs

    monkeypatch.setattr(runs, "export", lambda *given: runs.Result(*[None] * 4))
    monkeypatch.setattr(runs, "evaluate", lambda *given: runs.Report({}))
    monkeypatch.setattr(runs, "show", lambda *given: None)
    monkeypatch.setattr("stream_models.training.loop.Trainer.run", lambda trainer, *given: None)
    folder, out = tmp_path / "some", tmp_path / "out"
    content = coco_set(folder, 16)
    config = runs.TrainConfig(data=folder, out=out)
    first, said = runs.gather(folder, None), []
    trainer_of(lambda trainer: None, 1, pictures=first[0].pictures, whole=True).save()
    runs.train(config, first, tell=said.append)
    assert not any("to judge by" in one for one in said)
    write(folder, content | {"images": content["images"][1:], "annotations": []})
    changed = read(folder)
    runs.train(config, runs.split(changed), tell=said.append)
    assert said[-1].startswith("of 1 picture to judge by the run has learnt from 1, before")


@pytest.fixture
def trainer_of(tmp_path):
    """Makes trainers of a run in one folder, which learn nothing: only what is kept matters."""
    from stream_models.network import MaskRCNN, NetworkConfig
    from stream_models.training.augment import AugmentConfig
    from stream_models.training.loop import LoopConfig, Trainer
    from stream_models.training.losses import LossConfig

    folder = tmp_path / "data"
    coco_set(folder, 1)
    data = read(folder)

    few = {"channels": 16, "rpn_channels": 16, "box_features": 16, "mask_channels": 16}

    @cache
    def untrained(names, whole):
        return MaskRCNN(NetworkConfig(names, **({} if whole else few)))

    def make(
        learn, steps, names=data.names, pictures=data.pictures, origin="", *, whole=False, **more
    ):
        trainer = Trainer(
            copy.deepcopy(untrained(tuple(names), whole)),
            pictures,
            np.ones(len(pictures)),
            tmp_path / "out",
            LoopConfig(batch=1, steps=steps, **more),
            AugmentConfig(canvases=((96, 96),)),
            LossConfig(),
            origin,
        )
        trainer._learn = lambda gradients: learn(trainer) or {"class": 1.0}
        return trainer

    return make


def test_ctrl_c_keeps_every_batch_that_was_learnt(trainer_of):

    learnt = []

    def interrupted(trainer):
        learnt.append(trainer.step)
        if trainer.step == 2:
            signal.raise_signal(signal.SIGINT)
            learnt.append("whole")

    trainer = trainer_of(interrupted, 5)
    reach = trainer.network.backbone.stem.reach
    reach[:] = reach.new_tensor([-0.5, 2.0])
    with pytest.raises(KeyboardInterrupt):
        trainer.run(lambda progress: None)
    assert learnt == [0, 1, 2, "whole"]
    assert trainer_of(interrupted, 5).taken_up().endswith("out is taken up at batch 3")
    again = trainer_of(lambda trainer: learnt.append(trainer.step), 5)
    assert again.step == 3
    assert again.network.backbone.stem.reach.tolist() == [-0.5, 2.0], "what it rounded in"
    again.run(lambda progress: None)
    assert learnt[4:] == [3, 4]
    ended = trainer_of(lambda trainer: learnt.append(trainer.step), 5)
    ended.run(lambda progress: None)
    assert learnt[4:] == [3, 4], "a run that is at its end learnt a batch more each time"
    assert "is at its end, after 5 batches, and learns no more" in ended.taken_up()


def test_a_run_that_is_taken_up_learns_as_it_is_asked_now(trainer_of, tmp_path):
    """An optimiser keeps the rates that it was made with; these came first."""
    from stream_models.training.initial import origin_of

    weights = tmp_path / "mine.onnx"
    weights.write_bytes(b"some")
    first = trainer_of(lambda trainer: None, 2, origin=origin_of("default"), learning_rate=6e-4)
    first.step = 1
    first.save()
    same = trainer_of(lambda trainer: None, 2, origin=origin_of("default"), learning_rate=6e-4)
    assert same.taken_up().endswith("out is taken up at batch 1")
    other = trainer_of(
        lambda trainer: None, 2, origin=origin_of(str(weights)), learning_rate=1e-4,
        backbone_learning_rate=1e-5, weight_decay=0.5,
    )  # fmt: skip
    groups = other._optimizer.param_groups
    assert {group["base"] for group in groups} == {1e-4, 1e-5}
    assert {group["weight_decay"] for group in groups} == {0.0, 0.5}
    assert other.taken_up().endswith(
        "at batch 1, with a learning rate of 0.0001, which was 0.0006, with its own weights and "
        "not those of --init (another --out begins from these)"
    )
    other.save()
    again = trainer_of(lambda trainer: None, 2, origin=origin_of("default"), learning_rate=1e-4)
    assert again.taken_up().endswith("out is taken up at batch 1"), "where the run began"


def test_a_batch_that_a_second_ctrl_c_broke_is_not_kept(tmp_path, trainer_of):
    def broken(trainer):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        trainer_of(broken, 5).run(lambda progress: None)
    assert not (tmp_path / "out" / "checkpoint.pt").exists()


def test_who_watches_sees_every_batch_and_the_history_has_the_last_one(tmp_path, trainer_of):
    """A run of minutes ends with any batch: its bar stood where the last twenty had ended."""
    seen = []
    trainer_of(lambda trainer: None, 3).run(lambda progress: seen.append(progress.share))
    assert seen == pytest.approx([1 / 3, 2 / 3, 1])
    assert [entry["step"] for entry in losses(tmp_path / "out")] == [3]


def test_samples_of_batches_that_were_lost_go(tmp_path):
    from stream_models.training.run import _forget_samples

    names = ("samples-000000.png", "samples-000027.png", "samples-000040.png", "samples-best.png")
    for name in names:
        (tmp_path / name).write_bytes(b"")
    _forget_samples(tmp_path, 27)
    assert sorted(one.name for one in tmp_path.iterdir()) == [*names[:2], names[3]]


def test_losses_are_seen_from_the_first_on(tmp_path):
    """A line of a single point is none."""
    from stream_models.training.pictures import learning_curve

    def dark(steps):
        kinds = ("objectness", "proposal_box", "class", "box", "mask")
        lines = [json.dumps({"step": step, **dict.fromkeys(kinds, 0.5)}) for step in steps]
        (tmp_path / "history.jsonl").write_text("\n".join(lines))
        learning_curve(tmp_path / "history.jsonl", tmp_path / "curve.png")
        left = cv2.imread(str(tmp_path / "curve.png"), cv2.IMREAD_COLOR)[:, 60:430]
        return np.count_nonzero(np.ptp(left, axis=2) > 60)

    assert dark([20]) > dark([]) + 10


def test_a_curve_is_drawn_of_figures_by_other_groups_too(tmp_path):
    from stream_models.training.pictures import learning_curve

    figures = {"AP": 0.5, "AP50": -1.0}
    told = ({"coco": figures, "other": figures}, {"all": figures})
    lines = [json.dumps({"step": step, "figures": one}) for step, one in enumerate(told)]
    (tmp_path / "history.jsonl").write_text("\n".join(lines))
    learning_curve(tmp_path / "history.jsonl", tmp_path / "curve.png")
    assert cv2.imread(str(tmp_path / "curve.png")) is not None
