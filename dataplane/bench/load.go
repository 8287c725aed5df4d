package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// path is one way to the backend.
type path struct {
	Name    string            `json:"name"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"` // beside the token
	Tokens  bool              `json:"tokens"`
	Records bool              `json:"records"` // whether it notes each answer: the gateway
	PID     int               `json:"pid"`     // of the door, whose CPU time is read; 0: there is none

	tokens map[bool][]string // by whether they are programs'
	asked  atomic.Int64
}

// tally is what one burst of load saw.
type tally struct {
	times []time.Duration
	ids   []string
	took  time.Duration
}

// until says when a worker stops: after a time, or after so many requests.
type until struct {
	deadline time.Time
	most     int
}

func (u until) over(asked int) bool {
	return u.most > 0 && asked >= u.most || u.most == 0 && !time.Now().Before(u.deadline)
}

// burst asks by so many connections at once, each its next question as soon as the answer to the last is there. One
// answer that is not as it has to be is an error: nothing is measured that does not work.
func burst(to *path, asked []*call, connections int, end until) (*tally, error) {
	found := make([]*tally, connections)
	failed := make([]error, connections)
	start := time.Now()
	var group sync.WaitGroup
	for i := range connections {
		group.Go(func() { found[i], failed[i] = worker(to, asked, i, end) })
	}
	group.Wait()
	all := &tally{took: time.Since(start)}
	for _, one := range found {
		all.times, all.ids = append(all.times, one.times...), append(all.ids, one.ids...)
	}
	slices.Sort(all.times)
	return all, errors.Join(failed...)
}

func worker(to *path, asked []*call, first int, end until) (*tally, error) {
	// No cookies, no redirects, no unpacking: the cost of the client is to be small, and the same for all paths.
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, MaxConnsPerHost: 1}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	one, good, body := &tally{}, map[*call][]byte{}, new(bytes.Buffer)
	for n := 0; !end.over(n); n++ {
		what := asked[(first+n)%len(asked)]
		request, err := to.request(what)
		if err != nil {
			return one, err
		}
		start := time.Now()
		response, err := client.Do(request)
		if err != nil {
			return one, err
		}
		body.Reset()
		_, err = io.Copy(body, response.Body)
		took := time.Since(start)
		_ = response.Body.Close()
		if err != nil {
			return one, err
		}
		one.times = append(one.times, took)
		if to.Records {
			one.ids = append(one.ids, response.Header.Get("X-Request-Id"))
		}
		if last, ok := good[what]; ok && response.StatusCode == what.status && bytes.Equal(body.Bytes(), last) {
			continue // the bytes of an answer that was decoded and compared
		}
		if err := what.check(response.StatusCode, body.Bytes(), response.Header); err != nil {
			return one, err
		}
		good[what] = bytes.Clone(body.Bytes())
	}
	return one, nil
}

func (p *path) request(what *call) (*http.Request, error) {
	request, err := http.NewRequest(http.MethodPost, p.URL+what.path, bytes.NewReader(what.body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", what.kind)
	request.Header.Set("User-Agent", "bench")
	if what.gzip {
		request.Header.Set("Accept-Encoding", "gzip")
	}
	for name, value := range p.Headers {
		request.Header.Set(name, value)
	}
	if p.Tokens && what.token != "-" {
		request.Header.Set("Authorization", "Bearer "+p.tokens[what.push][int(p.asked.Add(1))%len(p.tokens[what.push])])
	}
	return request, nil
}
