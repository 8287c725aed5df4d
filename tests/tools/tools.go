// Package tools names what the tests take from other Go modules; nothing here is part of the platform.
package tools

// Holds the official JSON schema of SARIF 2.1.0 (OASIS, errata 01) as a text.
import _ "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
