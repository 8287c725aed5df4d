package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
)

const ticks = 100 // of the kernel's clock per second, by which it counts CPU time (USER_HZ)

// cpu is how many seconds of CPU a process has used, in its own code and in the kernel.
func cpu(pid int) (float64, error) {
	if pid == 0 {
		return 0, nil
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name before it may hold anything
	fields := strings.Fields(rest)
	const user, system = 11, 12 // fields 14 and 15 of proc(5)
	if len(fields) <= system {
		return 0, fmt.Errorf("/proc/%d/stat cannot be read: %q", pid, text)
	}
	var sum float64
	for _, field := range []int{user, system} {
		value, err := strconv.ParseFloat(fields[field], 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		sum += value
	}
	return sum / ticks, nil
}

// ask sends one request and takes the whole answer, which has to be a good one.
func (p *path) ask(what *call) ([]byte, http.Header, error) {
	request, err := p.request(what)
	if err != nil {
		return nil, nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != what.status {
		err = fmt.Errorf("%s: %s said %d: %.300s", p.Name, what.name, response.StatusCode, body)
	}
	return body, response.Header, err
}
