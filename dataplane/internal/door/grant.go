package door

import (
	"slices"
	"strings"

	"flameplane.dev/dataplane/internal/settings"
)

// grantHeader is where a caller shows the id of a grant. Nothing uses one up by accident.
const grantHeader = "X-Flameplane-Grant"

// granted checks a grant against what is asked: by whom, for which team, service, window and format, and until when.
func granted(q question, tenant string) (*settings.Grant, error) {
	if q.grant == "" {
		return nil, refuse(forbidden, "no-grant", "this answer is a whole profile, which leaves the platform: it takes a grant. "+
			"Ask for one with `flameplane export request`, then send its id as "+grantHeader)
	}
	grant, ok := q.state.Grants[q.grant]
	if !ok {
		return nil, refuse(forbidden, "unknown-grant", "there is no such grant")
	}
	spec := grant.Spec
	of, _ := q.state.Gateway.Tenant(tenant) // the longterm tenant is the same team's
	wrong := ""
	switch {
	case !strings.EqualFold(spec.Requester, q.who.Name) && !strings.EqualFold(spec.Requester, q.who.Subject):
		wrong = "the grant is somebody else's"
	case q.now.Before(grant.Metadata.Granted):
		wrong = "the grant is not good yet"
	case !q.now.Before(spec.Expires):
		wrong = "the grant has expired"
	case of.Tenant != spec.Team || spec.Team == "": // another team's profiles may bear the service's name
		wrong = "the grant is for the team " + spec.Team
	case !slices.Equal(q.call.Services(), []string{spec.Service}):
		wrong = "the grant is for the service " + spec.Service + ": select service_name=" + quoted(spec.Service)
	case spec.Format != q.call.Format:
		wrong = "the grant is for the format " + spec.Format
	case q.call.Start.Before(spec.Window.From) || q.call.End.After(spec.Window.To):
		wrong = "the grant is for another window"
	}
	if wrong != "" {
		return nil, refuse(forbidden, "grant-mismatch", wrong)
	}
	return &grant, nil
}
