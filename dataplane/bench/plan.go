package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// plan is what to measure, as benchmarks/gateway.py writes it.
type plan struct {
	Backend     string  `json:"backend"`     // to push to before anything is measured
	Tokens      string  `json:"tokens"`      // folder of people.jwt and programs.jwt
	IDs         string  `json:"ids"`         // folder: into <path>.ids goes the id of each answer of a path that records
	Paths       []*path `json:"paths"`       // the first is the one that others are compared with
	Pushes      bool    `json:"pushes"`      // whether the paths know programs
	Profiles    int     `json:"profiles"`    // how many are in the window that is asked for
	Rounds      int     `json:"rounds"`      // after one that does not count
	Seconds     float64 `json:"seconds"`     // of one burst
	Connections int     `json:"connections"` // of a burst that takes all there is
	Mixed       int     `json:"mixed"`       // how often a connection asks each question, good or bad, when all are mixed
}

// result is one burst.
type result struct {
	Call        string  `json:"call"`
	Path        string  `json:"path"`
	Round       int     `json:"round"` // 0 is the one that warms up
	Connections int     `json:"connections"`
	Requests    int     `json:"requests"`
	Rate        float64 `json:"rate"` // requests per second
	P50         float64 `json:"p50"`  // ms
	P99         float64 `json:"p99"`
	CPU         float64 `json:"cpu"` // seconds of the door
}

type results struct {
	Bursts   []result       `json:"bursts"`
	Bytes    map[string]int `json:"bytes"`    // of each call's answer, as the backend sends it
	Pushed   int            `json:"pushed"`   // bytes of a profile that is pushed, packed
	Answered map[string]int `json:"answered"` // requests of a path that records, refusals too
	Refused  map[string]int `json:"refused"`  // how many of those were refused
}

func readPlan(file string) (*plan, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("-plan: %w", err)
	}
	p := new(plan)
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(p); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(p.Paths) == 0 || p.Rounds < 1 || p.Seconds <= 0 || p.Connections < 1 || p.Profiles < 1 || p.Mixed < 1 {
		return nil, fmt.Errorf("%s: paths, rounds, seconds, connections, profiles and mixed have to be there, and more than 0", file)
	}
	tokens := map[bool][]string{}
	for push, name := range map[bool]string{false: "people.jwt", true: "programs.jwt"} {
		token, err := os.ReadFile(filepath.Join(p.Tokens, name))
		if err != nil {
			return nil, err
		}
		tokens[push] = strings.Split(string(token), "\n")
	}
	for _, one := range p.Paths {
		one.tokens = tokens
	}
	return p, nil
}

// run pushes, learns what good answers are, and measures: each call by each path in turn, round after round, so that
// whatever else the machine does meets all of them.
func (p *plan) run() (*results, error) {
	end := time.Now()
	w := window{end.Add(-time.Duration(p.Profiles+1) * upload), end.Add(time.Minute)}
	asked, err := calls(w)
	if err != nil {
		return nil, err
	}
	if !p.Pushes {
		asked = asked[:len(asked)-1]
	}
	found := &results{Bytes: map[string]int{}, Answered: map[string]int{}, Refused: map[string]int{}}
	if err := p.prepare(w, asked, found); err != nil {
		return nil, err
	}
	ids := map[string][]string{}
	for round := range p.Rounds + 1 {
		for _, what := range asked {
			for _, connections := range []int{p.Connections, 1} {
				for i := range p.Paths { // who is first changes too
					to := p.Paths[(i+round)%len(p.Paths)]
					one, err := p.measure(to, what, connections, ids)
					if err != nil {
						return nil, fmt.Errorf("%s: %w", to.Name, err)
					}
					one.Round = round
					found.Bursts = append(found.Bursts, one)
				}
			}
		}
	}
	for _, to := range p.Paths {
		if !to.Records {
			continue
		}
		if err := p.refusals(to, w, asked[:len(asked):len(asked)], ids, found); err != nil {
			return nil, fmt.Errorf("%s: %w", to.Name, err)
		}
		found.Answered[to.Name] = len(ids[to.Name])
		text := strings.Join(ids[to.Name], "\n") + "\n"
		if err := os.WriteFile(filepath.Join(p.IDs, to.Name+".ids"), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// prepare fills the backend, and asks it directly for what every other answer is compared with.
func (p *plan) prepare(w window, asked []*call, found *results) error {
	direct := &path{Name: "direct", URL: p.Backend, Headers: map[string]string{"X-Scope-OrgID": team}}
	var total int64
	for i := range p.Profiles {
		packed, sum, err := recording(uint64(i)+1, w.start.Add(time.Duration(i+1)*upload))
		if err != nil {
			return err
		}
		total, found.Pushed = total+sum, len(packed)
		for _, to := range []string{service, other} {
			one := &call{name: "push", path: "/push.v1.PusherService/Push", kind: asProto}
			if err := one.asking(pushing(to, packed)); err != nil {
				return err
			}
			if _, _, err := direct.ask(one); err != nil {
				return err
			}
		}
	}
	for _, what := range asked {
		body, header, err := direct.ask(what)
		if err != nil {
			return err
		}
		answer, err := what.read(body, header)
		if err != nil {
			return fmt.Errorf("%s: %w", what.name, err)
		}
		if err := what.learn(answer, total); err != nil {
			return err
		}
		found.Bytes[what.name] = len(body)
	}
	return nil
}

// measure is one burst.
func (p *plan) measure(to *path, what *call, connections int, ids map[string][]string) (result, error) {
	before, err := cpu(to.PID)
	if err != nil {
		return result{}, err
	}
	seen, err := burst(to, []*call{what}, connections, until{deadline: time.Now().Add(time.Duration(p.Seconds * float64(time.Second)))})
	if err != nil {
		return result{}, err
	}
	after, err := cpu(to.PID)
	if err != nil {
		return result{}, err
	}
	ids[to.Name] = append(ids[to.Name], seen.ids...)
	n := len(seen.times)
	if n == 0 {
		return result{}, errors.New("a burst saw no answer; give it more seconds")
	}
	return result{
		Call: what.name, Path: to.Name, Connections: connections, Requests: n, Rate: float64(n) / seen.took.Seconds(),
		P50: ms(seen.times[n/2]), P99: ms(seen.times[min(n-1, n*99/100)]), CPU: after - before,
	}, nil
}

// refusals mixes questions that are refused with good ones, at full load: they are on record as well. Of those without a
// token there are few, since who keeps sending such gets no answer any more.
func (p *plan) refusals(to *path, w window, good []*call, ids map[string][]string, found *results) error {
	no := refusals(w)
	rest, stranger := no[:len(no)-1], no[len(no)-1:]
	const strangers = 10
	for _, one := range []struct {
		asked []*call
		most  int
		kinds int
	}{{append(good, rest...), p.Mixed * (len(good) + len(rest)), len(rest)}, {stranger, strangers, 1}} {
		connections := min(p.Connections, 8)
		seen, err := burst(to, one.asked, connections, until{most: one.most})
		if err != nil {
			return err
		}
		ids[to.Name] = append(ids[to.Name], seen.ids...)
		found.Refused[to.Name] += len(seen.times) * one.kinds / len(one.asked)
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
