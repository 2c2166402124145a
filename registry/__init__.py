"""The registry: jobs, teachers, data sets, models, API keys and stored files in a SQL database.

It knows no HTTP, no Celery tasks and no torch. Callers own the transaction: the entry points commit
through `registry.db.database.Database.write`, and nothing in this package does.
"""
