//go:build !race

package jfr

// What the process may map. Go begins with 64 MB, of which it touches what it uses.
const mostMapped = 192 << 20
