// Package intake reads profiles of programs that nobody has reason to trust: within bounds of memory, and without what
// they say of themselves.
package intake

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/google/pprof/profile"
)

// ErrTooLarge is told of what would take more memory than there is for one profile.
var ErrTooLarge = errors.New("the profile is too large")

// decoding lets one profile be decoded at a time: the pod has memory for one of the largest.
var decoding = make(chan struct{}, 1)

// Use decodes a pprof file, compressed or not, of at most “most“ bytes unpacked, and calls “with“ with it. Until that
// returns no other profile is decoded, so it keeps nothing of the profile.
func Use(text []byte, most int, with func(*profile.Profile) error) error {
	decoding <- struct{}{}
	defer func() { <-decoding }()
	raw, err := Unpack(text, most)
	if err != nil {
		return err
	}
	read, err := decode(raw)
	if err != nil {
		return err
	}
	return with(read)
}

func decode(raw []byte) (*profile.Profile, error) {
	var read *profile.Profile
	_, err := weigh(raw)
	if err == nil {
		read, err = profile.ParseUncompressed(raw)
	}
	if err == nil {
		err = read.CheckValid()
	}
	if err == nil && len(read.SampleType) == 0 {
		err = errors.New("it has no sample type")
	}
	if err != nil {
		return nil, fmt.Errorf("the profile is no pprof: %w", err)
	}
	return read, nil
}

// Unpack is the text itself, or what was compressed by gzip, up to a size.
func Unpack(text []byte, most int) ([]byte, error) {
	if !bytes.HasPrefix(text, []byte{0x1f, 0x8b}) {
		if len(text) > most {
			return nil, tooLarge(most)
		}
		return text, nil
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("not compressed as it says: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(unzipped, int64(most)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("not compressed as it says: %w", err)
	case len(raw) > most:
		return nil, tooLarge(most)
	}
	return raw, nil
}

// Pack compresses, quickly. Nothing in it can fail: the level is one that there is, and a buffer takes all that is written.
func Pack(text []byte) []byte {
	var out bytes.Buffer
	writer, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	_, _ = writer.Write(text)
	_ = writer.Close()
	return out.Bytes()
}

func tooLarge(most int) error {
	return fmt.Errorf("%w: it has more than %d MB", ErrTooLarge, most>>20)
}
