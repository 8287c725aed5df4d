package door

import (
	"net/http"
	"strings"

	"flameplane.dev/dataplane/internal/settings"
)

const tenantPrefix = "/tenant/"

// place is what a request's path says: the tenant, if any, and the route. A path is taken as it was sent, byte by byte,
// or not at all: whatever two programs could read differently (encoded signs, empty or dotted parts, backslashes) is
// refused, never cleaned.
func place(r *http.Request) (tenant, route string, err error) {
	raw, _, _ := strings.Cut(r.RequestURI, "?")
	if raw != r.URL.Path || !plain(raw) {
		return "", "", refuse(invalidArgument, "path", "the path is not written plainly: letters, digits, dots, dashes and single slashes")
	}
	if !strings.HasPrefix(raw, tenantPrefix) {
		return "", raw, nil
	}
	tenant, rest, ok := strings.Cut(strings.TrimPrefix(raw, tenantPrefix), "/")
	if !ok || !settings.TenantName.MatchString(tenant) {
		return "", "", refuse(invalidArgument, "path", "the path names no tenant: /tenant/<team>/...")
	}
	return tenant, "/" + rest, nil
}

func plain(path string) bool {
	if !strings.HasPrefix(path, "/") {
		return false // CONNECT, `*`, whole URLs
	}
	for part := range strings.SplitSeq(path[1:], "/") {
		if part == "" || strings.Trim(part, ".") == "" || strings.HasSuffix(part, ".") {
			return false
		}
		for _, sign := range part {
			letter := sign >= 'a' && sign <= 'z' || sign >= 'A' && sign <= 'Z' || sign >= '0' && sign <= '9'
			if !letter && !strings.ContainsRune("._-", sign) {
				return false
			}
		}
	}
	return true
}
