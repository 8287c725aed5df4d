//go:build race

package jfr

// The race detector maps more than any limit that would be one.
const mostMapped = 0
