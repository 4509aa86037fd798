"""The tiny model that the tests of training share: trained and exported once a session."""

from __future__ import annotations

import numpy as np
import pytest

from .made import coco_set


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A folder with `data` and what training on it wrote to `out`, and the run's result.

    What was told on the way lies in `told.txt` there.
    """
    import torch

    from stream_models.network import MaskRCNN, NetworkConfig
    from stream_models.training.augment import AugmentConfig
    from stream_models.training.loop import LoopConfig
    from stream_models.training.run import TrainConfig, train

    folder = tmp_path_factory.mktemp("run")
    coco_set(folder / "data", 16)
    torch.manual_seed(0)
    network = MaskRCNN(NetworkConfig(("person", "bar")))
    state = {
        key.removeprefix("backbone.").replace("blocks.", "block"): value.numpy()
        for key, value in network.state_dict().items()
        if key.startswith("backbone.")
    }
    np.savez(folder / "backbone.npz", **state)
    config = TrainConfig(
        data=folder / "data",
        out=folder / "out",
        init=str(folder / "backbone.npz"),
        augment=AugmentConfig(canvases=((128, 160),), shortest=128, longest=160),
        loop=LoopConfig(
            batch=4, steps=40, learning_rate=1e-3, warmup=5, ema_decay=0.8, evaluate_minutes=0.2
        ),
    )
    with (folder / "told.txt").open("w") as told:
        return folder, train(config, tell=lambda sentence: print(sentence, file=told))


@pytest.fixture(scope="session")
def exported(run):
    """The trained network and the graph that it was exported as."""
    import onnx

    from stream_models.training.checkpoints import load_network

    folder, result = run
    return load_network(folder / "out" / "checkpoint.pt"), onnx.load(str(result.float_model))
