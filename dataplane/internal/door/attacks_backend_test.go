package door

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	pprofile "github.com/google/pprof/profile"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"

	"flameplane.dev/dataplane/internal/devstore"
)

const (
	livePyroscope = "FLAMEPLANE_PYROSCOPE_URL"
	olderAPI      = "the older API"
	planted       = "attacker.Planted" // a function of what attacks push
	shownWithin   = time.Minute        // from a push until Pyroscope shows it
)

// shop is a backend with profiles of two teams, both of a service checkout, so that the tenant alone keeps them apart.
// A function of each is known nowhere else.
type shop struct {
	url       string
	render    bool              // whether it serves the older API; devstore does not
	functions map[string]string // by team
}

func TestAttacksGiveNothingAwayOfDevstore(t *testing.T) {
	attackAll(t, ofDevstore(t), false)
}

func TestAttacksGiveNothingAwayOfPyroscope(t *testing.T) {
	address := os.Getenv(livePyroscope)
	if address == "" {
		t.Skipf("NOT RUN: $%s names no running Pyroscope (2.2 or newer, multitenancy on)", livePyroscope)
	}
	attackAll(t, address, true)
}

// ofDevstore is the address of an empty devstore.
func ofDevstore(t *testing.T) string {
	t.Helper()
	store, err := devstore.Open(devstore.Options{Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return served(t, store.Handler())
}

// attackAll has the good requests succeed first and last: a door that nobody passes would withstand every attack.
func attackAll(t *testing.T, address string, render bool) {
	held := opened(t, address)
	held.render = render
	t.Run("good before", held.serves)
	for _, one := range attacks {
		t.Run(one.name, func(t *testing.T) {
			w := before(t, held.url)
			status, body := one.send(w)
			if status < 400 {
				t.Fatalf("answered %d %s", status, body)
			}
			for team, function := range held.functions {
				if strings.Contains(body, function) {
					t.Fatalf("the answer has the function of %s: %s", team, body)
				}
			}
			w.hasRefused(one, status, body)
		})
	}
	t.Run("nothing was planted", func(t *testing.T) {
		for _, tenant := range []string{"payments", "payments-longterm", "catalog", "catalog-longterm", "search", "search-longterm", "nobody"} {
			if found := held.holds(t, tenant); strings.Contains(found, planted) {
				t.Errorf("an attack wrote into %s: %s", tenant, found)
			}
		}
	})
	t.Run("good after", held.serves)
	t.Run("a team's agent writes there alone", func(t *testing.T) {
		w := before(t, held.url)
		status, body := w.post(w.program(agent), "/push.v1.PusherService/Push", pushOf("payments"), header(tenantHeader, "catalog", "catalog|payments"))
		if status != http.StatusOK {
			t.Fatalf("answered %d %s", status, body)
		}
		held.shows(t, "payments", planted)
		if found := held.holds(t, "catalog"); strings.Contains(found, planted) {
			t.Errorf("it is in catalog, too: %s", found)
		}
	})
}

// opened is the backend once both teams' profiles came in by the door and can be read.
func opened(t *testing.T, address string) *shop {
	t.Helper()
	held := &shop{url: address, functions: map[string]string{"payments": "payments.Secret" + rand.Text(), "catalog": "catalog.Secret" + rand.Text()}}
	for team, function := range held.functions {
		w := before(t, address)
		push := `{"series":[` + seriesWith(team, function) + `]}`
		if status, body := w.post(w.program(agent), "/push.v1.PusherService/Push", push); status != http.StatusOK {
			t.Fatalf("%s: answered %d %s", team, status, body)
		}
		held.shows(t, team, function)
	}
	return held
}

// serves is that each team's readers, programs and jobs get what is theirs, and no function of the other team.
func (s *shop) serves(t *testing.T) {
	other := func(text string) string { return strings.Replace(text, "payments", "catalog", 1) }
	whole := strings.TrimPrefix(stacktracesOf(""), "{")
	for _, one := range []struct {
		name, team, rule string
		send             func(w *world) (int, string)
	}{
		{"a reader", "payments", "reader-of-team", asking(reader, stacks, stacktracesOf(""))},
		{"the other team's reader", "catalog", "reader-of-team", asking(otherReader, other(stacks), stacktracesOf(""))},
		{"a reader who names no tenant", "payments", "reader-of-team", asking(reader, strings.TrimPrefix(stacks, "/tenant/payments"), stacktracesOf(""))},
		{"a reader with another tenant's header", "payments", "reader-of-team", asking(reader, stacks, stacktracesOf(""), header(tenantHeader, "catalog"))},
		{"a reader with two tenants in a header", "payments", "reader-of-team", asking(reader, stacks, stacktracesOf(""), header("x-scope-orgid", "payments|catalog"))},
		{"a reader with two such headers", "payments", "reader-of-team", asking(reader, stacks, stacktracesOf(""), header(tenantHeader, "payments", "catalog"))},
		{"a reader who selects everything", "payments", "reader-of-team", asking(reader, stacks, query(fmt.Sprintf(`,"profile_typeID":%q,"label_selector":"{}"`, cpu)))},
		{"a reader who names the other team", "payments", "reader-of-team", asking(reader, stacks, strings.Replace(stacktracesOf(""), "checkout", `checkout\",team=~\"payments|catalog`, 1))},
		{"a difference", "payments", "reader-of-team", asking(reader, strings.Replace(stacks, "SelectMergeStacktraces", "Diff", 1), `{"left":{`+whole+`,"right":{`+whole+`}`)},
		{olderAPI, "payments", "reader-of-team", func(w *world) (int, string) {
			return w.send(http.MethodGet, w.person(reader), renderQuery(), "", nil)
		}},
		{"who runs the platform", "catalog", "platform", asking("platform", other(stacks), stacktracesOf(""))},
		{"a program that reads tenants", "payments", "program-reads-tenants", func(w *world) (int, string) {
			return w.post(w.program("flameplane-system/flameplane-downsample"), wholeOne, stacktracesOf(""))
		}},
		{"a job of CI", "payments", "job-of-repository", job("checkout", "checkout", cpu, 15)},
	} {
		if one.name == olderAPI && !s.render {
			continue
		}
		t.Run(one.name, func(t *testing.T) {
			w := before(t, s.url)
			status, body := one.send(w)
			s.only(t, one.team, status, body)
			if got := w.last(); !got.Allowed || got.Rule != one.rule || got.Tenant != one.team || len(w.journal.all()) != 1 {
				t.Fatalf("on record: %+v", got)
			}
		})
	}
	t.Run("a grant, once", s.givesOnce)
}

func (s *shop) givesOnce(t *testing.T) {
	w, now := before(t, s.url), time.Now()
	w.grant("gift", "ann@example.com", "checkout", pprof, now.Add(-time.Hour), now.Add(time.Hour), now.Add(time.Hour))
	status, body := asking(reader, wholeOne, stacktracesOf(""), header(grantHeader, "gift"))(w)
	s.only(t, "payments", status, body)
	if !strings.Contains(body, "flameplane export grant gift") {
		t.Fatalf("the profile does not say by which grant it left: %s", body)
	}
	status, body = asking(reader, wholeOne, stacktracesOf(""), header(grantHeader, "gift"))(w)
	if status != http.StatusForbidden || strings.Contains(body, s.functions["payments"]) || w.last().Rule != "grant-used" {
		t.Fatalf("a second time: %d %s; %+v", status, body, w.last())
	}
}

// only is an answer with the function of one team, and of no other.
func (s *shop) only(t *testing.T, team string, status int, body string) {
	t.Helper()
	if status != http.StatusOK {
		t.Fatalf("answered %d %s", status, body)
	}
	for of, function := range s.functions {
		if strings.Contains(body, function) != (of == team) {
			t.Fatalf("the function of %s: %v; the answer is for %s: %s", of, strings.Contains(body, function), team, body)
		}
	}
}

// holds are the functions of a tenant, asked of the backend itself.
func (s *shop) holds(t *testing.T, tenant string) string {
	t.Helper()
	start, end := window()
	asked := connect.NewRequest(&querierv1.SelectMergeStacktracesRequest{ProfileTypeID: cpu, LabelSelector: "{}", Start: start, End: end})
	asked.Header().Set(tenantHeader, tenant)
	answer, err := querierv1connect.NewQuerierServiceClient(http.DefaultClient, s.url).SelectMergeStacktraces(t.Context(), asked)
	if err != nil {
		t.Fatalf("%s: %v", tenant, err)
	}
	return strings.Join(answer.Msg.GetFlamegraph().GetNames(), " ")
}

func (s *shop) shows(t *testing.T, tenant, function string) {
	t.Helper()
	for end := time.Now().Add(shownWithin); !strings.Contains(s.holds(t, tenant), function); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s does not show %s: %s", tenant, function, s.holds(t, tenant))
		}
	}
}

// profileOf is a second of CPU time in one function, as an agent sends it. It is a minute old, so that it is in the
// window of every request that was written down when the tests started.
func profileOf(function string) string {
	frame := &pprofile.Function{ID: 1, Name: function, SystemName: function, Filename: "checkout.go"}
	location := &pprofile.Location{ID: 1, Line: []pprofile.Line{{Function: frame, Line: 7}}}
	var text bytes.Buffer
	err := (&pprofile.Profile{
		SampleType: []*pprofile.ValueType{{Type: "cpu", Unit: "nanoseconds"}},
		PeriodType: &pprofile.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 10_000_000,
		TimeNanos: time.Now().Add(-time.Minute).UnixNano(), DurationNanos: int64(time.Second),
		Function: []*pprofile.Function{frame}, Location: []*pprofile.Location{location},
		Sample: []*pprofile.Sample{{Location: []*pprofile.Location{location}, Value: []int64{int64(time.Second)}}},
	}).Write(&text)
	if err != nil {
		panic(err) // it is the same each time
	}
	return base64.StdEncoding.EncodeToString(text.Bytes())
}
