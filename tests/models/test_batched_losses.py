"""What a GPU learns from a whole batch is what the CPU learns from its parts."""

import dataclasses
import itertools

import numpy as np
import pytest

from stream_models.training.reading import read

from .made import coco_set

SHAPE = (96, 128)
# So many that everything is sampled, whatever was drawn.
EVERYTHING = {"anchors": 5000, "proposals": 24, "regions": 100, "masks": 100, "positive_share": 1.0}


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """A network, made-up pictures, and a batch of three of them."""
    import torch

    from stream_models.network import MaskRCNN, NetworkConfig
    from stream_models.training.augment import AugmentConfig
    from stream_models.training.batches import BatchMaker, PictureCache

    folder = tmp_path_factory.mktemp("batched")
    coco_set(folder / "data", 6)
    data = read(folder / "data")
    torch.manual_seed(3)
    network = MaskRCNN(NetworkConfig(data.names)).train()
    cache = PictureCache(data.pictures, folder)
    change = AugmentConfig(canvases=(SHAPE,), shortest=96, longest=128, paste=1.0)
    rng = np.random.default_rng(5)
    maker = BatchMaker(data.pictures, cache, np.ones(6), 3, change, rng)
    batch = maker.make()
    # Something is known of one class only, and something is nobody's.
    batch.targets[0].known[1] = False
    batch.targets[1].ignore = torch.tensor([[0.0, 0.0, 40.0, 30.0]])
    return network, data, cache, change, batch


def test_all_losses_and_gradients_are_those_of_the_parts(material):
    import torch

    from stream_models.training import batched_losses
    from stream_models.training.losses import LossConfig, losses
    from stream_models.training.packed import pack

    network, _, _, _, batch = material
    config = LossConfig(**EVERYTHING)
    answers, gradients = [], []
    for apart in (True, False):
        network.zero_grad()
        generator = torch.Generator().manual_seed(0)
        if apart:
            parts = losses(network, batch.images, batch.targets, config, generator)
        else:
            truth = pack(batch.targets, SHAPE)
            parts = batched_losses.losses(network, batch.images, truth, config, generator)
        sum(parts.values()).backward()
        answers.append({name: float(value.detach()) for name, value in parts.items()})
        gradients.append(
            torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])
        )
    assert answers[0].keys() == answers[1].keys()
    for name, value in answers[0].items():
        # Masks are read from ones of 160 cells that were drawn once.
        near = 0.02 if name == "mask" else 1e-4
        assert answers[1][name] == pytest.approx(value, rel=near, abs=1e-5), name
    together = torch.nn.functional.cosine_similarity(*gradients, dim=0)
    assert together > 0.99
    assert gradients[1].norm() == pytest.approx(float(gradients[0].norm()), rel=0.05)


def test_masks_are_read_as_they_were_drawn(material):
    import torch

    from stream_models.training.batched_losses import mask_truth
    from stream_models.training.packed import pack
    from stream_models.training.targets import crop_masks

    targets = [target for target in material[4].targets if len(target.boxes)]
    truth = pack(targets, SHAPE)
    for row, target in enumerate(targets):
        which = torch.arange(len(target.boxes))
        boxes = target.boxes + torch.tensor([-2.0, 1.0, 2.0, -1.0])
        drawn = crop_masks(target, which, boxes, 56)
        matches = torch.zeros((len(targets), len(which)), dtype=torch.int64)
        matches[row] = which
        there = torch.tensor([0.0, 0.0, 9.0, 9.0]).repeat(len(targets), len(which), 1)
        there[row] = boxes
        again = mask_truth(truth, matches, there, 56).reshape(len(targets), -1, 56, 56)[row]
        assert (drawn - again).abs().mean() < 0.03
        same, either = (drawn > 0.5) & (again > 0.5), (drawn > 0.5) | (again > 0.5)
        assert same.sum() / either.sum().clamp(min=1) > 0.94


def test_suppression_all_at_once_is_suppression_one_by_one():
    import torch
    from torchvision.ops import nms

    from stream_models.training.batched_losses import unsuppressed

    generator = torch.Generator().manual_seed(1)
    low = torch.rand((2, 300, 2), generator=generator) * 100
    boxes = torch.cat([low, low + 10 + 40 * torch.rand((2, 300, 2), generator=generator)], dim=2)
    stays = unsuppressed(boxes, torch.ones((2, 300), dtype=torch.bool), 0.5)
    for own, kept in zip(boxes, stays, strict=True):
        best_first = torch.arange(300, 0, -1).float()
        assert kept.nonzero()[:, 0].tolist() == sorted(nms(own, best_first, 0.5).tolist())


def test_no_more_is_sampled_than_asked_for_and_nothing_twice():
    import torch

    from stream_models.training.batched_losses import sample

    state = torch.full((2, 400), -1)
    state[0, :300], state[0, 300:] = 0, 1
    state[1, 5] = 1
    index, valid = sample(state, 64, 0.25, torch.Generator().manual_seed(0))
    first = index[0][valid[0]]
    assert len(first) == len(set(first.tolist())) == 64
    assert (state[0][first] == 1).sum() == 16
    assert index[1][valid[1]].tolist() == [5]


def test_processes_make_batches_that_a_seed_tells(material):
    import torch

    from stream_models.training.packed_batches import PackedBatches

    _, data, cache, change, _ = material
    made = []
    for processes in (0, 1):
        feed = PackedBatches(data.pictures, cache, np.ones(6), 2, change, 7, processes)
        made.append(list(itertools.islice(iter(feed), 2)))
        feed.close()
    for (image, truth), (other, others) in zip(*made, strict=True):
        assert image.shape == (2, *SHAPE, 3)
        assert torch.equal(image, other)
        for name, value in vars(truth).items():
            assert torch.equal(value, vars(others)[name]), name


@pytest.mark.slow
def test_a_run_that_takes_batches_whole_learns_and_is_taken_up_again(
    material, tmp_path, monkeypatch
):
    import torch

    from stream_models.network import MaskRCNN
    from stream_models.training.feeds import Whole
    from stream_models.training.loop import LoopConfig, Trainer
    from stream_models.training.losses import LossConfig
    from stream_models.training.packed_batches import PackedBatches

    network, data, _, change, _ = material

    def whole(self, pictures, weights, augment):
        packed = PackedBatches(pictures, self._cache, weights, 2, augment, self.step, 0)
        return Whole(packed, LossConfig(masks=4), self.step, torch.device("cpu"))

    monkeypatch.setattr(Trainer, "_feed_for", whole)
    config = LoopConfig(batch=2, steps=3, warmup=1, fake_quantize_share=0.9)
    for steps in (3, 4):
        trainer = Trainer(
            MaskRCNN(network.config),
            data.pictures,
            np.ones(6),
            tmp_path,
            dataclasses.replace(config, steps=steps),
            change,
            LossConfig(),
        )
        before = trainer.network.mask.logits.weight.detach().clone()
        reach = trainer.network.backbone.stem.reach.tolist()
        assert reach == ([0.0, 0.0] if steps == 3 else [-1.0, 1.0])
        trainer.run(lambda progress: None)
        assert trainer.step == steps
        assert not torch.equal(before, trainer.network.mask.logits.weight)
        assert all(torch.isfinite(p).all() for p in trainer.network.parameters())


def test_where_nothing_can_be_forked_batches_are_made_here(monkeypatch):
    from stream_models.training import feeds

    monkeypatch.setattr(feeds.multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    assert feeds.processes() == 0
