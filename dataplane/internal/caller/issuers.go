package caller

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"flameplane.dev/dataplane/internal/settings"
)

// Asymmetric ones alone: `none` needs no key, and with HS256 the public key would be one.
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

// How long a failed discovery is remembered: an issuer that is down is not asked by every request.
const retryAfter = 5 * time.Second

// How long keys count without being asked for again: a key that the issuer took back ends then.
const keysFor = 5 * time.Minute

// issuers discovers OIDC issuers when the first token of each comes, so that the gateway starts without them; go-oidc
// keeps their keys and fetches new ones when a token names a key that it does not know.
type issuers struct {
	client *http.Client
	mutex  sync.Mutex
	known  map[string]*issuer
}

type issuer struct {
	mutex    sync.Mutex
	provider *oidc.Provider
	failed   error
	until    time.Time
}

func newIssuers(client *http.Client) *issuers {
	client = &http.Client{Transport: newOnce(client.Transport), Timeout: client.Timeout, CheckRedirect: client.CheckRedirect}
	return &issuers{client: client, known: map[string]*issuer{}}
}

// verify checks signature, issuer, audience and times.
func (i *issuers) verify(ctx context.Context, raw, from, audience string) (*oidc.IDToken, error) {
	provider, err := i.provider(from)
	if err != nil {
		return nil, err
	}
	verifier := provider.Verifier(&oidc.Config{ClientID: audience, SupportedSigningAlgs: algorithms})
	token, err := verifier.Verify(oidc.ClientContext(ctx, i.client), raw)
	if err != nil {
		if strings.Contains(err.Error(), "fetching keys") {
			return nil, fmt.Errorf("the keys of %s cannot be fetched", from)
		}
		return nil, Refused{reason(err)}
	}
	if token.IssuedAt.After(time.Now().Add(maxSkew)) {
		return nil, Refused{"the token is of the future"}
	}
	return token, nil
}

func (i *issuers) provider(from string) (*oidc.Provider, error) {
	i.mutex.Lock()
	one := i.known[from]
	if one == nil {
		one = &issuer{}
		i.known[from] = one
	}
	i.mutex.Unlock()
	one.mutex.Lock()
	defer one.mutex.Unlock()
	if time.Now().Before(one.until) {
		return one.provider, one.failed
	}
	// Not the request's context: go-oidc keeps this one for as long as it fetches keys.
	provider, err := oidc.NewProvider(oidc.ClientContext(context.Background(), i.client), from)
	if err != nil {
		err = fmt.Errorf("the issuer %s cannot be reached: %w", from, err)
		one.provider, one.failed, one.until = nil, err, time.Now().Add(retryAfter)
		return nil, err
	}
	one.provider, one.failed, one.until = provider, nil, time.Now().Add(keysFor)
	return provider, nil
}

// reason says in our words what go-oidc found: its own errors quote the token's claims.
func reason(err error) string {
	text := err.Error()
	for part, words := range map[string]string{
		"token is expired":      "the token is expired",
		"before the nbf":        "the token is of the future",
		"expected audience":     "the token is not meant for this gateway (audience)",
		"different provider":    "the token is of another issuer",
		"signed with unsupport": "the token is signed in a way that does not count",
		"malformed jwt":         "the token is no JWT",
	} {
		if strings.Contains(text, part) {
			return words
		}
	}
	return "the token's signature does not hold"
}

func (v *Verifier) person(ctx context.Context, raw string, people settings.People) (Caller, error) {
	token, err := v.people.verify(ctx, raw, people.Issuer, people.Audience)
	if err != nil {
		return Caller{}, err
	}
	var said map[string]any
	if err := token.Claims(&said); err != nil {
		return Caller{}, Refused{"the token's claims cannot be read"}
	}
	found := Caller{Kind: Person, Subject: token.Subject, Name: token.Subject}
	for _, claim := range []string{"repository", "project_path", "job_workflow_ref"} {
		if said[claim] != nil { // whatever its audience says, which jobs choose themselves
			return Caller{}, Refused{"the token is a CI job's, and no person's"}
		}
	}
	// Users choose their names: one that looks like an address is nobody's proof of it.
	if name, ok := said["preferred_username"].(string); ok && name != "" && !strings.Contains(name, "@") {
		found.Name = name
	}
	verified, told := said["email_verified"]
	if mail, ok := said["email"].(string); ok && mail != "" && (!told || verified == true || verified == "true") {
		found.Name = mail
	}
	groups, ok := said[people.GroupsClaim].([]any)
	if !ok && said[people.GroupsClaim] != nil {
		return Caller{}, Refused{fmt.Sprintf("the token's claim %s is no list of groups", people.GroupsClaim)}
	}
	for _, group := range groups {
		name, ok := group.(string)
		if !ok {
			return Caller{}, Refused{fmt.Sprintf("the token's claim %s is no list of groups", people.GroupsClaim)}
		}
		found.Groups = append(found.Groups, name)
	}
	return found, nil
}

// job takes the repository of a CI job's token: GitHub's `repository`, GitLab's `project_path`, below the server's
// address, which is GitHub's `server_url`-less issuer or GitLab's issuer itself.
func (v *Verifier) job(ctx context.Context, raw, from, audience string) (Caller, error) {
	token, err := v.jobs.verify(ctx, raw, from, audience)
	if err != nil {
		return Caller{}, err
	}
	var said struct {
		Repository  string `json:"repository"`   // GitHub, Gitea: owner/name
		ProjectPath string `json:"project_path"` // GitLab: group/name
	}
	if err := token.Claims(&said); err != nil {
		return Caller{}, Refused{"the token's claims cannot be read"}
	}
	path := said.Repository
	if path == "" {
		path = said.ProjectPath
	}
	if path == "" {
		return Caller{}, Refused{"the token names no repository (claims repository, project_path)"}
	}
	return Caller{Kind: Job, Subject: token.Subject, Name: token.Subject, Repository: server(from) + "/" + path}, nil
}

// githubIssuer is that of github.com; GitHub Enterprise Server's is https://HOST/_services/token.
const githubIssuer = "https://token.actions.githubusercontent.com"

// server is the address below which an issuer's repositories are.
func server(issuer string) string {
	if issuer == githubIssuer {
		return "https://github.com"
	}
	return strings.TrimSuffix(strings.TrimSuffix(issuer, "/_services/token"), "/")
}
