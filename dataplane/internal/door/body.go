package door

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
)

// gRPC puts five bytes before a message: whether it is compressed, and how long it is.
const envelope = 5

// weighed reads a body of Connect, gRPC or gRPC-Web, and weighs the message in it before anybody decodes it. What
// Connect decodes then is what was weighed: unpacked, in memory, and nothing beside it.
func (d *Door) weighed(r *http.Request, of *shape, most int) error {
	one, body, err := visiting(r.Context()), r.Body, error(nil)
	r.Body = http.NoBody // of what is no protocol of Connect nothing is read: it says so itself
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var message, head []byte
	switch media {
	case "application/json", "application/proto":
		encoding := r.Header.Get("Content-Encoding")
		if !packable(encoding) {
			return nil
		}
		if message, err = one.read(r.Context(), body, encoding, most); err != nil {
			return err
		}
		r.Header.Del("Content-Encoding")
	case "application/grpc", "application/grpc+proto", "application/grpc+json",
		"application/grpc-web", "application/grpc-web+proto", "application/grpc-web+json":
		if !packable(r.Header.Get("Grpc-Encoding")) {
			return nil
		}
		if head, message, err = one.enveloped(r, body, most); err != nil {
			return err
		}
	default:
		return nil
	}
	weigh := of.weigh
	if strings.HasSuffix(media, "json") {
		weigh, one.weight = of.weighJSON, jsonWeight
	}
	decoded, err := weigh(message)
	if err != nil {
		return err
	}
	if err := one.asks(r.Context(), int64(len(message))*bodyWeight+decoded); err != nil {
		return err
	}
	if err := one.holding.take(r.Context(), decoded, one.pushes()); err != nil {
		return err
	}
	r.ContentLength = int64(len(head) + len(message))
	r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(head), bytes.NewReader(message)))
	return nil
}

// enveloped reads the one message of a unary call, and the head that it has once it is unpacked.
func (v *visit) enveloped(r *http.Request, body io.ReadCloser, most int) (head, message []byte, err error) {
	raw, err := v.receive(r.Context(), body, most+envelope)
	switch {
	case err != nil:
		return nil, nil, err
	case len(raw) == 0:
		return nil, nil, nil // Connect says what is missing
	case len(raw) < envelope:
		return nil, nil, unreadable(io.ErrUnexpectedEOF)
	}
	head = raw[:envelope:envelope]
	length, encoding := int64(binary.BigEndian.Uint32(head[1:])), ""
	switch {
	case head[0] == 1:
		encoding = r.Header.Get("Grpc-Encoding")
		if encoding != "gzip" {
			return nil, nil, invalid("the message is compressed, and Grpc-Encoding does not say how; valid: gzip")
		}
	case head[0] != 0:
		return nil, nil, invalid("the message begins with flags that are none")
	}
	if length > int64(most) {
		return nil, nil, tooLarge()
	}
	if int64(len(raw)) != envelope+length {
		return nil, nil, invalid("a call has one message, of the length that it says")
	}
	if message, err = v.unpack(r.Context(), raw[envelope:], encoding, most); err != nil {
		return nil, nil, err
	}
	r.Header.Del("Grpc-Encoding")
	head[0] = 0
	binary.BigEndian.PutUint32(head[1:], uint32(len(message)))
	return head, message, nil
}

func packable(encoding string) bool {
	return encoding == "" || encoding == "identity" || encoding == "gzip"
}

// read takes a body up to a size, which may be compressed. It is unpacked once all of it is there: whoever sends the
// beginning of a bomb holds no more than was sent.
func (v *visit) read(ctx context.Context, body io.ReadCloser, encoding string, most int) ([]byte, error) {
	raw, err := v.receive(ctx, body, most)
	if err != nil {
		return nil, err
	}
	return v.unpack(ctx, raw, encoding, most)
}

// unpack makes a message of a body that is whole.
func (v *visit) unpack(ctx context.Context, raw []byte, encoding string, most int) ([]byte, error) {
	if encoding != "gzip" || len(raw) == 0 {
		return raw, v.holding.take(ctx, int64(len(raw))*(bodyWeight-rawWeight), v.pushes())
	}
	unzipped := readers.Get().(*gzip.Reader)
	defer func() {
		_ = unzipped.Reset(bytes.NewReader(nil)) // what waits for the next request holds nothing of this one
		readers.Put(unzipped)
	}()
	if err := unzipped.Reset(bytes.NewReader(raw)); err != nil {
		return nil, unreadable(err)
	}
	return upTo(&weighed{io.NopCloser(unzipped), ctx, v.holding, bodyWeight, v.pushes()}, most)
}

// receive takes a body as it comes.
func (v *visit) receive(ctx context.Context, body io.ReadCloser, most int) ([]byte, error) {
	coming := &received{Reader: body, visit: v, ctx: ctx}
	defer coming.end()
	if err := coming.expects(min(v.length, int64(most)+1)); err != nil {
		return nil, err
	}
	return upTo(coming, most)
}

// upTo reads all that there is, if it is not more than that.
func upTo(from io.Reader, most int) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(from, int64(most)+1))
	switch {
	case err != nil:
		return nil, unreadable(err)
	case len(text) > most:
		return nil, tooLarge()
	}
	return text, nil
}

var readers = sync.Pool{New: func() any { return new(gzip.Reader) }}

func tooLarge() error {
	return &refusal{code: tooMuch, rule: "body", reason: "the body is too large", status: http.StatusRequestEntityTooLarge}
}

// unreadable says why a body cannot be read, in words of ours.
func unreadable(err error) error {
	switch {
	case errors.As(err, new(*refusal)):
		return err
	case errors.As(err, new(*http.MaxBytesError)):
		return tooLarge()
	}
	return invalid("the body cannot be read, or is not compressed as it says")
}
