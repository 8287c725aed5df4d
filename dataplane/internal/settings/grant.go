package settings

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Grant is exports/<id>.yaml (schemas/grant.py): two people agreed that one profile may leave the platform.
type Grant struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name    string    `yaml:"name"`
		Granted time.Time `yaml:"granted"`
	} `yaml:"metadata"`
	Spec struct {
		Requester string    `yaml:"requester"`
		Approver  string    `yaml:"approver"`
		Team      string    `yaml:"team"`
		Service   string    `yaml:"service"`
		Format    string    `yaml:"format"`
		Purpose   string    `yaml:"purpose"`
		Expires   time.Time `yaml:"expires"`
		Window    struct {
			From time.Time `yaml:"from"`
			To   time.Time `yaml:"to"`
		} `yaml:"window"`
	} `yaml:"spec"`

	digest string
}

// Name is the grant's id.
func (g Grant) Name() string { return g.Metadata.Name }

// Digest is of the grant's text: a grant that was changed after it was used up is another one, and is not good anew,
// since its id is used up too.
func (g Grant) Digest() string { return g.digest }

func readGrant(path string) (Grant, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Grant{}, err
	}
	var found Grant
	if err := decode(text, &found); err != nil {
		return Grant{}, fmt.Errorf("%s: %w", path, err)
	}
	sum := sha256.Sum256(text)
	found.digest = hex.EncodeToString(sum[:])
	id := strings.TrimSuffix(filepath.Base(path), ".yaml")
	switch {
	case found.Kind != "ExportGrant" || found.APIVersion != "flameplane.dev/v1":
		return Grant{}, fmt.Errorf("%s: no ExportGrant of flameplane.dev/v1", path)
	case found.Name() != id || !TenantName.MatchString(id):
		return Grant{}, fmt.Errorf("%s: metadata.name is %q; it must be the file's name: small letters, digits, dashes", path, found.Name())
	case strings.EqualFold(found.Spec.Requester, found.Spec.Approver):
		return Grant{}, fmt.Errorf("%s: %s approved it alone", path, found.Spec.Approver)
	}
	return found, nil
}
