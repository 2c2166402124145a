"""What we remember: jobs, teachers, data sets, models, keys and files. No HTTP, no Celery tasks, no torch.

Callers own the transaction: nothing here commits (`registry.db.Database.write` does, at the doors).
"""
