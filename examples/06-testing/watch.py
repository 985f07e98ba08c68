import flow


def waiting():
    """Return the names of the tasks that are outbid, and wait in the auction."""
    with flow.Flow() as client:
        return [task.name for task in client.list_tasks(status=flow.TaskStatus.PENDING)]
