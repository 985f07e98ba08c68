module flow-resources/tools/pulumi-languages

go 1.25

require github.com/pulumi/pulumi/sdk/v3 v3.60.0

tool (
	github.com/pulumi/pulumi/sdk/v3/go/pulumi-language-go
	github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs
)
