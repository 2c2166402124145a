"""Events, metrics and logs go after their time, jobs and attempts stay."""

from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from registry import claims, history
from registry.claims import News, Point
from registry.tables import Attempt, Job, JobEvent, LogLine, Metric

World = Any  # tests/registry/conftest.py


def test_only_what_was_told_of_jobs_that_ended_long_ago_goes(world: World) -> None:
    ended, running = world.running(), world.running()
    news = News(points=[Point(1, 1, {"loss": 1.0})], lines=["a line"])
    for claim in (ended, running):
        world.do(claims.record, claim, news)
    world.finish(ended)
    assert world.do(history.prune, kept=timedelta(hours=1)) == []
    assert ended.job_id in world.do(history.prune, kept=timedelta())  # beside it the checks of the data sets
    assert world.do(history.prune, kept=timedelta()) == []
    with world.database.read() as session:
        for table in (JobEvent, Metric, LogLine):
            left = session.execute(select(table.job_id, func.count()).group_by(table.job_id)).all()
            assert [job_id for job_id, _ in left] == [running.job_id], table
        assert session.get_one(Job, ended.job_id).status == "succeeded"
        assert session.get_one(Attempt, (ended.job_id, 1)).status == "succeeded"
