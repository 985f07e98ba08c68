// The resources of this program, with the inputs and outputs that it uses. docs/reference/inputs.md lists all of them.
import * as pulumi from "@pulumi/pulumi";

export interface VolumeArgs {
  size_gb: pulumi.Input<number>;
  interface?: pulumi.Input<"file" | "block">;
  region?: pulumi.Input<string>;
}

export class Volume extends pulumi.CustomResource {
  declare readonly volume_id: pulumi.Output<string>;

  constructor(name: string, args: VolumeArgs, opts?: pulumi.CustomResourceOptions) {
    super("flow:index:Volume", name, { volume_id: undefined, ...args }, opts);
  }
}

export interface GpuClusterArgs {
  instance_type: pulumi.Input<string>;
  max_price_per_hour: pulumi.Input<number>;
  num_instances?: pulumi.Input<number>;
  region?: pulumi.Input<string>;
  command?: pulumi.Input<string | string[]>;
  env?: pulumi.Input<Record<string, pulumi.Input<string>>>;
  volumes?: pulumi.Input<pulumi.Input<{ volume_id: pulumi.Input<string>; mount_path: string }>[]>;
}

export class GpuCluster extends pulumi.CustomResource {
  declare readonly task_id: pulumi.Output<string>;
  declare readonly status: pulumi.Output<string>;
  declare readonly ssh_commands: pulumi.Output<string[]>;

  constructor(name: string, args: GpuClusterArgs, opts?: pulumi.CustomResourceOptions) {
    super("flow:index:GpuCluster", name, { task_id: undefined, status: undefined, ssh_commands: undefined, ...args }, opts);
  }
}
