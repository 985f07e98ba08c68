import flow


def waiting():
    """Return the names of the tasks that wait in the auction."""
    with flow.Flow() as client:
        return [task.name for task in client.list_tasks(status=flow.TaskStatus.PENDING)]
