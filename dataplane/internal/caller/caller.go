// Package caller finds out who asks, from a bearer token and nothing else: a person of the identity provider, a program
// of the platform by its service account, or a job of a CI system.
package caller

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"flameplane.dev/dataplane/internal/settings"
)

// Kind of caller.
type Kind string

const (
	Person  Kind = "person"
	Program Kind = "program"
	Job     Kind = "job"
)

// Caller is somebody whose token was verified.
type Caller struct {
	Kind    Kind
	Subject string   // sub of the token
	Name    string   // how people call them: mail address, else user name, else the subject
	Groups  []string // of a person
	Account string   // of a program, `namespace/name`
	Pod     string   // of a program: the pod that its token is bound to
	// Repository of a job, as services.yaml has it (https://host/path).
	Repository string
}

// Refused says why a token does not count. The reason goes on record and, in these words, to the caller: it holds
// nothing of the token.
type Refused struct{ Reason string }

func (r Refused) Error() string { return r.Reason }

// Expired is a Refused whose token was good until a short while ago: it is known who it is.
type Expired struct {
	Refused
	Subject string
}

const (
	lately   = 24 * time.Hour   // how long it is known of an expired token
	maxToken = 16 << 10         // bytes; a token of a person in 300 groups has about 8,000
	maxSkew  = 60 * time.Second // of clocks
)

// Verifier verifies tokens of all kinds.
type Verifier struct {
	people   *issuers
	jobs     *issuers
	programs *Programs
}

// NewVerifier verifies people and jobs with “client“, and programs by “reviews“ (nil: there are none).
func NewVerifier(client *http.Client, reviews Reviews) *Verifier {
	return &Verifier{people: newIssuers(client), jobs: newIssuers(client), programs: NewPrograms(reviews)}
}

// Verify finds the caller of a request. The error is a Refused, or says what kept the token from being verified at all.
func (v *Verifier) Verify(ctx context.Context, header http.Header, state *settings.State) (Caller, error) {
	raw, err := bearer(header)
	if err != nil {
		return Caller{}, err
	}
	said, err := peek(raw)
	if err != nil {
		return Caller{}, err
	}
	people := state.Gateway.People
	switch {
	case said.Issuer == people.Issuer:
		return v.person(ctx, raw, people)
	case slices.Contains(state.Gate.Issuers, said.Issuer):
		return v.job(ctx, raw, said.Issuer, state.Gate.Audience)
	case slices.Contains(said.Audience, state.Gateway.Programs.Audience):
		return v.programs.verify(ctx, raw, state.Gateway.Programs.Audience)
	}
	return Caller{}, Refused{"the token's issuer is not known here"}
}

// bearer takes the one token of a request. Two would let the client choose which one is looked at.
func bearer(header http.Header) (string, error) {
	values := header.Values("Authorization")
	if len(values) != 1 {
		if len(values) == 0 {
			return "", Refused{"there is no token: send `Authorization: Bearer <token>`"}
		}
		return "", Refused{"there is more than one Authorization header"}
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsAny(token, " ,\t") {
		return "", Refused{"Authorization is no single bearer token"}
	}
	if len(token) > maxToken {
		return "", Refused{"the token is too long"}
	}
	return token, nil
}

// claims of a token that nobody has verified: good for choosing who verifies it, and for nothing else.
type claims struct {
	Issuer   string   `json:"iss"`
	Audience audience `json:"aud"`
}

// audience is a text or a list of them (RFC 7519, section 4.1.3).
type audience []string

func (a *audience) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*a = audience{one}
		return nil
	}
	var many []string
	if err := json.Unmarshal(text, &many); err != nil {
		return err
	}
	*a = many
	return nil
}

func peek(raw string) (claims, error) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return claims{}, Refused{"the token is no JWT"}
	}
	var found claims
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(payload, &found)
	}
	if err != nil {
		return claims{}, Refused{"the token is no JWT"}
	}
	return found, nil
}

// IsRefused tells a token that does not count from one that could not be verified.
func IsRefused(err error) bool { return errors.As(err, new(Refused)) || errors.As(err, new(Expired)) }
