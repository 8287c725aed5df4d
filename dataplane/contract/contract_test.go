package contract

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"flameplane.dev/dataplane/internal/devstore"
)

// mostDifferences is how long differences.yaml may be. Whoever adds one takes another away, or says in the review of this
// line why clients of ours can live with it.
const mostDifferences = 37

const (
	// URL names a real Pyroscope to play against; it has to run with multitenancy and with Pyroscope's own limits.
	urlVariable = "FLAMEPLANE_PYROSCOPE_URL"
	liveTime    = 3 * time.Minute // until blocks are compacted; on an idle machine 40 s
)

func TestDevstoreAnswersAsPyroscopeDid(t *testing.T) {
	suite := loaded(t)
	play := NewPlay(local(t), Base(time.Now()), "")
	found, err := play.written(t.Context(), suite)
	if err != nil {
		t.Fatal(err)
	}
	read, err := play.seen(t.Context(), suite)
	if err != nil {
		t.Fatal(err)
	}
	found = append(found, read...)
	listed, err := Differences()
	if err != nil {
		t.Fatal(err)
	}
	unlisted, stale := Judge(found, listed)
	for _, one := range unlisted {
		t.Error(one)
	}
	for _, one := range stale {
		t.Errorf("differences.yaml lists %s, where nothing differs any more: take it off the list", one)
	}
	count := 0
	for _, one := range listed {
		count += len(one.Cases)
	}
	if count > mostDifferences {
		t.Errorf("differences.yaml lists %d cases; %d are allowed", count, mostDifferences)
	}
	if count < mostDifferences {
		t.Errorf("differences.yaml lists %d cases: set mostDifferences to that, so that it stays so", count)
	}
}

// The list of differences is devstore's: Pyroscope has to answer as it did.
func TestPyroscopeStillAnswersSo(t *testing.T) {
	server := os.Getenv(urlVariable)
	if server == "" {
		t.Skipf("NOT RUN: %s names no Pyroscope", urlVariable)
	}
	suite := loaded(t)
	now := time.Now()
	play := NewPlay(server, Base(now), fmt.Sprintf("-%d", now.Unix()))
	found, err := play.written(t.Context(), suite)
	for _, one := range found {
		t.Error(one)
	}
	for err == nil {
		found, err = play.seen(t.Context(), suite)
		if err == nil && len(found) == 0 {
			return
		}
		if time.Since(now) > liveTime {
			break
		}
		if err == nil { // not all of it is visible at once
			err = play.pause(t.Context())
		}
	}
	for _, one := range found {
		t.Error(one)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Every route that the gateway forwards has cases, whoever adds one there.
func TestEveryForwardedRouteIsCovered(t *testing.T) {
	source, err := os.ReadFile("../internal/door/services.go")
	if err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile(`(?m)^\t\t(querier \+ )?"([^"]+)":\s`).FindAllStringSubmatch(string(source), -1)
	if len(table) < 18 {
		t.Fatalf("%d routes are read from the gateway's table; it is written in another way now", len(table))
	}
	routes := []string{
		"/v1development/profiles", // constants there
		"/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
	}
	for _, one := range table {
		route := one[2]
		if one[1] != "" {
			route = "/querier.v1.QuerierService/" + route
		}
		if !strings.HasPrefix(route, "/settings.v1.") { // the gateway answers it itself
			routes = append(routes, route)
		}
	}
	var covered []string
	for _, group := range loaded(t) {
		for _, one := range group.Cases {
			covered = append(covered, "/"+one.Call, one.Post, one.Get)
		}
	}
	for _, route := range routes {
		if !slices.Contains(covered, route) {
			t.Errorf("the gateway forwards %s, and no case asks for it", route)
		}
	}
}

// All of it is of one Pyroscope, which docs/contract.md names; and no file is left over from a group that is gone.
func TestGoldensAreOfOneVersion(t *testing.T) {
	page, err := os.ReadFile("../../docs/contract.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := goldens.ReadDir("golden")
	if err != nil {
		t.Fatal(err)
	}
	suite := loaded(t)
	if len(files) != len(suite) {
		t.Errorf("%d files of answers for %d groups of requests", len(files), len(suite))
	}
	for _, group := range suite {
		found, err := goldenOf(group.Name)
		if err != nil {
			t.Fatal(err)
		}
		if version := found.Recorded.Version; version == "" || !strings.Contains(string(page), version) {
			t.Errorf("%s was recorded from version %q, which docs/contract.md does not name", group.Name, version)
		}
	}
}

// A server that answers one thing otherwise is found, in each protocol by itself.
func TestAnswersThatDifferAreFound(t *testing.T) {
	answers := recorded(t)
	if found, err := Compare(answers); err != nil || len(found) > 0 {
		t.Fatal("the recorded answers differ from themselves:", found, err)
	}
	for place, change := range map[string]func(*Answer){
		"status":              func(a *Answer) { a.Status = http.StatusTeapot },
		"code":                func(a *Answer) { a.Code = "internal" },
		"body.flamegraph":     func(a *Answer) { a.Body = map[string]any{} },
		"body.more":           func(a *Answer) { a.Body.(map[string]any)["more"] = true },
		"body.flamegraph.max": func(a *Answer) { a.Body.(map[string]any)["flamegraph"].(map[string]any)["max"] = 1 },
		"body.flamegraph.levels[1][0]": func(a *Answer) {
			a.Body.(map[string]any)["flamegraph"].(map[string]any)["levels"].([]any)[1].([]any)[0] = "0 1 0 main.main"
		},
	} {
		for _, protocol := range []string{JSON, GRPC} {
			answers := recorded(t)
			one := answers["stacktraces"]["flamegraph"][protocol]
			change(&one)
			answers["stacktraces"]["flamegraph"][protocol] = one
			found, err := Compare(answers)
			if err != nil || len(found) != 1 || found[0].At != place || found[0].Protocol != protocol {
				t.Errorf("%s changed at %s: found %v, %v", protocol, place, found, err)
			}
		}
	}
}

func TestTheListOfDifferencesIsJudged(t *testing.T) {
	found := []Mismatch{{Case: "a/b", At: "body.x[1]"}, {Case: "a/b", At: "status"}, {Case: "a/c", At: "body.xy"}}
	for name, one := range map[string]struct {
		listed          []Difference
		unlisted, stale int
	}{
		"nothing listed":        {nil, 3, 0},
		"all listed":            {[]Difference{{[]string{"a/b"}, []string{"body.x", "status"}, "w"}, {[]string{"a/c"}, []string{"body"}, "w"}}, 0, 0},
		"one place not listed":  {[]Difference{{[]string{"a/b"}, []string{"body"}, "w"}, {[]string{"a/c"}, []string{"body"}, "w"}}, 1, 0},
		"a place is not a part": {[]Difference{{[]string{"a/b"}, []string{"body", "status"}, "w"}, {[]string{"a/c"}, []string{"body.x"}, "w"}}, 1, 1},
		"another case":          {[]Difference{{[]string{"a/b"}, []string{"body", "status"}, "w"}, {[]string{"a/d"}, []string{"body"}, "w"}}, 1, 1},
		"no longer so":          {[]Difference{{[]string{"a/b"}, []string{"body", "status", "code"}, "w"}, {[]string{"a/c"}, []string{"body"}, "w"}}, 0, 1},
	} {
		unlisted, stale := Judge(found, one.listed)
		if len(unlisted) != one.unlisted || len(stale) != one.stale {
			t.Errorf("%s: unlisted %v, stale %v", name, unlisted, stale)
		}
	}
}

func loaded(t *testing.T) []*Group {
	t.Helper()
	suite, err := Suite()
	if err != nil {
		t.Fatal(err)
	}
	return suite
}

// recorded are the golden answers as a server would give them.
func recorded(t *testing.T) Answers {
	t.Helper()
	answers := Answers{}
	for _, group := range loaded(t) {
		file, err := goldenOf(group.Name)
		if err != nil {
			t.Fatal(err)
		}
		answers[group.Name] = map[string]map[string]Answer{}
		for _, one := range group.Cases {
			answers[group.Name][one.Name] = map[string]Answer{}
			for _, protocol := range one.As {
				answer, ok := unfold(file.Answers[one.Name], protocol)
				if !ok {
					t.Fatalf("%s/%s (%s) was never recorded", group.Name, one.Name, protocol)
				}
				if answer.Body, err = plainly(answer.Body); err != nil { // a copy of its own
					t.Fatal(err)
				}
				answers[group.Name][one.Name][protocol] = answer
			}
		}
	}
	return answers
}

// written plays what writes, and says what was not answered as recorded.
func (p *Play) written(ctx context.Context, suite []*Group) ([]Mismatch, error) {
	answers, err := p.Write(ctx, suite)
	if err != nil {
		return nil, err
	}
	return Compare(answers)
}

// seen plays what reads.
func (p *Play) seen(ctx context.Context, suite []*Group) ([]Mismatch, error) {
	answers, err := p.Read(ctx, suite)
	if err != nil {
		return nil, err
	}
	return Compare(answers)
}

// local is a devstore of its own, on a real socket.
func local(t *testing.T) string {
	t.Helper()
	store, err := devstore.Open(devstore.Options{Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(store.Handler())
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(func() {
		server.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return server.URL
}
