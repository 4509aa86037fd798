import psutil

from stream.cpu import _physical, available_cores


def test_processors_that_share_a_core_are_one(tmp_path):
    for name in ("core_cpus_list", "thread_siblings_list"):
        folder = tmp_path / name
        for number, shared in enumerate(("0,2", "1,3", "0,2", "1,3", "4")):
            file = folder / f"cpu{number}" / "topology" / name
            file.parent.mkdir(parents=True)
            file.write_text(f"{shared}\n")
        (folder / "cpufreq").mkdir()
        assert _physical(folder) == 3


def test_where_the_system_does_not_say_psutil_does(tmp_path):
    assert _physical(tmp_path) == psutil.cpu_count(logical=False)
    assert 1 <= available_cores() <= psutil.cpu_count()
