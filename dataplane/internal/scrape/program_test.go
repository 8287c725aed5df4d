package scrape

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/prometheus/client_golang/prometheus"

	"flameplane.dev/dataplane/internal/identity"
)

// program is a real Go program that does what it is asked for.
type program struct {
	t       *testing.T
	binary  string
	address netip.AddrPort
	running *exec.Cmd
}

func start(t *testing.T) *program {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "program")
	if said, err := exec.Command("go", "build", "-o", binary, "./testdata/program").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	p := &program{t: t, binary: binary, address: netip.MustParseAddrPort("127.0.0.2:0")}
	p.begin()
	t.Cleanup(func() { p.end() })
	return p
}

func (p *program) begin() {
	p.t.Helper()
	p.running = exec.Command(p.binary, p.address.String())
	out, err := p.running.StdoutPipe()
	if err == nil {
		err = p.running.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.t.Fatal(err)
	}
	p.address = netip.MustParseAddrPort(strings.TrimSpace(line))
}

func (p *program) end() {
	_ = p.running.Process.Kill()
	_ = p.running.Wait()
}

func (p *program) does(what string, number int) {
	p.t.Helper()
	response, err := http.Get(fmt.Sprintf("http://%s/%s?number=%d", p.address, what, number))
	if err != nil {
		p.t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		p.t.Fatal(response.Status)
	}
}

func (p *program) source(types ...string) identity.Source {
	return identity.Source{
		Whose: identity.Whose{Labels: map[string]string{"service_name": "cart", "pod": "cart-0"}}, UID: "1", Address: p.address.Addr(),
		Service:    identity.Service{Name: "cart", Language: "go", PprofPort: int(p.address.Port()), Types: types, CPUSource: "ebpf"},
		Containers: map[string]string{"c1": "main"},
	}
}

func (p *program) between(s *Scraper, kindOf string) *delta {
	return newDelta(s.memory, p.source().UID, kinds[kindOf].cumulative)
}

// in is the sum of a type's values over all stacks with a function.
func in(t *testing.T, p *profile.Profile, kind, function string) (sum int64) {
	t.Helper()
	column := -1
	for i, each := range p.SampleType {
		if each.Type == kind {
			column = i
		}
	}
	if column < 0 {
		t.Fatalf("there is no %s", kind)
	}
	for _, sample := range p.Sample {
		if has(sample, function) {
			sum += sample.Value[column]
		}
	}
	return sum
}

func has(sample *profile.Sample, function string) bool {
	for _, location := range sample.Location {
		for _, line := range location.Line {
			if line.Function.Name == function {
				return true
			}
		}
	}
	return false
}

// what was sent.
type sent struct {
	source  identity.Source
	name    string
	profile *profile.Profile
}

type nodeOf func() []identity.Source

func (n nodeOf) Sources() []identity.Source { return n() }

func scraper(every time.Duration, node nodeOf) (*Scraper, chan sent) {
	all := make(chan sent, 100)
	send := func(source identity.Source, name string, p *profile.Profile) error {
		all <- sent{source, name, p.Copy()}
		return nil
	}
	return New(node, send, every, prometheus.NewRegistry()), all
}

// scrape is one scrape, and what was sent of it.
func (p *program) scrape(s *Scraper, all chan sent, kindOf string, between *delta) (string, *profile.Profile) {
	p.t.Helper()
	outcome, err := s.once(context.Background(), p.source(kindOf), p.address, kinds[kindOf], between)
	if err != nil {
		p.t.Fatal(err)
	}
	select {
	case one := <-all:
		if err := one.profile.CheckValid(); err != nil || one.name != kinds[kindOf].name {
			p.t.Errorf("%s: %v", one.name, err)
		}
		return outcome, one.profile
	default:
		return outcome, nil
	}
}
