import pulumi
import pulumi_pulumiservice as cloud

config = pulumi.Config()
organization = pulumi.get_organization()
project, stack = "flow-watch", "prod"  # the stack that is watched

settings = cloud.DeploymentSettings(
    "settings",
    organization=organization,
    project=project,
    stack=stack,
    source_context=cloud.DeploymentSettingsSourceContextArgs(
        git=cloud.DeploymentSettingsGitSourceArgs(
            repo_url="https://git.example.com/team/flow-watch.git",
            branch="main",  # what is merged there is applied
        )
    ),
    operation_context=cloud.DeploymentSettingsOperationContextArgs(
        environment_variables={"MITHRIL_API_KEY": config.require_secret("mithrilApiKey")},
    ),
)

# Every fifteen minutes a refresh looks for drift. A preemption is drift, and its remedy is `pulumi up --refresh`.
cloud.DriftSchedule(
    "heal",
    organization=organization,
    project=project,
    stack=stack,
    schedule_cron="*/15 * * * *",
    auto_remediate=True,
    opts=pulumi.ResourceOptions(depends_on=settings),
)

# At this time, 2027-01-31T18:00:00Z for example, `pulumi destroy` ends the stack, with its volumes unless protected.
if ends_at := config.get("endsAt"):
    cloud.TtlSchedule(
        "end",
        organization=organization,
        project=project,
        stack=stack,
        timestamp=ends_at,
        delete_after_destroy=False,
        opts=pulumi.ResourceOptions(depends_on=settings),
    )
