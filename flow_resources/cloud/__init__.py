"""The only door to the Flow SDK: what the verbs may ask of the service, and nothing else.

`settings` finds the key, project and region; `door` has one method a question; `client` opens the SDK; `launching`
says what a launch needs; `scripts` reads what one left; `transport` makes every read fresh and every lost answer found
again; `retrying` asks again, as long as `patience` lasts; `keys` uses exactly the SSH keys that were named; `shared`
lets all threads of a process share one reading; `failures` turns whatever the SDK raises into the errors of this
package. No type of the SDK leaves this room. The SDK is imported when the first question is asked: a program that only
declares resources never pays.
"""

from flow_resources.cloud.client import Cloud, Placed, Project
from flow_resources.cloud.launch import Launch
from flow_resources.cloud.retry_budget import RetryBudget
from flow_resources.cloud.settings import Settings

__all__ = ["Cloud", "Launch", "Placed", "Project", "RetryBudget", "Settings"]
