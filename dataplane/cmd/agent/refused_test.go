package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// On a kernel before 5.19, loader and agent say why they end, and nothing is loaded.
func TestOnATooOldKernel(t *testing.T) {
	here := onBooted(t)
	var minor int
	if _, err := fmt.Sscanf(here.Release, "5.%d.", &minor); err == nil && minor >= 19 {
		t.Fatalf("%s is not too old", here.Release)
	}
	words := []string{
		"the kernel is " + here.Release, "From 5.8 to 5.18 it lets nobody use BPF maps without CAP_BPF",
		"it needs 5.19 or newer, and 6.10 for names of functions and off-CPU time",
	}
	if minor < 8 {
		words = []string{"the kernel is " + here.Release, "before 5.8 there is no CAP_PERFMON", "the agent needs 5.19 or newer"}
	}
	pinned, services := bpffs(t), filepath.Join(t.TempDir(), "services.json")
	if err := os.WriteFile(services, []byte(`{"baseRateHz": 99}`), 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, filepath.Dir(services))
	refused(t, asLoader(os.Getenv(givenAgent), pinned), words...)
	refused(t, asAgent(t, pinned, services), words...)
	if left, err := os.ReadDir(pinned); err != nil || len(left) > 0 {
		t.Errorf("pinned are %v, %v", left, err)
	}
}
