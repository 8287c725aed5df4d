package scrape

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

const (
	mostAnswer  = 2 << 20 // bytes of an answer, which is compressed
	mostProfile = 8 << 20 // and unpacked: a program that runs for long has allocated in many places
	atOnce      = 4       // answers that are in memory
	callTime    = 10 * time.Second
	readTime    = 5 * time.Second // of an answer that has begun
)

// client goes to pods and nowhere else: it follows nobody's redirects, asks no proxy, and unpacks nothing.
func client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: callTime / 2}).DialContext,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 16 << 10,
			MaxConnsPerHost:        2,
			IdleConnTimeout:        time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// fetch reads one profile as it comes, and calls “with“ with it. One that is measured takes “long“.
func (s *Scraper) fetch(
	ctx context.Context, address netip.AddrPort, asked kind, long time.Duration, with func(text []byte) error,
) error {
	url := fmt.Sprintf("http://%s/debug/pprof/%s", address, asked.path)
	patience := callTime
	if asked.long {
		url += fmt.Sprintf("?seconds=%d", max(int(long/time.Second), 1))
		patience += long
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d", url, response.StatusCode)
	}
	select { // a program that hangs has none
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	case <-ctx.Done():
		return ctx.Err()
	}
	defer time.AfterFunc(readTime, stop).Stop()
	text, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer+1))
	s.metrics.bytes.Add(float64(len(text)))
	if err == nil && len(text) > mostAnswer {
		err = errors.New("the answer is too large")
	}
	if err != nil {
		return err
	}
	return with(text) // it has its place until then: others may be decoded before it
}
