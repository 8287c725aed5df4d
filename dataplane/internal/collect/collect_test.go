package collect

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"flameplane.dev/dataplane/bpf"
	"flameplane.dev/dataplane/internal/cpuprofile"
	"flameplane.dev/dataplane/internal/process"
	"flameplane.dev/dataplane/internal/python"
	"flameplane.dev/dataplane/internal/sampler"
	"flameplane.dev/dataplane/internal/symbols"
)

// world is a kernel and a node of which a test says everything.
type world struct {
	counts []sampler.Count
	stacks map[uint64][]uint64
	tasks  []process.Task
	spaces map[process.ID]process.Space
	asked  int

	followed map[process.ID]python.Interpreter
}

func (w *world) Drain() ([]sampler.Count, error) {
	drained := w.counts
	w.counts = nil
	return drained, nil
}

func (w *world) Stack(key uint64) ([]uint64, bool) { stack, ok := w.stacks[key]; return stack, ok }
func (w *world) Tasks() ([]process.Task, error)    { return w.tasks, nil }

func (w *world) Spaces(wanted []process.ID) (map[process.ID]process.Space, error) {
	found := map[process.ID]process.Space{}
	for _, id := range wanted {
		w.asked++
		if space, ok := w.spaces[id]; ok {
			found[id] = space
		}
	}
	return found, nil
}

func (w *world) Follow(wanted map[process.ID]python.Interpreter) error {
	w.followed = wanted
	return nil
}

func (w *world) Frames(keys []uint64) (frames []cpuprofile.Frame) {
	for _, key := range keys {
		frames = append(frames, cpuprofile.Frame{Function: fmt.Sprintf("function %d", key)})
	}
	return frames
}

type nothing struct{}

func (nothing) ReadAt([]byte, int64) (int, error) { return 0, errors.New("refused") }

var (
	one     = process.ID{Tgid: 10, Start: 1}
	library = process.Mapping{Start: 0x1000, End: 0x2000, File: process.File{Inode: 5}, Path: "/lib/a", Flags: bpf.Exec}
	began   = time.Unix(100, 0)
)

func sample(cgroup uint64, id process.ID, user, kernel uint64, hz uint32) bpf.Sample {
	return bpf.Sample{Cgroup: cgroup, Tgid: id.Tgid, Start: id.Start, User: user, Kernel: kernel, Hz: hz}
}

func begin(w *world) (*Collector, *Metrics) {
	metrics := NewMetrics(prometheus.NewRegistry())
	known := symbols.New(nil, func(process.ID) io.ReaderAt { return nothing{} })
	kinds := []Kind{{Name: "process_cpu", Counts: w, New: func() *cpuprofile.Builder { return cpuprofile.New(99) }}}
	return New(kinds, w, known, w, metrics, began), metrics
}

func flushed(t *testing.T, c *Collector) map[string]*profile.Profile {
	t.Helper()
	groups, err := c.Flush(began.Add(10 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*profile.Profile{}
	for _, group := range groups {
		found[group.Path] = group.Profile
	}
	return found
}

func total(p *profile.Profile) (cpu time.Duration) {
	for _, sample := range p.Sample {
		cpu += time.Duration(sample.Value[1])
	}
	return cpu
}

func TestOneProfileForEachCgroup(t *testing.T) {
	w := &world{
		stacks: map[uint64][]uint64{1: {0x1100, 0x1200}, 2: {0xffffffff81000000}},
		spaces: map[process.ID]process.Space{one: {library}},
		tasks:  []process.Task{{ID: one, Cgroups: []process.Cgroup{{ID: 7, Path: "/a"}, {ID: 8, Path: "/a/b"}}}},
		counts: []sampler.Count{
			{Sample: sample(8, one, 1, 0, 99), Number: 99}, {Sample: sample(8, one, 1, 2, 33), Number: 33},
			{Sample: sample(9, one, 0, 0, 99), Number: 99}, {Sample: sample(1, one, 0, 2, 99), Number: 1},
		},
	}
	c, _ := begin(w)
	if _, err := c.Tasks(); err != nil {
		t.Fatal(err)
	}
	if err := c.Read(); err != nil {
		t.Fatal(err)
	}
	w.tasks = nil // the cgroup ends before the flush
	w.counts = []sampler.Count{{Sample: sample(8, one, 1, 0, 99), Number: 99}}
	if err := c.Read(); err != nil {
		t.Fatal(err)
	}
	found := flushed(t, c)
	if len(found) != 3 || total(found["/a/b"]) != 3*time.Second || total(found[unknown]) != time.Second || found["/"] == nil {
		t.Fatalf("%v", found)
	}
	first := found["/a/b"].Sample[0]
	if first.Location[0].Address != 0x100 || first.Value[0] != 198 {
		t.Errorf("%v", found["/a/b"])
	}
	if mapping := first.Location[0].Mapping; mapping.File != "/lib/a" || w.asked != 1 {
		t.Errorf("%+v, asked %d times", mapping, w.asked)
	}
	if again := flushed(t, c); len(again) != 0 {
		t.Errorf("%v", again)
	}
}

func TestALibraryThatIsLoadedLater(t *testing.T) {
	w := &world{
		stacks: map[uint64][]uint64{1: {0x1100}, 2: {0x5100}},
		spaces: map[process.ID]process.Space{one: {library}},
		counts: []sampler.Count{{Sample: sample(8, one, 1, 0, 99), Number: 1}},
	}
	c, _ := begin(w)
	if err := c.Read(); err != nil {
		t.Fatal(err)
	}
	later := library
	later.Start, later.End, later.Path, later.File.Inode = 0x5000, 0x6000, "/lib/b", 6
	w.spaces[one] = process.Space{library, later}
	w.counts = []sampler.Count{{Sample: sample(8, one, 2, 0, 99), Number: 1}}
	if err := c.Read(); err != nil {
		t.Fatal(err)
	}
	delete(w.spaces, one) // it ends; a stack of before still has its mappings
	w.stacks[3] = []uint64{0x5200, 0x9999}
	w.counts = []sampler.Count{{Sample: sample(8, one, 3, 0, 99), Number: 1}}
	if err := c.Read(); err != nil {
		t.Fatal(err)
	}
	samples := flushed(t, c)[unknown].Sample
	if len(samples) != 3 || samples[1].Location[0].Mapping.File != "/lib/b" || samples[2].Location[0].Mapping.File != "/lib/b" {
		t.Errorf("%v", samples)
	}
}

// A container's first process is the runtime before it is the program: what ran then lies in other mappings.
func TestAProcessThatBecomesAnotherProgram(t *testing.T) {
	runtime, program := one, one
	program.Program++
	other := library
	other.Path, other.File.Inode = "/bin/b", 6
	w := &world{
		stacks: map[uint64][]uint64{1: {0x1100}},
		spaces: map[process.ID]process.Space{program: {other}},
	}
	before, after := sample(8, runtime, 1, 0, 99), sample(8, program, 1, 0, 99)
	after.Program = program.Program
	w.counts = []sampler.Count{{Sample: before, Number: 1}, {Sample: after, Number: 5}}
	c, _ := begin(w)
	if err := c.Read(); err != nil {
		t.Fatal(err)
	}
	for _, sample := range flushed(t, c)[unknown].Sample {
		mapping := sample.Location[0].Mapping
		if known := mapping != nil && mapping.File == "/bin/b"; known != (sample.Value[0] == 5) {
			t.Errorf("%d samples in %+v", sample.Value[0], mapping)
		}
	}
}

// Both kinds come of one process, whose mappings are asked for once.
func TestAProfileForEachKind(t *testing.T) {
	w := &world{
		stacks: map[uint64][]uint64{1: {0x1100}}, spaces: map[process.ID]process.Space{one: {library}},
		counts: []sampler.Count{{Sample: sample(8, one, 1, 0, 99), Number: 99}},
	}
	waits := &world{
		stacks: map[uint64][]uint64{1: {0x1200}},
		counts: []sampler.Count{{Sample: sample(8, one, 1, 0, 0), Number: 4, Blocked: time.Minute}},
	}
	c, _ := begin(w)
	c.kinds = append(c.kinds, Kind{Name: "off_cpu", Counts: waits, New: cpuprofile.NewOffCPU})
	if err := c.Read(); err != nil {
		t.Fatal(err)
	}
	groups, err := c.Flush(began.Add(time.Second))
	if err != nil || len(groups) != 2 || w.asked != 1 {
		t.Fatalf("%v %v, asked %d times", groups, err, w.asked)
	}
	for _, group := range groups {
		values, address := group.Profile.Sample[0].Value, group.Profile.Sample[0].Location[0].Address
		switch group.Name {
		case "process_cpu":
			if !slices.Equal(values, []int64{99, int64(time.Second)}) || address != 0x100 || group.Samples != 99 {
				t.Errorf("%+v", group)
			}
		case "off_cpu":
			if !slices.Equal(values, []int64{int64(time.Minute)}) || address != 0x200 || group.Samples != 4 {
				t.Errorf("%+v", group)
			}
		default:
			t.Errorf("%+v", group)
		}
	}
}

// Another program on the same tracepoint makes stacks one frame deeper.
func TestTheSchedulerIsCutOff(t *testing.T) {
	stack := func(names ...string) (frames []cpuprofile.Frame) {
		for _, name := range names {
			frames = append(frames, cpuprofile.Frame{Function: name})
		}
		return frames
	}
	want := stack("schedule", "do_nanosleep", "main")
	for _, found := range [][]cpuprofile.Frame{
		want, stack("__schedule", "schedule", "do_nanosleep", "main"),
		stack("bpf_prog", "__traceiter_sched_switch", "__schedule", "schedule", "do_nanosleep", "main"),
	} {
		if cut := below("__schedule", found); !slices.Equal(cut, want) {
			t.Errorf("%v", cut)
		}
	}
	deep := stack("a", "b", "c", "d", "e", "__schedule", "f")
	if cut := below("__schedule", deep); !slices.Equal(cut, deep) || len(below("", deep)) != len(deep) || len(below("x", nil)) != 0 {
		t.Errorf("%v", cut)
	}
}

func TestCPUTimeWithoutAStackIsKept(t *testing.T) {
	w := &world{stacks: map[uint64][]uint64{1: {0x77}}, counts: []sampler.Count{
		{Sample: sample(8, one, 1, 0, 99), Number: 99}, // of a process that has ended
		{Sample: sample(8, one, 5, 0, 99), Number: 99}, // whose stack is gone
		{Sample: sample(8, one, 0, 0, 99), Number: 99},
	}}
	c, metrics := begin(w)
	if err := c.Read(); err != nil {
		t.Fatal(err)
	}
	found := flushed(t, c)[unknown]
	if total(found) != 3*time.Second || len(found.Sample) != 3 {
		t.Errorf("%v", found)
	}
	if lost := testutil.ToFloat64(metrics.StacksLost); lost != 99 {
		t.Errorf("%v stacks lost", lost)
	}
	if unmapped := testutil.ToFloat64(metrics.symbolised.WithLabelValues("nothing")); unmapped != 1 {
		t.Errorf("%v frames of nothing", unmapped)
	}
}

// Processes come and go; what is remembered of them does not grow with them.
func TestMappingsAreForgotten(t *testing.T) {
	c := &Collector{spaces: map[process.ID]*mapped{}, readings: 1000}
	for i := range uint32(400) { // 200 mappings each
		c.spaces[process.ID{Tgid: i}] = &mapped{space: make(process.Space, 200), seen: 1000 - uint64(i)/4}
	}
	c.spaces[process.ID{Tgid: 1 << 20}] = &mapped{space: make(process.Space, 1), seen: 1000 - forgotten - 1}
	c.forget()
	if len(c.spaces) > keptMappings/200 || len(c.spaces) < keptMappings/500 {
		t.Errorf("of %d processes mappings are remembered", len(c.spaces))
	}
	for id := range c.spaces {
		if id.Tgid > 200 {
			t.Errorf("process %d was seen long before others, and is remembered", id.Tgid)
		}
	}
}
