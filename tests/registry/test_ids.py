"""Ids."""

from registry.ids import new_id


def test_ids_sort_by_the_time_of_their_making_and_never_repeat() -> None:
    ids = [new_id("job") for _ in range(2000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert all(len(one) == len("job_") + 26 for one in ids)
