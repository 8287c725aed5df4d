// Package contract is what our clients rely on in a backend: requests, and what a real Pyroscope answered to them.
//
// The pairs are data. cases/ holds the requests, written by hand; golden/ the answers, written by cmd/record from a real
// server, whose version stands in each file; profiles/ what is pushed. A test plays the requests against our own devstore
// and, where one is at hand, against a real Pyroscope, and compares. docs/contract.md says what is covered.
//
// Nothing in it is bound to a moment: times are offsets from a base that the player chooses, and tenants get a suffix, so
// that one server can be played against at any hour and again.
package contract
