package devstore

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
)

const (
	tenantHeader  = "X-Scope-OrgID"
	longestTenant = 150
)

type tenantKey struct{}

// tenantOf is the tenant of a call that came through ones or plainly.
func tenantOf(ctx context.Context) string {
	name, _ := ctx.Value(tenantKey{}).(string)
	return name
}

// named reads the tenant from the header, by Pyroscope's rules. Several at once are not built.
func named(header http.Header, writes bool) (string, error) {
	values := header.Values(tenantHeader)
	if len(values) == 0 || values[0] == "" {
		return "", connect.NewError(connect.CodeUnauthenticated, errors.New("no org id"))
	}
	name := values[0]
	switch {
	case strings.Contains(name, "|") && writes:
		return "", connect.NewError(connect.CodeUnauthenticated, errors.New("multiple org IDs present"))
	case strings.Contains(name, "|"):
		return "", connect.NewError(connect.CodeInvalidArgument,
			errors.New("devstore answers for one tenant at a time: several (a|b) are not built, Pyroscope has them"))
	case len(name) > longestTenant:
		return "", connect.NewError(connect.CodeUnauthenticated, errors.New("tenant ID is too long: max 150 characters"))
	case name == "." || name == ".." || strings.ContainsFunc(name, forbidden):
		return "", connect.NewError(connect.CodeUnauthenticated,
			errors.New("tenant ID has characters that are not valid; valid: letters, digits and !-_.*'()"))
	}
	return name, nil
}

func forbidden(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("!-_.*'()", r):
		return false
	}
	return true
}

// ones is what every procedure of Connect goes through: the tenant, and how long it took.
func (s *Store) ones() connect.UnaryInterceptorFunc {
	return func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
			start, procedure := time.Now(), request.Spec().Procedure
			tenant, err := named(request.Header(), writing[procedure])
			var response connect.AnyResponse
			if err == nil {
				response, err = next(context.WithValue(ctx, tenantKey{}, tenant), request)
			}
			code := "ok"
			if err != nil {
				code = connect.CodeOf(err).String()
			}
			s.metrics.requests.WithLabelValues(procedure, code).Observe(time.Since(start).Seconds())
			return response, err
		}
	}
}
