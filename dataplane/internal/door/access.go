package door

import (
	"fmt"
	"slices"
	"time"

	"flameplane.dev/dataplane/internal/caller"
	"flameplane.dev/dataplane/internal/settings"
)

// Decision lets a call through to one tenant. Grant is what it uses up, if anything.
type Decision struct {
	Tenant string
	Rule   string
	Grant  *settings.Grant
}

const ruleGrant = "grant"

// question is everything that a decision is made of.
type question struct {
	who   caller.Caller
	call  *Call
	asked string // tenant of the path, empty where it names none
	grant string // id of the grant that the caller shows
	state *settings.State
	now   time.Time
}

// standing refuses whoever could be let through by nothing, before a body is read: decoding costs memory.
func standing(v *visit, push bool) error {
	q := question{who: v.who, state: v.state, call: &Call{Kind: Own}}
	if push {
		_, err := writer(q)
		return err
	}
	switch v.who.Kind {
	case caller.Person:
		_, _, err := readable(q)
		return err
	case caller.Job:
		_, err := gated(q, v.state.Gate.Of(v.who.Repository), "")
		return err
	}
	account, ok := v.state.Gateway.Account(v.who.Account)
	if !ok {
		return refuse(forbidden, "unknown-account", "this service account may do nothing here")
	}
	if account.Read == "" {
		return refuse(forbidden, "account-does-not-read", "this service account may read nothing")
	}
	return nil
}

// decide says which tenant a call goes to, or refuses it. Nothing is allowed that is not named here.
func decide(q question) (Decision, error) {
	if err := bounded(q.call, q.state.Gateway.Limits, q.now); err != nil {
		return Decision{}, err
	}
	switch {
	case q.call.Kind == Push:
		return writes(q)
	case q.who.Kind == caller.Person:
		return person(q)
	case q.who.Kind == caller.Job:
		if q.call.Kind == Export {
			// Whoever pushes a branch can have a job of it run: what a job holds, its log and its artefacts may hold.
			return Decision{}, refuse(forbidden, "gate-scope", "a CI job reads flame graphs; whole profiles are for people with a grant")
		}
		return gated(q, q.state.Gate.Of(q.who.Repository), "job-of-repository")
	}
	account, ok := q.state.Gateway.Account(q.who.Account)
	if !ok {
		return Decision{}, refuse(forbidden, "unknown-account", "this service account may do nothing here")
	}
	switch account.Read {
	case settings.ReadTenants:
		return named(q, "program-reads-tenants")
	case settings.ReadTotals:
		if q.call.Kind != Names && q.call.Kind != Totals && q.call.Kind != Own || q.call.Exemplars {
			return Decision{}, refuse(forbidden, "totals-only", "this service account reads totals, and no stacks")
		}
		return named(q, "program-reads-totals")
	case settings.ReadByGate:
		return gated(q, q.state.Gate.Services, "gate")
	}
	return Decision{}, refuse(forbidden, "account-does-not-read", "this service account may read nothing")
}

// person reads the tenants of the groups that the token lists; who runs the platform reads all of them.
func person(q question) (Decision, error) {
	tenants, rule, err := readable(q)
	if err != nil {
		return Decision{}, err
	}
	tenant := q.asked
	if tenant == "" {
		if len(tenants) > 1 {
			return Decision{}, refuse(invalidArgument, "no-tenant", "you read several teams: name one, as in /tenant/<team>/...")
		}
		tenant = tenants[0].Tenant
	}
	if !slices.ContainsFunc(tenants, func(t settings.Tenant) bool { return t.Tenant == tenant || t.Longterm == tenant }) {
		// The same words whether there is such a team or not.
		return Decision{}, refuse(forbidden, "other-tenant", "none of your groups reads the profiles of that team")
	}
	found := Decision{Tenant: tenant, Rule: rule}
	if q.call.Kind != Export {
		return found, nil
	}
	grant, err := granted(q, tenant)
	found.Grant, found.Rule = grant, ruleGrant
	return found, err
}

// readable are the tenants that a person reads, and by which rule.
func readable(q question) ([]settings.Tenant, string, error) {
	if intersect(q.state.Gateway.People.PlatformGroups, q.who.Groups) {
		return q.state.Gateway.Tenants, "platform", nil
	}
	found := slices.DeleteFunc(slices.Clone(q.state.Gateway.Tenants), func(t settings.Tenant) bool {
		return !intersect(t.Readers, q.who.Groups)
	})
	if len(found) == 0 {
		return nil, "", refuse(forbidden, "no-team", "none of your groups reads any team's profiles")
	}
	return found, "reader-of-team", nil
}

// named takes the tenant of the path, which has to be declared.
func named(q question, rule string) (Decision, error) {
	if q.asked == "" {
		return Decision{}, refuse(invalidArgument, "no-tenant", "name the tenant, as in /tenant/<team>/...")
	}
	if _, ok := q.state.Gateway.Tenant(q.asked); !ok {
		return Decision{}, refuse(forbidden, "other-tenant", "no such tenant is declared")
	}
	return Decision{Tenant: q.asked, Rule: rule}, nil
}

// gated lets the gate see one service, for the types and the window that it compares, and nothing else.
func gated(q question, services []settings.GatedService, rule string) (Decision, error) {
	if len(services) == 0 {
		return Decision{}, refuse(forbidden, "gate-scope", "no service is declared for this repository")
	}
	if q.call.Kind == Own {
		return Decision{Rule: rule}, nil
	}
	names := q.call.Services()
	if len(names) != 1 {
		return Decision{}, refuse(forbidden, "gate-scope", "the gate reads one service: select it by service_name=\"...\"")
	}
	i := slices.IndexFunc(services, func(s settings.GatedService) bool { return s.Service == names[0] })
	if i < 0 {
		return Decision{}, refuse(forbidden, "gate-scope", "the gate may not read that service for this repository")
	}
	reads := services[i].Reads
	oldest := q.now.Add(-time.Duration(reads.WindowMinutes) * time.Minute)
	switch {
	case q.asked != "" && q.asked != reads.Tenant:
		return Decision{}, refuse(forbidden, "gate-scope", "the service is of another team")
	case q.call.Type == "" && q.call.Kind != Names:
		return Decision{}, refuse(forbidden, "gate-scope", "name the profile type")
	case q.call.Type != "" && !slices.Contains(reads.Types, shortType(q.call.Type)):
		return Decision{}, refuse(forbidden, "gate-scope", fmt.Sprintf("the gate reads the types %v of that service", reads.Types))
	case q.call.Start.Before(oldest):
		return Decision{}, refuse(forbidden, "gate-scope", fmt.Sprintf("the gate reads the last %d minutes", reads.WindowMinutes))
	}
	return Decision{Tenant: reads.Tenant, Rule: rule}, nil
}

// shortType is what service.yaml calls a profile type.
func shortType(id string) string {
	if id == "process_cpu:cpu:nanoseconds:cpu:nanoseconds" {
		return "cpu"
	}
	return id
}

// writes computes the tenant of a push from the team that the program verified. No header, and no path, has a say.
func writes(q question) (Decision, error) {
	account, err := writer(q)
	if err != nil {
		return Decision{}, err
	}
	i := slices.IndexFunc(q.state.Gateway.Tenants, func(t settings.Tenant) bool { return t.Tenant == q.call.Team })
	if i < 0 {
		return Decision{}, refuse(forbidden, "unknown-team", "the label team names no team that is declared")
	}
	tenant := q.state.Gateway.Tenants[i]
	if account.Write == settings.WriteLong {
		return Decision{Tenant: tenant.Longterm, Rule: "program-writes-longterm"}, nil
	}
	return Decision{Tenant: tenant.Tenant, Rule: "program-writes-team"}, nil
}

// writer is the account of a program that pushes.
func writer(q question) (settings.Account, error) {
	account, ok := q.state.Gateway.Account(q.who.Account)
	if q.who.Kind != caller.Program || !ok || account.Write == "" {
		return account, refuse(forbidden, "does-not-write", "only the platform's own programs push profiles here")
	}
	return account, nil
}

// bounded holds a call to what one request may ask for.
func bounded(call *Call, limits settings.Limits, now time.Time) error {
	if call.MaxNodes < 0 || call.MaxNodes > int64(limits.MaxNodes) {
		return invalid("max_nodes is %d; at most %d", call.MaxNodes, limits.MaxNodes)
	}
	if !call.Windowed {
		return nil
	}
	switch longest := time.Duration(limits.WindowDays) * 24 * time.Hour; {
	case call.Start.IsZero() || call.End.IsZero():
		return invalid("start and end are missing (milliseconds since the epoch)")
	case !call.Start.Before(call.End):
		return invalid("the window ends before it starts")
	case call.End.Sub(call.Start) > longest:
		return invalid("the window is longer than %d days", limits.WindowDays)
	case call.Start.After(now.Add(time.Hour)):
		return invalid("the window is in the future")
	}
	return nil
}

func intersect(one, other []string) bool {
	return slices.ContainsFunc(one, func(s string) bool { return slices.Contains(other, s) })
}
