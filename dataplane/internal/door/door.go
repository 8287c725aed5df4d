// Package door is the gateway's one way in: it finds out who asks, decodes what is asked, decides, forwards what it
// decoded, and puts all of that on record before the answer leaves.
package door

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"connectrpc.com/connect"

	"flameplane.dev/dataplane/internal/audit"
	"flameplane.dev/dataplane/internal/caller"
	"flameplane.dev/dataplane/internal/grants"
	"flameplane.dev/dataplane/internal/settings"
)

// Journal puts records on record; audit.Journal is one.
type Journal interface {
	Write(ctx context.Context, record *audit.Record) error
	Promise(ctx context.Context, record *audit.Record) error // before the record's grant is used up
}

// Anchors note the newest record where nobody here can change it; audit.Shipper does.
type Anchors interface {
	Anchor(ctx context.Context) error
}

// Parts are what a door is made of.
type Parts struct {
	Settings *settings.Watched
	Callers  *caller.Verifier
	Journal  Journal
	Anchors  Anchors // none: the record is on this disk and on standard output
	Grants   grants.Store
	Backend  *Backend
	Metrics  *Metrics
	Now      func() time.Time
}

// Door is the handler of everything that people and programs reach.
type Door struct {
	Parts
	routes   map[string]route
	budget   *budget
	limits   *limits
	strays   *strays // addresses whose tokens do not count
	expired  *strays // people whose token was good a while ago
	callers  *strays // whoever they are: more than a program or a person has a use for
	protocol *connect.ErrorWriter
}

// New makes a door.
func New(parts Parts) *Door {
	if parts.Now == nil {
		parts.Now = time.Now
	}
	door := &Door{Parts: parts, limits: newLimits(), budget: newBudget(ownBudget()), strays: newStrays(straysPerSecond, straysBurst),
		expired: newStrays(expiredPerSecond, expiredBurst), callers: newStrays(callsPerSecond, callsBurst), protocol: connect.NewErrorWriter()}
	door.routes = door.table()
	return door
}

// visit is one request on its way through.
type visit struct {
	record audit.Record
	state  *settings.State
	who    caller.Caller
	asked  string
	grant  string
	kind   Kind
	plain  bool   // whether the route is of plain HTTP
	done   func() // frees what the limits hold

	length    int64    // that the body says it has, below zero where it says nothing
	holding   *holding // of the budget
	weight    int64    // of a byte of the answer
	compiling int64    // what patterns were weighed with, until the decision
	asking    int64    // what a question is noted with, until it is answered
}

type visitKey struct{}

func visiting(ctx context.Context) *visit { return ctx.Value(visitKey{}).(*visit) }

const (
	longestPath  = 512 // of a text from the client that goes on record
	longestAgent = 200
	longestGrant = 63 // of an id
	mostServices = 50 // that go on record
)

// ServeHTTP answers one request. Whatever the outcome, one line is on record first; where that cannot be, whole profiles
// stay here, and everything else goes on, counted.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start, answer := d.Now(), newHeld()
	one := &visit{state: d.Settings.State(), record: audit.Record{
		Time: start, Request: rand.Text(), Method: cut(r.Method, 20), Path: cut(r.URL.EscapedPath(), longestPath),
		Address: address(r), Forwarded: cut(r.Header.Get("X-Forwarded-For"), longestAgent),
		Agent: cut(r.UserAgent(), longestAgent),
	}, done: func() {}, length: r.ContentLength, holding: &holding{of: d.budget}, weight: answerWeight}
	// Until the answer is read: somebody who reads slowly has the gateway hold it all the while.
	defer func() { one.done(); one.holding.keep(r.Context(), 0) }()
	body := &counted{ReadCloser: http.MaxBytesReader(w, r.Body, int64(one.state.Gateway.Limits.BodyMegabytes)<<20)}
	r = r.WithContext(context.WithValue(r.Context(), visitKey{}, one))
	r.Body = body
	d.answer(answer, r)
	one.done() // the tenant's place: whoever reads slowly holds it up for nobody
	one.done = func() {}
	defer d.keep(one, answer, r)()
	d.settle(one, answer, r, body.read, start)
	w.Header().Set("X-Request-Id", one.record.Request)
	answer.release(w)
}

// keep finds room for an answer while it is read, and refuses it where there is none: not a refusal, which is a few
// words and says on record what it is, no push, which the backend has, and nothing whose grant is used up by now. The
// function ends it.
func (d *Door) keep(v *visit, answer *held, r *http.Request) func() {
	who, size := v.caller(), int64(answer.body.Cap())
	waits := d.budget.waits(who, v, size)
	stays := v.holding.keep(r.Context(), size)
	if v.record.Allowed && v.kind != Push && v.record.Rule != ruleGrant && !(waits && stays) {
		v.holding.keep(r.Context(), 0)
		*answer = *newHeld()
		d.refused(answer, r, refuse(tooMuch, "memory", "too many answers wait to be read; read yours, and try again"))
	}
	if !waits {
		return func() {}
	}
	return func() { d.budget.came(who, v, size) }
}

// answer lets the request in, or not.
func (d *Door) answer(w *held, r *http.Request) {
	one := visiting(r.Context())
	defer func() {
		if fault := recover(); fault == http.ErrAbortHandler {
			panic(fault)
		} else if fault != nil {
			slog.Error("a handler failed", "request", one.record.Request, "fault", fault)
			*w = *newHeld()
			d.refused(w, r, refuse(connect.CodeInternal, "fault", "the gateway failed"))
		}
	}()
	var err error
	if one.who, err = d.Callers.Verify(r.Context(), r.Header, one.state); err != nil {
		d.refused(w, r, d.stranger(r, err))
		return
	}
	one.identified()
	if one.who.Kind == caller.Job && len(one.state.Gate.Of(one.who.Repository)) == 0 {
		d.strays.seen(address(r)) // the forge of everybody signs for everybody
	}
	d.callers.seen(one.caller())
	tenant, path, err := place(r)
	if err != nil {
		d.refused(w, r, err)
		return
	}
	found, ok := d.routes[path]
	if !ok || found.method != r.Method {
		d.refused(w, r, &refusal{code: forbidden, rule: "path", reason: "the gateway leads nowhere by this method and path", status: http.StatusNotFound})
		return
	}
	one.record.Operation, one.asked, one.grant = found.operation, tenant, r.Header.Get(grantHeader)
	if one.plain = found.plain; found.plain {
		one.weight = plainWeight
	}
	one.record.Tenant, one.record.Grant = tenant, cut(one.grant, longestGrant)
	if err := standing(one, found.operation == operationPush); err != nil {
		d.refused(w, r, err)
		return
	}
	r.URL.Path, r.URL.RawPath, r.RequestURI = path, "", path
	found.handler.ServeHTTP(w, r)
}

// stranger is the answer to whoever could not be verified.
func (d *Door) stranger(r *http.Request, err error) error {
	var expired caller.Expired
	if errors.As(err, &expired) {
		// An address may be a load balancer's, and so everybody's: whoever is known counts alone, and is told to sign in.
		visiting(r.Context()).record.Subject = cut(expired.Subject, longestAgent)
		d.expired.seen(expired.Subject)
	} else {
		d.strays.seen(address(r)) // never returns for one who keeps knocking
	}
	if !caller.IsRefused(err) {
		slog.Warn("tokens cannot be verified", "err", err)
		return refuse(unavailable, "cannot-verify", "the token cannot be verified right now")
	}
	return refuse(unauthenticated, "token", err.Error())
}

// caller is whoever counts as one: a pod, a person or a job.
func (v *visit) caller() string {
	if v.who.Kind == caller.Job {
		return "job of " + v.who.Repository // each branch is another subject
	}
	return v.record.Subject + v.record.Pod
}

func (v *visit) identified() {
	v.record.Kind, v.record.Subject, v.record.Name = string(v.who.Kind), v.who.Subject, v.who.Name
	v.record.Groups, v.record.Account, v.record.Pod = v.who.Groups, v.who.Account, v.who.Pod
	v.record.Repository = v.who.Repository
}

// admit decides about a decoded call and returns what goes on with it.
func (d *Door) admit(v *visit, call *Call) (Decision, error) {
	defer func() { v.holding.give(v.compiling); v.compiling = 0 }()
	v.kind = call.Kind
	v.record.Services, v.record.Type, v.record.Format = few(call.Services()), cut(call.Type, longestAgent), call.Format
	v.record.Start, v.record.End, v.record.MaxNodes = call.Start, call.End, call.MaxNodes
	decision, err := decide(question{v.who, call, v.asked, v.grant, v.state, d.Now()})
	if err != nil {
		return decision, err
	}
	v.record.Tenant, v.record.Rule, v.record.Grant = decision.Tenant, decision.Rule, ""
	if decision.Grant != nil {
		v.record.Grant = decision.Grant.Name()
	}
	v.done, err = d.limits.enter(decision.Tenant, call.Kind, v.state.Gateway.Limits)
	if err != nil {
		v.done = func() {}
		return decision, err
	}
	v.record.Allowed = true
	return decision, nil
}

// refused answers in the caller's protocol.
func (d *Door) refused(w http.ResponseWriter, r *http.Request, err error) {
	one := visiting(r.Context())
	no := one.refused(err)
	if !one.plain && d.protocol.IsSupported(r) {
		_ = d.protocol.Write(w, r, connect.NewError(no.code, no))
		return
	}
	if no.code == unauthenticated {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	http.Error(w, no.reason, no.http())
}

// refused notes why.
func (v *visit) refused(err error) *refusal {
	no := &refusal{code: connect.CodeInternal, rule: "fault", reason: "the gateway failed"}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		no = &refusal{code: tooMuch, rule: "body", reason: "the body is too large", status: http.StatusRequestEntityTooLarge}
	}
	errors.As(err, &no)
	v.record.Allowed, v.record.Rule, v.record.Reason, v.record.Code = false, no.rule, cut(no.reason, longestPath), no.code.String()
	return no
}

func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// few is what goes on record of a list of names that a client wrote.
func few(names []string) []string {
	if len(names) > mostServices {
		names = append(slices.Clone(names[:mostServices]), fmt.Sprintf("and %d more", len(names)-mostServices))
	}
	found := make([]string, 0, len(names))
	for _, name := range names {
		found = append(found, cut(name, longestAgent))
	}
	return found
}

func cut(text string, most int) string {
	if len(text) > most {
		return text[:most]
	}
	return text
}
