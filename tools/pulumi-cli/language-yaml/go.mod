module flow-resources/tools/pulumi-language-yaml

go 1.25

require github.com/pulumi/pulumi-yaml v1.25.0

tool github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml
