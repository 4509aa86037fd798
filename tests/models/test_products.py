"""Training is in bf16 only where the processor has it: emulated it takes ten times longer."""

import dataclasses

import numpy as np
import pytest

from stream.system.cpu import processor


@pytest.mark.parametrize("has", [True, False])
def test_products_are_rounded_only_where_the_processor_does_it(monkeypatch, has):
    import torch

    from stream_models.training import feeds, products
    from stream_models.training.losses import LossConfig

    features = processor().features - {"bf16"} | ({"bf16"} if has else set())
    made = dataclasses.replace(processor(), features=features)
    monkeypatch.setattr(products, "processor", lambda: made)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    taken = []

    def losses(network, images, targets, config, generator):
        value = network(images)
        taken.append(value.dtype)
        return {"class": value.float().sum()}

    monkeypatch.setattr(feeds, "losses", losses)
    network = torch.nn.Linear(4, 4)
    learning = feeds.SharedOut(None, LossConfig(), 0, 1)
    learning._part(network, torch.ones(2, 4), [], torch.Generator(), 1.0)
    learning._pool.shutdown()
    with products.quick_products(torch.device("cpu")):
        taken.append(network(torch.ones(1, 4)).dtype)
    assert taken == [torch.bfloat16 if has else torch.float32] * 2
    with products.quick_products(torch.device("cpu"), rounded=False):
        assert network(torch.ones(1, 4)).dtype == torch.float32


def test_a_detector_judges_in_what_the_processor_has(monkeypatch):
    import torch

    from stream_models.detect import DetectConfig, Detections
    from stream_models.training import evaluate, products

    made = dataclasses.replace(processor(), features=frozenset({"avx2"}))
    monkeypatch.setattr(products, "processor", lambda: made)
    taken = []

    def detect(network, image, config):
        taken.append(network(torch.ones(1, 4)).dtype)
        nothing = torch.zeros(0, 4)
        return Detections(nothing, nothing[:, 0], nothing[:, 0], nothing[:, None], nothing)

    monkeypatch.setattr(evaluate, "detect", detect)
    for rounded in (True, False):
        detector = evaluate.network_detector(torch.nn.Linear(4, 4), DetectConfig(), rounded)
        detector(np.zeros((32, 32, 3), np.uint8))
    assert taken == [torch.float32] * 2
