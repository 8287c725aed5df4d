package capability

import (
	"strings"
	"testing"
)

// No process is permitted a capability that does not exist: that one is missing for everybody.
func TestSaysHowToGetWhatIsNotPermitted(t *testing.T) {
	err := Raise(63, "cap_none")
	if err == nil || !strings.Contains(err.Error(), "setcap cap_none=p") {
		t.Error(err)
	}
}
