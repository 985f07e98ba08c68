// The resources of this program, with the inputs and outputs that it uses. docs/reference/inputs.md lists all of them.
package main

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// VolumeArgs are inputs of a Volume.
type VolumeArgs struct {
	SizeGb    pulumi.IntInput
	Interface pulumi.StringPtrInput
	Region    pulumi.StringPtrInput
}

// Volume is storage that outlives machines.
type Volume struct {
	pulumi.CustomResourceState
	VolumeId pulumi.StringOutput `pulumi:"volume_id"`
}

// NewVolume declares a Volume.
func NewVolume(ctx *pulumi.Context, name string, args VolumeArgs, opts ...pulumi.ResourceOption) (*Volume, error) {
	volume := &Volume{}
	props := known(pulumi.Map{"size_gb": args.SizeGb, "interface": args.Interface, "region": args.Region})
	return volume, ctx.RegisterResource("flow:index:Volume", name, props, volume, opts...)
}

// GpuClusterArgs are inputs of a GpuCluster.
type GpuClusterArgs struct {
	InstanceType    pulumi.StringInput
	MaxPricePerHour pulumi.Float64Input
	NumInstances    pulumi.IntPtrInput
	Region          pulumi.StringPtrInput
	Volumes         pulumi.Array
}

// GpuCluster is a bid for machines, and the machines that it wins.
type GpuCluster struct {
	pulumi.CustomResourceState
	TaskId      pulumi.StringOutput      `pulumi:"task_id"`
	Status      pulumi.StringOutput      `pulumi:"status"`
	SshCommands pulumi.StringArrayOutput `pulumi:"ssh_commands"`
}

// NewGpuCluster declares a GpuCluster.
func NewGpuCluster(
	ctx *pulumi.Context, name string, args GpuClusterArgs, opts ...pulumi.ResourceOption,
) (*GpuCluster, error) {
	cluster := &GpuCluster{}
	props := known(pulumi.Map{
		"instance_type":      args.InstanceType,
		"max_price_per_hour": args.MaxPricePerHour,
		"num_instances":      args.NumInstances,
		"region":             args.Region,
	})
	if args.Volumes != nil {
		props["volumes"] = args.Volumes
	}
	return cluster, ctx.RegisterResource("flow:index:GpuCluster", name, props, cluster, opts...)
}

// known leaves out what is not set.
func known(props pulumi.Map) pulumi.Map {
	for name, value := range props {
		if value == nil {
			delete(props, name)
		}
	}
	return props
}
