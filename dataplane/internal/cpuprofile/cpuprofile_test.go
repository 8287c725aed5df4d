package cpuprofile

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

func TestOneProfileOfManyProcesses(t *testing.T) {
	program := Image{File: "/bin/a", BuildID: "go-1", From: 0x1000, To: 0x9000}
	library := Image{File: "/lib/c", BuildID: "abc", From: 0, To: 0x5000}
	leaf := Frame{Image: program, Address: 0x1100, Function: "main.leaf", File: "a.go", Line: 7, Start: 5}
	root := Frame{Image: program, Address: 0x1200, Function: "main.main", File: "a.go", Line: 3, Start: 1}
	unnamed := Frame{Image: library, Address: 0x44}
	b := New(99)
	b.Add([]Frame{leaf, root}, 2, 2*time.Second)
	b.Add([]Frame{unnamed}, 1, time.Second)
	b.Add([]Frame{leaf, root}, 3, 5*time.Second) // of another process, or at another rate
	b.Add([]Frame{{Function: "[unknown]"}}, 1, time.Millisecond)
	start := time.Unix(1000, 0)
	built, err := b.Build(start, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := built.Write(&out); err != nil {
		t.Fatal(err)
	}
	read, err := profile.Parse(&out)
	if err != nil {
		t.Fatal(err)
	}
	if len(read.Sample) != 3 || read.Sample[0].Value[0] != 5 || read.Sample[0].Value[1] != int64(7*time.Second) {
		t.Errorf("%v", read)
	}
	if len(read.Mapping) != 2 || read.Mapping[1].BuildID != "abc" || read.Mapping[1].HasFunctions || !read.Mapping[0].HasFunctions {
		t.Errorf("%+v", read.Mapping)
	}
	if location := read.Sample[1].Location[0]; location.Address != 0x44 || len(location.Line) != 0 {
		t.Errorf("%+v", location)
	}
	if line := read.Sample[0].Location[0].Line[0]; line.Function.Name != "main.leaf" || line.Line != 7 || line.Function.StartLine != 5 {
		t.Errorf("%+v", line)
	}
	if read.Period != 10101010 || read.TimeNanos != start.UnixNano() || read.DurationNanos != int64(10*time.Second) {
		t.Errorf("%d %d %d", read.Period, read.TimeNanos, read.DurationNanos)
	}
}

// A backend without a symboliser shows no frame without a name. pprof looks the functions up all the same.
func TestFramesWithoutAFunctionAreNamedAfterTheirFile(t *testing.T) {
	library := Image{File: "/usr/lib/libz.so.1.2", BuildID: "abc", From: 0, To: 0x1000}
	b := New(99).ByFile()
	b.Add([]Frame{{Image: library, Address: 0x44}, {Image: library, Address: 0x88, Function: "inflate"}}, 1, time.Second)
	b.Add([]Frame{{Image: library, Address: 0x44}}, 1, time.Second)
	built, err := b.Build(time.Unix(1000, 0), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if len(built.Location) != 2 || len(built.Mapping) != 1 || built.Mapping[0].HasFunctions || built.Mapping[0].BuildID != "abc" {
		t.Errorf("%v", built)
	}
	if one := built.Sample[1].Location[0]; one.Address != 0x44 || one.Line[0].Function.Name != "[libz.so.1.2]" {
		t.Errorf("%+v", one)
	}
}

// Every backend keeps it under this name, and the nightly merge sums it.
func TestOffCPUIsNamedAsTheFieldDoes(t *testing.T) {
	b := NewOffCPU()
	b.Add([]Frame{{Function: "schedule"}}, 3, 2*time.Second)
	b.Add([]Frame{{Function: "schedule"}}, 1, time.Second)
	built, err := b.Build(time.Unix(1000, 0), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := built.Write(&out); err != nil {
		t.Fatal(err)
	}
	read, err := profile.Parse(&out)
	if err != nil {
		t.Fatal(err)
	}
	if len(read.SampleType) != 1 || *read.SampleType[0] != (profile.ValueType{Type: "off_cpu", Unit: "nanoseconds"}) {
		t.Errorf("%+v", read.SampleType)
	}
	if *read.PeriodType != (profile.ValueType{}) || read.Period != 0 {
		t.Errorf("%+v %d", read.PeriodType, read.Period)
	}
	if len(read.Sample) != 1 || read.Sample[0].Value[0] != int64(3*time.Second) || b.Number() != 4 {
		t.Errorf("%v, %d", read, b.Number())
	}
}
