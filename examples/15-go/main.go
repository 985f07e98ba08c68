// Two machines and the volume that both mount.
package main

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		data, err := NewVolume(ctx, "data", VolumeArgs{
			SizeGb: pulumi.Int(500),
			Region: pulumi.String("us-central5-a"),
		})
		if err != nil {
			return err
		}
		trainer, err := NewGpuCluster(ctx, "trainer", GpuClusterArgs{
			InstanceType:    pulumi.String("8xa100"),
			NumInstances:    pulumi.Int(2),
			MaxPricePerHour: pulumi.Float64(20), // the bid: USD per machine and hour
			Region:          pulumi.String("us-central5-a"),
			Volumes: pulumi.Array{pulumi.Map{
				"volume_id":  data.VolumeId,
				"mount_path": pulumi.String("/mnt/data"),
			}},
		})
		if err != nil {
			return err
		}
		ctx.Export("ssh", trainer.SshCommands)
		return nil
	})
}
