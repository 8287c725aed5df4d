package devstore

import (
	"bytes"
	"context"
	"io"

	"connectrpc.com/connect"
	"github.com/google/pprof/profile"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
	"github.com/klauspost/compress/gzip"
)

// pusher serves push.v1.
type pusher struct{ *Store }

// Push stores every profile of a request that is good, and says what is wrong with the others: as Pyroscope does.
func (p pusher) Push(
	ctx context.Context, request *connect.Request[pushv1.PushRequest],
) (*connect.Response[pushv1.PushResponse], error) {
	most := p.limits.of(tenantOf(ctx)).MaxProfileSizeBytes
	var good []pushed
	var bad []error
	for _, series := range request.Msg.Series {
		for _, sample := range series.GetSamples() {
			read, size, err := readProfile(sample.GetRawProfile(), most)
			if err != nil {
				p.metrics.discarded.WithLabelValues("malformed").Inc()
				bad = append(bad, err)
				continue
			}
			good = append(good, pushed{series.Labels, read, size})
		}
	}
	if len(good)+len(bad) == 0 {
		return nil, invalid("no profiles received")
	}
	if err := p.write(ctx, "pprof", good, bad); err != nil {
		return nil, err
	}
	return connect.NewResponse(&pushv1.PushResponse{}), nil
}

// readProfile reads a pprof file, compressed or not, of which the bytes are a stranger's. It says how large it is.
func readProfile(text []byte, most int) (*profile.Profile, int, error) {
	raw, err := inflate(text, most)
	if err != nil {
		return nil, 0, err
	}
	read, err := profile.ParseUncompressed(raw)
	if err == nil {
		err = read.CheckValid()
	}
	if err != nil {
		return nil, 0, unknown("the profile is no pprof: %v", err)
	}
	return read, len(raw), nil
}

// inflate unpacks what is compressed by gzip, up to a size: 0 is none.
func inflate(text []byte, most int) ([]byte, error) {
	if len(text) < 2 || text[0] != 0x1f || text[1] != 0x8b {
		if most > 0 && len(text) > most {
			return nil, tooLarge(most)
		}
		return text, nil
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil, unknown("the profile is not compressed as it says: %v", err)
	}
	var reader io.Reader = unzipped
	if most > 0 {
		reader = io.LimitReader(unzipped, int64(most)+1)
	}
	raw, err := io.ReadAll(reader)
	if err != nil {
		return nil, unknown("the profile is not compressed as it says: %v", err)
	}
	if most > 0 && len(raw) > most {
		return nil, tooLarge(most)
	}
	return raw, nil
}

func tooLarge(most int) error {
	return invalid("uncompressed profile payload size exceeds limit of %d bytes (max_profile_size_bytes)", most)
}

// pushed is a profile on its way to disk, in whichever form it came.
type pushed struct {
	labels  []*typesv1.LabelPair
	profile *profile.Profile
	size    int // unpacked
}

// sizeOf is how many bytes a profile has that did not come as pprof.
func sizeOf(one *profile.Profile) (int, error) {
	var size counter
	err := one.WriteUncompressed(&size)
	return int(size), err
}

type counter int

func (c *counter) Write(text []byte) (int, error) {
	*c += counter(len(text))
	return len(text), nil
}
