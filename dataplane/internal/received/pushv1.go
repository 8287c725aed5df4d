package received

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"regexp"

	"connectrpc.com/connect"
	"github.com/google/pprof/profile"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

const mostSeries = 100 // profiles of one request; agents send one

var plainName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,63}$`)

// pushed is what counts of a PushRequest. What is not read cannot be claimed.
type pushed struct{ profiles []named }

type named struct {
	name string
	text []byte
}

// pusher serves push.v1, by which pyroscope-io and everything newer pushes.
func (r *Receiver) pusher() (string, http.Handler) {
	handler := func(ctx context.Context, request *connect.Request[pushed]) (*connect.Response[pushv1.PushResponse], error) {
		for _, one := range request.Msg.profiles {
			say := func(*profile.Profile) (string, error) {
				if !plainName.MatchString(one.name) {
					return "", errors.New("a series has no label __name__, or none that names a profile")
				}
				return one.name, nil
			}
			if no := r.take(visiting(ctx).source, one.text, "push", say); no != nil {
				r.count(ctx, no)
				return nil, connect.NewError(codeOf(no), no)
			}
		}
		return connect.NewResponse(&pushv1.PushResponse{}), nil
	}
	const procedure = pushv1connect.PusherServicePushProcedure
	return procedure, connect.NewUnaryHandler(procedure, handler, connect.WithReadMaxBytes(mostBody), connect.WithCodec(wire{}))
}

func codeOf(no *refusal) connect.Code {
	if no.status == http.StatusRequestEntityTooLarge {
		return connect.CodeResourceExhausted
	}
	return connect.CodeInvalidArgument
}

// wire reads a PushRequest where it is: decoded by its declaration, two bytes of it can become a hundred.
type wire struct{}

func (wire) Name() string { return "proto" }

func (wire) Marshal(message any) ([]byte, error) { return proto.Marshal(message.(proto.Message)) }

// Numbers of the fields in push.proto and types.proto.
const (
	requestSeries               = 1
	seriesLabels, seriesSamples = 1, 2
	labelName, labelValue       = 1, 2
	sampleRaw                   = 1
)

func (wire) Unmarshal(text []byte, into any) error {
	message := into.(*pushed)
	return each(text, requestSeries, func(series []byte) error {
		name := ""
		err := each(series, seriesLabels, func(label []byte) error {
			key, value := "", ""
			if err := each(label, labelName, func(text []byte) error { key = string(text); return nil }); err != nil {
				return err
			}
			if err := each(label, labelValue, func(text []byte) error { value = string(text); return nil }); err != nil {
				return err
			}
			if key == "__name__" {
				name = value
			}
			return nil
		})
		if err != nil {
			return err
		}
		return each(series, seriesSamples, func(sample []byte) error {
			return each(sample, sampleRaw, func(raw []byte) error {
				if len(message.profiles) == mostSeries {
					return errors.New("too many profiles in one request")
				}
				message.profiles = append(message.profiles, named{name, bytes.Clone(raw)}) // the buffer is another request's then
				return nil
			})
		})
	})
}

// each calls “with“ with the texts of one field of a message.
func each(message []byte, field protowire.Number, with func([]byte) error) error {
	for len(message) > 0 {
		number, kind, tag := protowire.ConsumeTag(message)
		if tag < 0 {
			return protowire.ParseError(tag)
		}
		length := protowire.ConsumeFieldValue(number, kind, message[tag:])
		if length < 0 {
			return protowire.ParseError(length)
		}
		if number == field && kind == protowire.BytesType {
			text, _ := protowire.ConsumeBytes(message[tag : tag+length])
			if err := with(text); err != nil {
				return err
			}
		}
		message = message[tag+length:]
	}
	return nil
}
