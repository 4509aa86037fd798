import pytest

from tests.export.lazily import lazily

saving = lazily("stream_models.training.saving")


def test_a_full_disk_is_told_as_one_and_the_last_checkpoint_stays(tmp_path):
    """Torch calls it an "unexpected pos", which would be a fault of the program."""
    import torch

    resource = pytest.importorskip("resource")
    path = tmp_path / "checkpoint.pt"
    saving.save_whole(path, {"step": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"checkpoint\.pt"):
            saving.save_whole(path, {"weights": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert torch.load(path, weights_only=True) == {"step": 1}
    assert [one.name for one in tmp_path.iterdir()] == ["checkpoint.pt"], "room is left again"
