"""The platform as a package: one component, `flameplane:Platform`, that programs in any Pulumi language can use."""
