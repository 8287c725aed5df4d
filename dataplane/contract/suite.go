package contract

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed cases
var cases embed.FS

// Group is one file of cases/. Those that write are played first, in the order of their names, once and in one protocol
// each; those that read are played as often as it takes.
type Group struct {
	Name   string `yaml:"-"`
	Writes bool
	Cases  []*Case
}

// Case is one request.
type Case struct {
	Name    string
	Call    string            // a procedure: querier.v1.QuerierService/Series
	As      []string          // its protocols; all of them where it is left out of one that reads, json in one that writes
	Post    string            // or a path to post to
	Get     string            // or a path to get
	Tenant  *string           // "" sends no header; payments where it is left out
	Query   map[string]string // of a path
	Body    any               // of a call, in JSON of protobuf; of a path: what is sent as JSON
	File    string            // of a path: a file of profiles/
	Raw     string            // of a path: this text
	Form    map[string]string // of a path: files of profiles/ by field
	Headers map[string]string
	Extra   bool // adds a field that the message does not have; protobuf alone
	// Message says that its words are part of the contract, since a client of ours shows them.
	Message bool
}

// Protocols of a call.
const (
	JSON  = "json"  // Connect
	Proto = "proto" // Connect
	GRPC  = "grpc"
)

var protocols = []string{JSON, Proto, GRPC}

// UsualTenant is whose a case is that names none.
const UsualTenant = "payments"

var nameOf = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// Suite reads every group: those that write, then those that read.
func Suite() ([]*Group, error) {
	files, err := fs.Glob(cases, "cases/*.yaml")
	if err != nil {
		return nil, err
	}
	var writing, reading []*Group
	for _, file := range files {
		group, err := load(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if group.Writes {
			writing = append(writing, group)
		} else {
			reading = append(reading, group)
		}
	}
	return append(writing, reading...), nil
}

func load(file string) (*Group, error) {
	text, err := cases.ReadFile(file)
	if err != nil {
		return nil, err
	}
	group := &Group{Name: strings.TrimSuffix(path.Base(file), ".yaml")}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(group); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, one := range group.Cases {
		switch {
		case !nameOf.MatchString(one.Name):
			return nil, fmt.Errorf("%q is no name of a case; valid: small letters, digits and single dashes", one.Name)
		case names[one.Name]:
			return nil, fmt.Errorf("two cases are named %s", one.Name)
		}
		names[one.Name] = true
		if err := one.settle(group.Writes); err != nil {
			return nil, fmt.Errorf("%s: %w", one.Name, err)
		}
	}
	return group, nil
}

// settle fills in what a case leaves out.
func (c *Case) settle(writes bool) error {
	given := 0
	for _, way := range []string{c.Call, c.Post, c.Get} {
		if way != "" {
			given++
		}
	}
	if given != 1 {
		return fmt.Errorf("it has %d of call, post and get; it needs one", given)
	}
	if c.Tenant == nil {
		tenant := UsualTenant
		c.Tenant = &tenant
	}
	if c.Call == "" {
		c.As = []string{"http"}
		return nil
	}
	for _, one := range c.As {
		if !slices.Contains(protocols, one) {
			return fmt.Errorf("as has %q; valid: %s", one, strings.Join(protocols, ", "))
		}
	}
	switch {
	case writes && len(c.As) > 1:
		return fmt.Errorf("it would be written %d times; name one protocol", len(c.As))
	case len(c.As) == 0 && writes:
		c.As = []string{JSON}
	case len(c.As) == 0:
		c.As = protocols
	}
	return nil
}
