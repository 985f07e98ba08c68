"""Code that uses the Flow SDK beside the program, on the same fake Mithril: here, a list of the waiting tasks."""

import flow
from watch import waiting

from flow_resources.testing import mock_mithril


@mock_mithril
def test_a_task_that_is_outbid_is_waiting(mithril):
    task = flow.run("python train.py", instance_type="8xa100", max_price_per_hour=20.0, upload_code=False)
    assert waiting() == []
    mithril.set_price("8xa100", mithril.region, 25.0)
    assert waiting() == [task.name]
