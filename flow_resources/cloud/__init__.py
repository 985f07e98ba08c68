"""The only door to the Flow SDK: what the verbs may ask of the service, and nothing else.

* `settings` finds the key, the project and the region; `sdk_settings` is what the SDK says of them.
* `client` has one method per request; each verb gets a view of its own of the process's `connection`.
* `sdk` opens the SDK; `transport` is the HTTP client that it uses; `ssh_keys` launches with exactly the named keys.
* `retries` retries within a `retry_budget`; `creation` creates once, also where an answer is lost.
* `service_clock` knows the service's time, by the `Date` of its answers.
* `listings` and `single_flight` let all threads share one reading, `gathering` waits for who is about to ask for it;
  `catalogue` is what one says of types and offers; `parallel` reads several things at the same time.
* `launch` is what a new bid needs; `machine` is what runs on its machines; `startup_script` reads what they are sent.
* `errors` translates whatever the SDK raises; `footprint` keeps the process small.

No type of the SDK leaves this package. The SDK is imported with the first request: a program that only declares
resources does not pay for it.
"""

from flow_resources.cloud.client import Cloud, MadeVolume, Placed
from flow_resources.cloud.connection import Connection, Project
from flow_resources.cloud.launch import Boot, JobEnd, Launch
from flow_resources.cloud.parallel import read_together
from flow_resources.cloud.retry_budget import RetryBudget
from flow_resources.cloud.settings import Settings
from flow_resources.cloud.startup_script import has_command_unit

__all__ = [
    "Boot",
    "Cloud",
    "Connection",
    "JobEnd",
    "Launch",
    "MadeVolume",
    "Placed",
    "Project",
    "RetryBudget",
    "Settings",
    "has_command_unit",
    "read_together",
]
