// Package settings reads what the platform declares for its programs: gateway.yaml, the gate's files and the grants.
//
// Everything is strict. A key that no program knows, or a value that makes no sense, is an error: what is declared and
// silently not done would be believed.
package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Gateway is gateway.yaml, as components/gateway_config.py writes it.
type Gateway struct {
	Backend        Backend        `yaml:"backend"`
	Audit          *AuditBucket   `yaml:"audit"`
	People         People         `yaml:"people"`
	Tenants        []Tenant       `yaml:"tenants"`
	Programs       Programs       `yaml:"programs"`
	Limits         Limits         `yaml:"limits"`
	PluginSettings map[string]any `yaml:"pluginSettings"`
}

// Backend has the addresses of Pyroscope by kind of call; one process has the same for all.
type Backend struct {
	Write    string `yaml:"write"`
	Read     string `yaml:"read"`
	Settings string `yaml:"settings"`
	TLS      *TLS   `yaml:"tls"`
}

// TLS names the gateway's certificate and key, and who signs the backend's. Files, read again when they change.
type TLS struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	CA          string `yaml:"ca"`
}

// AuditBucket is where audit records are shipped to, beside standard output.
type AuditBucket struct {
	Bucket   string `yaml:"bucket"`
	Prefix   string `yaml:"prefix"`
	Region   string `yaml:"region"`
	Endpoint string `yaml:"endpoint"`
}

// URL of the endpoint. Where it names no scheme, it is TLS; AWS's own is left to the SDK.
func (a AuditBucket) URL() string {
	if a.Endpoint == "" || strings.Contains(a.Endpoint, "://") {
		return a.Endpoint
	}
	return "https://" + a.Endpoint
}

func (a AuditBucket) check(say func(format string, values ...any)) {
	for key, value := range map[string]string{"bucket": a.Bucket, "prefix": a.Prefix, "region": a.Region} {
		if value == "" {
			say("audit.%s is missing", key)
		}
	}
	if a.Prefix != "" && !strings.HasSuffix(a.Prefix, "/") {
		say("audit.prefix is %q; it must end with a slash", a.Prefix)
	}
	address, err := url.Parse(a.URL())
	if err != nil || a.Endpoint != "" && (address.Host == "" || address.Scheme != "https" && address.Scheme != "http") {
		say("audit.endpoint is %q; it must be a host, or http(s)://host[:port]", a.Endpoint)
	}
}

// People says whose tokens of people count, and who of them reads every tenant.
type People struct {
	Issuer         string   `yaml:"issuer"`
	Audience       string   `yaml:"audience"`
	GroupsClaim    string   `yaml:"groupsClaim"`
	PlatformGroups []string `yaml:"platformGroups"`
}

// Tenant is a team's: its fine and its downsampled profiles, and the groups that read both.
type Tenant struct {
	Tenant   string   `yaml:"tenant"`
	Longterm string   `yaml:"longterm"`
	Readers  []string `yaml:"readers"`
}

// Programs are service accounts of the cluster, by what each may do.
type Programs struct {
	Audience string    `yaml:"audience"`
	Accounts []Account `yaml:"accounts"`
}

// What an account may read, and where it writes to.
const (
	ReadTenants = "tenants" // whole profiles of every declared tenant
	ReadTotals  = "totals"  // names, and series of totals
	ReadByGate  = "ci-gate" // what services.yaml gives to each service
	WriteTeam   = "team"    // the tenant of the profile's `team` label
	WriteLong   = "longterm"
)

// Account is one service account, `namespace/name`.
type Account struct {
	Account string `yaml:"account"`
	Read    string `yaml:"read"`
	Write   string `yaml:"write"`
}

// Limits bound what one tenant may ask for, so that no team can slow another's down.
type Limits struct {
	BodyMegabytes     int `yaml:"bodyMegabytes"`     // of one request, after decompression
	AnswerMegabytes   int `yaml:"answerMegabytes"`   // of one answer, which is held in memory until its line is on record
	RequestsPerSecond int `yaml:"requestsPerSecond"` // reads; the burst is twice that
	PushesPerSecond   int `yaml:"pushesPerSecond"`   // likewise
	ConcurrentQueries int `yaml:"concurrentQueries"`
	WindowDays        int `yaml:"windowDays"` // from start to end of one query
	MaxNodes          int `yaml:"maxNodes"`   // of one flame graph
}

// TenantName is what a tenant may be called. Pyroscope reads `a|b` as two tenants, and takes other signs as well.
var TenantName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// ReadGateway reads and checks gateway.yaml. Every error names the key.
func ReadGateway(text []byte) (*Gateway, error) {
	found := &Gateway{}
	if err := decode(text, found); err != nil {
		return nil, err
	}
	return found, found.check()
}

// Tenants by name, whether fine or downsampled.
func (g *Gateway) Tenant(name string) (Tenant, bool) {
	i := slices.IndexFunc(g.Tenants, func(t Tenant) bool { return t.Tenant == name || t.Longterm == name })
	if i < 0 {
		return Tenant{}, false
	}
	return g.Tenants[i], true
}

// Account by `namespace/name`.
func (g *Gateway) Account(name string) (Account, bool) {
	i := slices.IndexFunc(g.Programs.Accounts, func(a Account) bool { return a.Account == name })
	if i < 0 {
		return Account{}, false
	}
	return g.Programs.Accounts[i], true
}

func (g *Gateway) check() error {
	var wrong []error
	say := func(format string, values ...any) { wrong = append(wrong, fmt.Errorf(format, values...)) }
	for key, value := range map[string]string{
		"backend.write": g.Backend.Write, "backend.read": g.Backend.Read, "backend.settings": g.Backend.Settings,
		"people.issuer": g.People.Issuer, "people.audience": g.People.Audience,
		"people.groupsClaim": g.People.GroupsClaim, "programs.audience": g.Programs.Audience,
	} {
		if value == "" {
			say("%s is missing", key)
		}
	}
	if t := g.Backend.TLS; t != nil {
		for _, url := range []string{g.Backend.Write, g.Backend.Read, g.Backend.Settings} {
			if !strings.HasPrefix(url, "https://") {
				say("backend.tls is set, but %s is reached in plain text", url)
			}
		}
	}
	if g.Audit != nil {
		g.Audit.check(say)
	}
	seen := map[string]bool{}
	for i, tenant := range g.Tenants {
		for key, name := range map[string]string{"tenant": tenant.Tenant, "longterm": tenant.Longterm} {
			if !TenantName.MatchString(name) {
				say("tenants[%d].%s is %q; it must be small letters, digits and dashes, at most 63", i, key, name)
			}
			if seen[name] {
				say("tenants[%d].%s is %q, which another tenant is called too", i, key, name)
			}
			seen[name] = true
		}
	}
	for i, account := range g.Programs.Accounts {
		if !slices.Contains([]string{"", ReadTenants, ReadTotals, ReadByGate}, account.Read) {
			say("programs.accounts[%d].read is %q; valid: %s, %s, %s", i, account.Read, ReadTenants, ReadTotals, ReadByGate)
		}
		if !slices.Contains([]string{"", WriteTeam, WriteLong}, account.Write) {
			say("programs.accounts[%d].write is %q; valid: %s, %s", i, account.Write, WriteTeam, WriteLong)
		}
	}
	for key, value := range map[string]int{
		"bodyMegabytes": g.Limits.BodyMegabytes, "answerMegabytes": g.Limits.AnswerMegabytes,
		"requestsPerSecond": g.Limits.RequestsPerSecond, "pushesPerSecond": g.Limits.PushesPerSecond,
		"concurrentQueries": g.Limits.ConcurrentQueries, "windowDays": g.Limits.WindowDays, "maxNodes": g.Limits.MaxNodes,
	} {
		if value < 1 {
			say("limits.%s is %d; it must be at least 1", key, value)
		}
	}
	return errors.Join(wrong...)
}

// decode reads one YAML document and nothing beside it; unknown keys are errors.
func decode(text []byte, into any) error {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return errors.New("there is a second document")
	}
	return nil
}

func readFile(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := decode(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
