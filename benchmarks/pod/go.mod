module flameplane.dev/benchmarks/pod

go 1.26.0

require (
	github.com/google/pprof v0.0.0-20261016150608-1facf8f91b50
	github.com/grafana/pyroscope-go/godeltaprof v0.1.12
)

require github.com/klauspost/compress v1.18.6 // indirect
