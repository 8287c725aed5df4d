module flameplane.dev/local/demo/checkout

go 1.26.0
