package caller

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"flameplane.dev/dataplane/internal/settings"
)

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
	if expired := (Expired{}); errors.As(err, &expired) {
		return Caller{}, expired.Refused // a forge has as many subjects as branches: none of them counts by itself
	}
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
