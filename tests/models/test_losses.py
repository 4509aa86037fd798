import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

NAMES = ("person", "dog", "cup")


def target(boxes, labels, known, weights=None, ignore=()):
    import torch

    from stream_models.training.targets import Targets

    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    polygons = [
        [np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32)]
        for x1, y1, x2, y2 in boxes.tolist()
    ]
    return Targets(
        boxes,
        torch.tensor(labels, dtype=torch.int64),
        torch.ones(len(boxes)) if weights is None else torch.tensor(weights),
        polygons,
        [[] for _ in boxes],
        torch.tensor(ignore, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(known),
    )


@given(st.lists(st.booleans(), min_size=3, max_size=3), st.integers(0, 2**31))
def test_background_says_nothing_about_unknown_classes(known, seed):
    import torch

    from stream_models.training.losses import class_loss

    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(seed)).requires_grad_()
    allowed = torch.tensor([True, *known]).expand(5, 4)
    loss = class_loss(logits, torch.zeros(5, dtype=torch.int64), allowed)
    assert torch.isfinite(loss).all()
    loss.sum().backward()
    for index, sure in enumerate(known, 1):
        moved = bool((logits.grad[:, index] != 0).any())
        assert moved == sure
    if not any(known):
        assert loss.abs().max() == 0


def test_a_lone_box_in_an_incomplete_picture_proves_nothing():
    import torch

    from stream_models.training.targets import match

    truth = target([[10, 10, 50, 90]], [0], [False, True, True])
    boxes = torch.tensor([[10, 10, 50, 90], [200, 200, 240, 290], [10, 60, 50, 120]]).float()
    _, state = match(boxes, truth, 0.5, 0.5, low_quality=False)
    assert state.tolist() == [1, -2, 0]


def test_crowds_are_not_background():
    import torch

    from stream_models.training.targets import match

    truth = target([], [], [True] * 3, ignore=[[0, 0, 100, 100]])
    boxes = torch.tensor([[10, 10, 50, 50], [150, 150, 200, 200]]).float()
    _, state = match(boxes, truth, 0.5, 0.5, low_quality=False)
    assert state.tolist() == [-1, 0]


def test_every_object_gets_an_anchor():
    import torch

    from stream_models.training.targets import match

    truth = target([[0, 0, 12, 12]], [0], [True] * 3)
    anchors = torch.tensor([[0, 0, 28, 28], [100, 100, 128, 128]]).float()
    index, state = match(anchors, truth, 0.6, 0.3, low_quality=True)
    assert state.tolist() == [1, 0]
    assert index[0] == 0


@pytest.mark.parametrize(
    ("known", "allowed_far"),
    [([False, True, True], [True, False, True, True]), ([True] * 3, [True] * 4)],
)
def test_far_regions_are_judged_by_the_known_classes(known, allowed_far):
    import torch

    from stream_models.training.losses import LossConfig, sample_regions

    truth = target([[10, 10, 60, 90]], [0], known)
    far = torch.tensor([[200, 200, 260, 280]]).float()
    regions = sample_regions(far, truth, LossConfig(), torch.Generator().manual_seed(0))
    rows = {
        int(wanted): allowed
        for wanted, allowed in zip(regions.wanted, regions.allowed, strict=True)
    }
    assert rows[1].tolist() == [True] * 4
    assert rows[0].tolist() == allowed_far


def test_nothing_is_learnt_where_nothing_is_known():
    import torch

    from stream_models.training.losses import LossConfig, sample_regions

    truth = target([[10, 10, 60, 90]], [0], [False] * 3)
    far = torch.tensor([[200, 200, 260, 280]]).float()
    regions = sample_regions(far, truth, LossConfig(), torch.Generator().manual_seed(0))
    assert regions.wanted.tolist() == [1]


def test_the_second_head_learns_from_the_boxes_that_the_first_one_made():
    import torch

    from stream_models.boxes import BOX_WEIGHTS, encode
    from stream_models.training.losses import label_regions, refine_regions

    truth = target([[10, 10, 60, 90]], [2], [True] * 3)
    boxes = torch.tensor([[20, 20, 70, 100], [20, 20, 70, 100]]).float()
    first, state = label_regions(boxes, truth, 0.6)
    assert state.tolist() == [0, 0]
    assert first.wanted.tolist() == [0, 0]
    # The first box is moved onto the object, the second stays where it is.
    moves = torch.cat([encode(truth.boxes, boxes[:1], BOX_WEIGHTS), torch.zeros(1, 4)])
    (refined,) = refine_regions([first], moves, [truth], (120, 160), 0.6)
    torch.testing.assert_close(refined.boxes, torch.stack([truth.boxes[0], boxes[1]]))
    assert refined.wanted.tolist() == [3, 0]
    assert refined.matches[0] == 0


def test_refined_boxes_on_a_crowd_are_left_out():
    import torch

    from stream_models.training.losses import label_regions, refine_regions

    truth = target([], [], [True] * 3, ignore=[[0, 0, 100, 100]])
    boxes = torch.tensor([[10, 10, 60, 90], [120, 10, 150, 90]]).float()
    regions, _ = label_regions(boxes, truth, 0.6)
    (refined,) = refine_regions([regions], torch.zeros(2, 4), [truth], (120, 160), 0.6)
    assert refined.boxes.tolist() == [[120, 10, 150, 90]]


def test_dense_truth_is_silent_where_nothing_is_known():
    from stream_models.training.targets import dense_truth

    truth = target(
        [[8, 8, 40, 48], [48, 8, 80, 48], [80, 0, 96, 16]],
        [0, 2, 0],
        [True, False, True],
        weights=[1.0, 1.0, 0.0],
        ignore=[[0, 56, 96, 64]],
    )
    shown, weight = dense_truth(truth, (64, 96), 4)
    assert shown.shape == weight.shape == (2, 16, 24)
    assert 8 * 10 <= shown[0].sum() <= 9 * 11, "the cells of the outline count"
    assert shown[0, 6, 6] == 1 and shown[1, 6, 6] == 0
    assert shown[1, 6, 16] == 1 and shown[0, 6, 16] == 0
    assert weight[0, 6, 16] == 1, "the other object is no person"
    assert weight[0, 1, 22] == 0, "an object without a mask"
    assert weight[:, 15].max() == 0, "a crowd"
    assert weight[1, 8, 0] == 0, "a class that may be in view unlabelled"
    assert weight[1, 6, 16] == 1, "but what is labelled is known"
    assert weight[0, 8, 0] == 1


def test_what_is_hidden_is_not_dense_truth():
    from stream_models.training.targets import dense_truth

    truth = target([[8, 8, 40, 48], [24, 8, 40, 48]], [0, 1], [True] * 3)
    truth.hidden[0] = [truth.polygons[1]]
    shown, _ = dense_truth(truth, (64, 96), 4)
    assert shown[0, 6, 3] == 1
    assert shown[0, 6, 8] == 0
    assert shown[1, 6, 8] == 1


def test_masks_without_weight_teach_nothing():
    import torch

    from stream_models.training.losses import mask_loss

    logits = torch.randn(2, 8, 8, requires_grad=True)
    truth = torch.ones(2, 8, 8)
    mask_loss(logits, truth, torch.tensor([1.0, 0.0]), 0.5).backward()
    assert (logits.grad[0] != 0).any()
    assert (logits.grad[1] == 0).all()
    assert mask_loss(logits, truth, torch.zeros(2), 0.5) == 0


def test_edges_are_where_a_mask_changes():
    import torch

    from stream_models.training.losses import edges

    truth = torch.zeros(1, 8, 8)
    truth[:, :, 4:] = 1.0
    expected = torch.zeros(1, 8, 8)
    expected[:, :, 3:5] = 1.0
    assert torch.equal(edges(truth), expected)
    assert edges(torch.ones(1, 8, 8)).max() == 0


def test_what_is_wrong_at_an_edge_costs_more():
    import torch

    from stream_models.training.losses import mask_loss

    truth = torch.zeros(1, 8, 8)
    truth[:, :, 4:] = 1.0
    right = (truth * 2 - 1) * 6
    far, near = right.clone(), right.clone()
    far[:, :, 0] *= -1
    near[:, :, 3] *= -1
    one = torch.ones(1)
    assert mask_loss(near, truth, one, 0.5) == pytest.approx(mask_loss(far, truth, one, 0.5))
    assert mask_loss(near, truth, one, 0.5, 2.0) > 1.5 * mask_loss(far, truth, one, 0.5, 2.0)


def test_mask_crops_have_the_objects_area_and_lose_what_is_hidden():
    import torch

    from stream_models.training.targets import Targets, crop_masks

    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    ring = np.stack([50 + 30 * np.cos(angles), 40 + 20 * np.sin(angles)], 1).astype(np.float32)
    front = np.array([[50, 0], [100, 0], [100, 80], [50, 80]], np.float32)
    truth = Targets(
        torch.tensor([[20.0, 20, 80, 60], [50, 0, 100, 80]]),
        torch.zeros(2, dtype=torch.int64),
        torch.ones(2),
        [[ring], [front]],
        [[], []],
        torch.zeros(0, 4),
        torch.ones(3, dtype=torch.bool),
    )
    crop = crop_masks(truth, torch.tensor([0]), truth.boxes[:1], 56)[0]
    assert float(crop.mean()) == pytest.approx(np.pi / 4, abs=0.01)
    truth.hidden[0] = [truth.polygons[1]]
    crop = crop_masks(truth, torch.tensor([0]), truth.boxes[:1], 56)[0]
    assert crop[:, 30:].max() == 0
    assert float(crop.mean()) == pytest.approx(np.pi / 8, abs=0.02)


def test_all_losses_are_finite_and_reach_every_layer():
    import torch

    from stream_models.network import MaskRCNN, NetworkConfig
    from stream_models.training.losses import LossConfig, losses

    torch.manual_seed(0)
    network = MaskRCNN(NetworkConfig(NAMES)).train()
    images = torch.randint(0, 256, (2, 3, 96, 128), dtype=torch.uint8)
    truths = [
        target([[10, 10, 60, 90], [70, 20, 120, 60]], [0, 2], [True] * 3),
        target([], [], [True, False, False]),
    ]
    parts = losses(network, images, truths, LossConfig(), torch.Generator().manual_seed(0))
    assert set(parts) == {
        "objectness",
        "proposal_box",
        "class",
        "box",
        "refined_class",
        "refined_box",
        "mask",
        "dense",
    }
    total = torch.stack(list(parts.values())).sum()
    assert torch.isfinite(total)
    total.backward()
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


def test_pictures_without_objects_give_losses_too():
    import torch

    from stream_models.network import MaskRCNN, NetworkConfig
    from stream_models.training.losses import LossConfig, losses

    network = MaskRCNN(NetworkConfig(NAMES)).train()
    images = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    empty = target([], [], [True] * 3)
    parts = losses(network, images, [empty], LossConfig(), torch.Generator().manual_seed(0))
    assert all(torch.isfinite(value) for value in parts.values())
    assert float(parts["mask"].detach()) == 0
