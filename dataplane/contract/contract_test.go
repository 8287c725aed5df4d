package contract

import "testing"

func TestSuite(t *testing.T) {
	suite, err := Suite()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range suite {
		n += len(g.Cases)
		t.Log(g.Name, g.Writes, len(g.Cases))
	}
	t.Log(n)
}
