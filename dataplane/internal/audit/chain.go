package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
)

// Head is the newest line of a chain: what the next one names, and what anchors say.
type Head struct {
	Replica string `json:"replica"`
	Seq     uint64 `json:"seq"`
	Hash    string `json:"hash"` // hex SHA-256 of the line; of the first line's predecessor, all zeros
}

// genesis is what the first line of a chain names as its predecessor.
var genesis = hex.EncodeToString(make([]byte, sha256.Size))

type link struct {
	Replica string `json:"replica"`
	Seq     uint64 `json:"seq"`
	Prev    string `json:"prev"`
}

// next writes one line: the body of “record“ with its link in front and its own hash behind. The hash is SHA-256 over
// the line as it stands before the hash is put in, so that whoever verifies needs no canonical form of JSON.
func (h Head) next(record any) ([]byte, Head, error) {
	body, err := json.Marshal(record)
	if err != nil {
		return nil, h, err
	}
	front, err := json.Marshal(link{h.Replica, h.Seq + 1, h.Hash})
	if err != nil {
		return nil, h, err
	}
	text := make([]byte, 0, len(body)+len(front)+100)
	text = append(text, `{"chain":`...)
	text = append(text, front...)
	if !bytes.Equal(body, []byte("{}")) {
		text = append(text, ',')
	}
	text = append(text, body[1:]...)
	sum := sha256.Sum256(text)
	hash := hex.EncodeToString(sum[:])
	text = append(text[:len(text)-1], `,"hash":"`+hash+`"}`...)
	return text, Head{h.Replica, h.Seq + 1, hash}, nil
}

var ending = regexp.MustCompile(`^,"hash":"([0-9a-f]{64})"\}$`)

const endingLength = len(`,"hash":""}`) + 2*sha256.Size

// errTorn is a last line that was not finished: the process was killed while it wrote, so nobody was answered.
var errTorn = errors.New("the line is not whole")

// read takes one line apart and checks its hash against its text.
func read(text []byte) (link, string, error) {
	at := max(len(text)-endingLength, 0)
	found := ending.FindSubmatch(text[at:])
	if found == nil {
		return link{}, "", errTorn
	}
	hash := string(found[1])
	before := append(bytes.Clone(text[:at]), '}')
	if sum := sha256.Sum256(before); hex.EncodeToString(sum[:]) != hash {
		return link{}, "", errors.New("the line was changed: its hash is another")
	}
	var whole struct {
		Chain link `json:"chain"`
	}
	if err := json.Unmarshal(before, &whole); err != nil {
		return link{}, "", fmt.Errorf("the line is no JSON: %w", err)
	}
	return whole.Chain, hash, nil
}
