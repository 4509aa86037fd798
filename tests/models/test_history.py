import json

from stream_models.training.history import begin, entries


def written(path, steps, torn=""):
    path.write_text("".join(f'{{"step": {step}, "class": 1.0}}\n' for step in steps) + torn)


def test_a_line_that_a_power_cut_tore_is_passed_over(tmp_path):
    path = tmp_path / "history.jsonl"
    for torn in ('{"step": 60, "cl', "\0\0\0", "3\n", '{"step": 60,\n{"step": 80, "class": 1.0}\n'):
        written(path, (20, 40), torn)
        assert [one["step"] for one in entries(path)][:2] == [20, 40], torn
        begin(path, 40)
        assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [20, 40]


def test_batches_that_are_made_once_more_are_told_once(tmp_path):
    path = tmp_path / "history.jsonl"
    for step, kept in ((60, [20, 40, 60]), (59, [20, 40]), (0, [])):
        written(path, (20, 40, 60, 80))
        begin(path, step)
        assert [one["step"] for one in entries(path)] == kept, step
    (tmp_path / "history.jsonl").unlink()
    begin(path, 60)
    assert path.read_text() == ""
