package bpf

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// specs are those of all objects; a build without them is told in words, and ends the test.
func specs(t *testing.T) map[string]*ebpf.CollectionSpec {
	t.Helper()
	found := map[string]*ebpf.CollectionSpec{}
	for _, name := range append(slices.Clone(Objects), Places) {
		spec, err := Spec(name)
		if _, missing := files.Open(name + ".bpf.o"); missing != nil {
			if err == nil || !strings.Contains(err.Error(), "without its BPF object "+name) {
				t.Fatalf("%v", err)
			}
			t.Skip("NOT RUN: " + err.Error())
		}
		if err != nil {
			t.Fatal(err)
		}
		found[name] = spec
	}
	return found
}

func TestSaysWhatIsMissing(t *testing.T) {
	if _, err := Spec("nothing"); err == nil || !strings.Contains(err.Error(), "without its BPF object nothing") {
		t.Fatal(err)
	}
}

// Both languages must agree on every member; the compiler left the C side in the objects.
func TestRecordsAreThoseOfTheSources(t *testing.T) {
	found := specs(t)
	for object, records := range map[string]map[string]any{
		Sampler: {"control": Told{}, "sample": Sample{}, "stack": Stack{}, "program": Program{}, "interpreter": Interpreter{},
			"code": Code{}},
		Places: {"control": Told{}, "sample": Sample{}, "stack": Stack{}, "place": Place{}, "placed": PlacedStack{},
			"named": Named{}},
		Tasks:    {"task": Task{}},
		Mappings: {"mapping": Mapping{}},
		Memory:   {"question": Question{}},
		Symbols:  {"symbol": Symbol{}},
		Blocks:   {"control": OffTold{}, "block": Block{}, "blocked": Blocked{}, "all": All{}, "stack": Stack{}},
	} {
		for name, record := range records {
			var declared *btf.Struct
			if err := found[object].Types.TypeByName(name, &declared); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			ours := reflect.TypeOf(record)
			if int(declared.Size) != int(ours.Size()) || len(declared.Members) != ours.NumField() {
				t.Errorf("%s: %d bytes, %d in Go", name, declared.Size, ours.Size())
				continue
			}
			for i, member := range declared.Members {
				field := ours.Field(i)
				if int(member.Offset.Bytes()) != int(field.Offset) || !strings.EqualFold(
					strings.ReplaceAll(member.Name, "_", ""), field.Name) {
					t.Errorf("%s.%s is at %d, %s at %d", name, member.Name, member.Offset.Bytes(), field.Name, field.Offset)
				}
			}
		}
	}
	if size := found[Memory].Maps[Answers].ValueSize; size != AnswerSize {
		t.Errorf("an answer has %d bytes", size)
	}
	if count := found[Sampler].Maps[Outcomes].MaxEntries; count != outcomes {
		t.Errorf("%d outcomes", count)
	}
	if count := found[Sampler].Maps[PythonOutcomes].MaxEntries; count != pythonOutcomes {
		t.Errorf("%d outcomes of Python's stacks", count)
	}
	if count := found[Blocks].Maps[OffOutcomes].MaxEntries; count != offOutcomes {
		t.Errorf("%d outcomes of waits", count)
	}
}

// verifierLogs names a folder where what the verifier says is kept: a file for each program.
const verifierLogs = "FLAMEPLANE_VERIFIER_LOGS"

// The verifier of this kernel takes them all, and says how much of its budget of 1,000,000 instructions each takes.
func TestLoads(t *testing.T) {
	found := specs(t)
	for name, spec := range found {
		collection, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
			Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats},
		})
		var refused *ebpf.VerifierError
		if !errors.As(err, &refused) && errors.Is(err, os.ErrPermission) {
			t.Skipf("NOT RUN: BPF programs cannot be loaded here: %v", err)
		}
		if err != nil {
			t.Errorf("%s: %+v", name, err)
			continue
		}
		for program, loaded := range collection.Programs {
			log := strings.TrimSpace(loaded.VerifierLog)
			if !strings.Contains(log, "processed ") {
				t.Errorf("%s/%s: the verifier says nothing: %q", name, program, log)
			}
			t.Logf("%s/%s: %s", name, program, strings.ReplaceAll(log, "\n", "; "))
			if folder := os.Getenv(verifierLogs); folder != "" {
				path := filepath.Join(folder, name+"-"+program+".log")
				if err := os.WriteFile(path, []byte(log+"\n"), 0o644); err != nil {
					t.Error(err)
				}
			}
		}
		collection.Close()
	}
}
