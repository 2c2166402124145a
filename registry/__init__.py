"""The registry: jobs, teachers, datasets, models, API keys and stored files in a SQL database.

It does not depend on HTTP, Celery tasks or torch. Callers own the transaction: the entry points
commit through `registry.db.database.Database.write`. Nothing in this package commits.
"""
