"""The pure core: functions from values to values, without I/O, Pulumi or the Flow SDK.

* `inputs`, `placement_fields`, `cluster_fields`, `volume_fields`: what a program may say, and what a change does;
* `diff`: the difference between recorded and new inputs;
* `market`: what the service offers, and the checks against it;
* `naming`: the names of bids and volumes, and the marks in them;
* `models`, `status`: what the service's JSON means;
* `stack_state`, `orphans`: what stored states record, and what is live but recorded in none;
* `exports`: what one project's stack exports for another;
* `money`: amounts in USD.
"""
