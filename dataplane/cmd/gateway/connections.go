package main

import (
	"net"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	mostConnections = 700 // so many headers of strangers take 100 MB, which the budget of requests leaves them
	mostOfOne       = 200 // from one address, which may be a load balancer's; a node has three or four
)

// connections is a listener that closes what is too much at once: waiting, it would hold up who has its place.
type connections struct {
	net.Listener
	refused prometheus.Counter

	mutex sync.Mutex
	open  map[string]int // by address
	all   int
}

func bounded(listener net.Listener, refused prometheus.Counter) *connections {
	return &connections{Listener: listener, refused: refused, open: map[string]int{}}
}

func (c *connections) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from, _, err := net.SplitHostPort(conn.RemoteAddr().String())
		if err == nil && c.enter(from) {
			return &connection{Conn: conn, leave: sync.OnceFunc(func() { c.leave(from) })}, nil
		}
		c.refused.Inc()
		_ = conn.Close()
	}
}

func (c *connections) enter(from string) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.all >= mostConnections || c.open[from] >= mostOfOne {
		return false
	}
	c.all++
	c.open[from]++
	return true
}

func (c *connections) leave(from string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.all--
	if c.open[from]--; c.open[from] == 0 {
		delete(c.open, from)
	}
}

type connection struct {
	net.Conn
	leave func()
}

func (c *connection) Close() error {
	c.leave()
	return c.Conn.Close()
}
