package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
)

const (
	tenantHeader = "X-Scope-OrgID"
	requestTime  = 30 * time.Second
)

// Play asks one server, as of one base and with tenants of its own.
type Play struct {
	url    string
	base   time.Time
	suffix string
	client *http.Client
	h2     *http.Client // gRPC is HTTP/2 alone
}

// NewPlay is a play against the server at url. Tenants get the suffix, so that a server which was played against before
// holds nothing of them.
func NewPlay(server string, base time.Time, suffix string) *Play {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	grpc := transport.Clone()
	grpc.Protocols = new(http.Protocols)
	grpc.Protocols.SetHTTP2(true)
	grpc.Protocols.SetUnencryptedHTTP2(true)
	return &Play{
		url: strings.TrimSuffix(server, "/"), base: base, suffix: suffix,
		client: &http.Client{Transport: transport, Timeout: requestTime},
		h2:     &http.Client{Transport: grpc, Timeout: requestTime},
	}
}

// Answers by group, case and protocol.
type Answers map[string]map[string]map[string]Answer

// Write plays every group that writes.
func (p *Play) Write(ctx context.Context, suite []*Group) (Answers, error) {
	return p.each(ctx, suite, true)
}

// Read plays every group that reads.
func (p *Play) Read(ctx context.Context, suite []*Group) (Answers, error) {
	return p.each(ctx, suite, false)
}

func (p *Play) each(ctx context.Context, suite []*Group, writes bool) (Answers, error) {
	answers := Answers{}
	for _, group := range suite {
		if group.Writes != writes {
			continue
		}
		answers[group.Name] = map[string]map[string]Answer{}
		for _, one := range group.Cases {
			answers[group.Name][one.Name] = map[string]Answer{}
			for _, protocol := range one.As {
				answer, err := p.ask(ctx, one, protocol)
				if err != nil {
					return nil, fmt.Errorf("%s/%s (%s): %w", group.Name, one.Name, protocol, err)
				}
				if !one.Message {
					answer.Message = ""
				}
				answers[group.Name][one.Name][protocol] = answer
			}
		}
	}
	return answers, nil
}

func (p *Play) ask(ctx context.Context, one *Case, protocol string) (Answer, error) {
	headers := http.Header{}
	for key, value := range one.Headers {
		headers.Set(key, value)
	}
	if tenant := *one.Tenant; tenant != "" {
		parts := strings.Split(tenant, "|")
		for i := range parts {
			parts[i] += p.suffix
		}
		headers.Set(tenantHeader, strings.Join(parts, "|"))
	}
	if one.Call == "" {
		return p.plain(ctx, one, headers)
	}
	body, err := p.expand(one.Body)
	if err != nil {
		return Answer{}, err
	}
	if body == nil {
		body = map[string]any{}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return Answer{}, err
	}
	method, err := methodOf(one.Call)
	if err != nil {
		return Answer{}, err
	}
	if protocol == JSON {
		headers.Set("Content-Type", "application/json")
		status, _, answer, err := p.send(ctx, http.MethodPost, "/"+one.Call, headers, text)
		if err != nil {
			return Answer{}, err
		}
		return p.answered(method, status, answer)
	}
	raw, err := method.wire(text, one.Extra)
	if err != nil {
		return Answer{}, err
	}
	return p.binary(ctx, one.Call, method, protocol, headers, raw)
}

// binary sends a message as protobuf, over Connect or gRPC.
func (p *Play) binary(ctx context.Context, call string, method *method, protocol string, headers http.Header, raw []byte) (Answer, error) {
	client, options := p.client, []connect.ClientOption{connect.WithCodec(bytesCodec{})}
	if protocol == GRPC {
		client, options = p.h2, append(options, connect.WithGRPC())
	}
	request := connect.NewRequest(&raw)
	maps.Copy(request.Header(), headers)
	response, err := connect.NewClient[[]byte, []byte](client, p.url+"/"+call, options...).CallUnary(ctx, request)
	if refused := new(connect.Error); errors.As(err, &refused) && ctx.Err() == nil {
		return Answer{Code: refused.Code().String(), Message: refused.Message()}, nil
	}
	if err != nil {
		return Answer{}, err
	}
	return p.read(method, *response.Msg)
}

// bytesCodec leaves encoding to the caller, who knows the type of a message only by its name.
type bytesCodec struct{}

func (bytesCodec) Name() string { return "proto" }

func (bytesCodec) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }

func (bytesCodec) Unmarshal(raw []byte, message any) error {
	*message.(*[]byte) = bytes.Clone(raw)
	return nil
}

// plain asks a path that is no procedure.
func (p *Play) plain(ctx context.Context, one *Case, headers http.Header) (Answer, error) {
	query := url.Values{}
	for key, value := range one.Query {
		text, err := p.expand(value)
		if err != nil {
			return Answer{}, err
		}
		query.Set(key, text.(string))
	}
	how, to := http.MethodGet, one.Get
	if one.Post != "" {
		how, to = http.MethodPost, one.Post
	}
	body, kind, err := p.body(one)
	if err != nil {
		return Answer{}, err
	}
	if kind != "" && headers.Get("Content-Type") == "" {
		headers.Set("Content-Type", kind)
	}
	if len(query) > 0 {
		to += "?" + query.Encode()
	}
	status, given, answer, err := p.send(ctx, how, to, headers, body)
	if err != nil {
		return Answer{}, err
	}
	return p.text(status, given, answer)
}

func (p *Play) body(one *Case) (body []byte, kind string, err error) {
	switch {
	case one.File != "":
		body, err = p.profile(one.File)
		return body, "", err
	case one.Raw != "":
		return []byte(one.Raw), "", nil
	case one.Body != nil:
		expanded, err := p.expand(one.Body)
		if err != nil {
			return nil, "", err
		}
		body, err = json.Marshal(expanded)
		return body, "application/json", err
	case len(one.Form) == 0:
		return nil, "", nil
	}
	var out bytes.Buffer
	form := multipart.NewWriter(&out)
	for _, field := range slices.Sorted(maps.Keys(one.Form)) {
		content := []byte(one.Form[field])
		if !strings.HasPrefix(one.Form[field], "{") { // a configuration, in JSON
			if content, err = p.profile(one.Form[field]); err != nil {
				return nil, "", err
			}
		}
		part, err := form.CreateFormFile(field, field)
		if err != nil {
			return nil, "", err
		}
		if _, err := part.Write(content); err != nil {
			return nil, "", err
		}
	}
	err = form.Close()
	return out.Bytes(), form.FormDataContentType(), err
}

func (p *Play) send(ctx context.Context, how, to string, headers http.Header, body []byte) (int, string, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, how, p.url+to, bytes.NewReader(body))
	if err != nil {
		return 0, "", nil, err
	}
	request.Header = headers
	response, err := p.client.Do(request)
	if err != nil {
		return 0, "", nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, response.Header.Get("Content-Type"), answer, err
}
