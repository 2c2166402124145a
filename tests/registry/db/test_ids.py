"""Unique row ids that sort by creation time."""

from registry.db.ids import new_id


def test_ids_sort_by_creation_time_and_never_repeat() -> None:
    ids = [new_id("job") for _ in range(2000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert all(len(row_id) == len("job_") + 26 for row_id in ids)
