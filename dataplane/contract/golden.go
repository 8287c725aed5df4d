package contract

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

//go:embed golden
var goldens embed.FS

// Recorded says what a file of golden/ was recorded from.
type Recorded struct {
	Program  string `json:"program"`
	Version  string `json:"version"`
	Revision string `json:"revision"`
}

// golden is one file: the answers of a group, by case. Where every protocol gives the same, and that is how it should be,
// it stands once, under "all"; the status is that of HTTP with JSON.
type golden struct {
	Recorded Recorded                     `json:"recorded"`
	Answers  map[string]map[string]Answer `json:"answers"`
}

const everyProtocol = "all"

// fold writes equal answers of several protocols once.
func fold(answers map[string]Answer) (map[string]Answer, error) {
	first, ok := answers[JSON]
	if !ok || len(answers) < len(protocols) {
		return answers, nil
	}
	bare := first
	bare.Status = 0
	if bare.Code == "" && first.Status != 200 {
		return answers, nil // refused before Connect: each protocol has its own way to say so
	}
	for _, protocol := range protocols[1:] {
		same, err := equal(bare, answers[protocol])
		if err != nil || !same {
			return answers, err
		}
	}
	return map[string]Answer{everyProtocol: first}, nil
}

// unfold is the answer that one protocol has to give.
func unfold(answers map[string]Answer, protocol string) (Answer, bool) {
	if one, ok := answers[protocol]; ok {
		return one, true
	}
	one, ok := answers[everyProtocol]
	if protocol != JSON {
		one.Status = 0
	}
	return one, ok
}

func equal(a, b Answer) (bool, error) {
	left, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	right, err := json.Marshal(b)
	return bytes.Equal(left, right), err
}

// Save writes the answers of a play as the golden files of a folder.
func Save(folder string, recorded Recorded, answers Answers) error {
	for group, cases := range answers {
		file := golden{recorded, map[string]map[string]Answer{}}
		for name, one := range cases {
			folded, err := fold(one)
			if err != nil {
				return err
			}
			file.Answers[name] = folded
		}
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", " ")
		if err := encoder.Encode(file); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, group+".json"), out.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// goldenOf reads what was recorded for a group.
func goldenOf(group string) (*golden, error) {
	text, err := goldens.ReadFile("golden/" + group + ".json")
	if err != nil {
		return nil, fmt.Errorf("%s was never recorded; docs/contract.md says how", group)
	}
	found := &golden{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	decoder.DisallowUnknownFields()
	return found, decoder.Decode(found)
}
