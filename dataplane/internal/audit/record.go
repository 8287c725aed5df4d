// Package audit records every decision of the gateway, before its answer leaves: one JSON line each, chained by hashes.
package audit

import (
	"time"
)

// Record is one decision. Its JSON is an OCSF Datastore Activity (https://schema.ocsf.io, class 6005, version 1.3.0);
// what OCSF has no place for stands in `unmapped`.
type Record struct {
	Time      time.Time
	Request   string // id of the request, which the answer carries too
	Method    string
	Path      string
	Operation string // of the route table; empty where no route was found

	Kind       string // person | program | job; empty: nobody
	Subject    string
	Name       string
	Groups     []string
	Account    string
	Pod        string
	Repository string

	Address   string // of the connection
	Forwarded string // what X-Forwarded-For says, which anybody can write
	Agent     string // user agent

	Tenant   string
	Services []string // by exact name; empty: all of the tenant
	Type     string   // profile type
	Start    time.Time
	End      time.Time
	Format   string
	MaxNodes int64
	Grant    string

	Allowed  bool
	Rule     string // of the decision, as docs/access.md lists them
	Reason   string // why not
	Status   int    // HTTP
	Code     string // of Connect and gRPC
	Bytes    int    // of the answer's body
	SHA256   string // of the answer's body
	Received int64  // bytes of the request's body
	Duration time.Duration

	promised bool // the journal said that it takes this record
}

// Activity of OCSF's class 6005.
const (
	activityRead  = 1
	activityQuery = 4
	activityWrite = 5
)

type user struct {
	Type   string  `json:"type,omitempty"`
	UID    string  `json:"uid,omitempty"`
	Name   string  `json:"name,omitempty"`
	Groups []group `json:"groups,omitempty"`
}

type group struct {
	Name string `json:"name"`
}

type endpoint struct {
	IP string `json:"ip,omitempty"`
}

type request struct {
	UID    string `json:"uid"`
	Method string `json:"http_method"`
	URL    struct {
		Path string `json:"path"`
	} `json:"url"`
	Agent     string `json:"user_agent,omitempty"`
	Forwarded string `json:"x_forwarded_for,omitempty"`
}

type unmapped struct {
	Operation  string   `json:"operation,omitempty"`
	Account    string   `json:"account,omitempty"`
	Pod        string   `json:"pod,omitempty"`
	Repository string   `json:"repository,omitempty"`
	Tenant     string   `json:"tenant,omitempty"`
	Services   []string `json:"services,omitempty"`
	Type       string   `json:"profile_type,omitempty"`
	Start      string   `json:"window_start,omitempty"`
	End        string   `json:"window_end,omitempty"`
	Format     string   `json:"format,omitempty"`
	MaxNodes   int64    `json:"max_nodes,omitempty"`
	Grant      string   `json:"grant,omitempty"`
	Rule       string   `json:"rule"`
	Code       string   `json:"code,omitempty"`
	Received   int64    `json:"bytes_in"`
	Bytes      int      `json:"bytes_out"`
	SHA256     string   `json:"sha256,omitempty"`
}

type line struct {
	Activity int `json:"activity_id"`
	Category int `json:"category_uid"`
	Class    int `json:"class_uid"`
	Type     int `json:"type_uid"`
	Severity int `json:"severity_id"`
	Metadata struct {
		Version string `json:"version"`
		Product struct {
			Name   string `json:"name"`
			Vendor string `json:"vendor_name"`
		} `json:"product"`
	} `json:"metadata"`
	Time     int64  `json:"time"` // ms since the epoch, of the request's start
	Duration int64  `json:"duration"`
	Action   int    `json:"action_id"` // 1 allowed, 2 denied
	Status   int    `json:"status_id"` // 1 success, 2 failure
	Code     int    `json:"status_code"`
	Detail   string `json:"status_detail,omitempty"`
	Actor    struct {
		User user `json:"user"`
	} `json:"actor"`
	Source   endpoint `json:"src_endpoint"`
	Request  request  `json:"http_request"`
	Unmapped unmapped `json:"unmapped"`
}

func (r *Record) line() line {
	found := line{Activity: activityQuery, Category: 6, Class: 6005, Severity: 1, Time: r.Time.UnixMilli()}
	switch {
	case r.Grant != "" || r.Format != "" && r.Format != "flamegraph":
		found.Activity = activityRead
	case r.Operation == "push":
		found.Activity = activityWrite
	}
	found.Type = found.Class*100 + found.Activity
	found.Metadata.Version = "1.3.0"
	found.Metadata.Product.Name, found.Metadata.Product.Vendor = "gateway", "Flameplane"
	found.Duration, found.Code, found.Detail = r.Duration.Milliseconds(), r.Status, r.Reason
	found.Action, found.Status = 2, 2
	if r.Allowed {
		found.Action = 1
	} else {
		found.Severity = 3 // medium: somebody was refused
	}
	if r.Allowed && r.Status < 400 && r.Code == "" {
		found.Status = 1
	}
	found.Actor.User = user{Type: r.Kind, UID: r.Subject, Name: r.Name}
	for _, name := range r.Groups {
		found.Actor.User.Groups = append(found.Actor.User.Groups, group{name})
	}
	found.Source.IP = r.Address
	found.Request = request{UID: r.Request, Method: r.Method, Agent: r.Agent, Forwarded: r.Forwarded}
	found.Request.URL.Path = r.Path
	found.Unmapped = unmapped{
		Operation: r.Operation, Account: r.Account, Pod: r.Pod, Repository: r.Repository, Tenant: r.Tenant,
		Services: r.Services, Type: r.Type, Start: instant(r.Start), End: instant(r.End), Format: r.Format,
		MaxNodes: r.MaxNodes, Grant: r.Grant, Rule: r.Rule, Code: r.Code, Received: r.Received, Bytes: r.Bytes,
		SHA256: r.SHA256,
	}
	return found
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
