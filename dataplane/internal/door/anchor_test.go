package door

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func giveAnn(w *world) {
	now := time.Now()
	w.grant("gift", "ann@example.com", "checkout", pprof, now.Add(-time.Hour), now.Add(time.Hour), now.Add(time.Hour))
}

func TestAWholeProfileLeavesAfterItsLineIsNotedOutside(t *testing.T) {
	w := newWorld(t)
	giveAnn(w)
	w.post(w.person(reader), names, query(""))
	if len(w.anchors.noted) != 0 {
		t.Fatal("a view waits for an anchor")
	}
	if status, body := w.post(w.person(reader), wholeOne, stacktracesOf(""), header(grantHeader, "gift")); status != 200 {
		t.Fatal(status, body)
	}
	if !slices.Equal(w.anchors.noted, []int{1, 2}) { // before the grant is used up, and with the export's own line
		t.Fatal(w.anchors.noted)
	}
	if status, body := w.post(w.program("flameplane-system/flameplane-downsample"), wholeOne, stacktracesOf("")); status != 200 {
		t.Fatal(status, body)
	}
	if !slices.Equal(w.anchors.noted, []int{1, 2, 3}) {
		t.Fatal(w.anchors.noted)
	}
}

func TestExportsStopAndViewsGoOnWhenTheStoreCannotBeReached(t *testing.T) {
	w := newWorld(t)
	giveAnn(w)
	w.anchors.fail = true
	if status, body := w.post(w.person(reader), names, query("")); status != 200 {
		t.Fatal(status, body)
	}
	refused := func(what string, status int, body string, lines int) {
		t.Helper()
		last := w.last()
		if status != http.StatusServiceUnavailable || strings.Contains(body, "secret") || !strings.Contains(body, "on record") {
			t.Fatal(what, status, body)
		}
		if last.Allowed || last.Rule != "audit" || last.Status != status || last.Bytes != len(body) || len(w.journal.all()) != lines {
			t.Fatalf("%s: %d lines, %+v", what, len(w.journal.all()), last)
		}
	}
	status, body := w.post(w.person(reader), wholeOne, stacktracesOf(""), header(grantHeader, "gift"))
	refused("a person's", status, body, 2)
	if len(w.leases.used) != 0 {
		t.Fatal("the grant is used up, and nothing was read")
	}
	status, body = w.post(w.program("flameplane-system/flameplane-downsample"), wholeOne, stacktracesOf(""))
	refused("a program's", status, body, 4)
	all := w.journal.all()
	if first := all[2]; !first.Allowed || first.Request != all[3].Request {
		t.Fatalf("the second line corrects the first: %+v", first)
	}
	w.anchors.after = 1 // it fails between the grant and the answer
	status, body = w.post(w.person(reader), wholeOne, stacktracesOf(""), header(grantHeader, "gift"))
	refused("a person's, late", status, body, 6)
	w.anchors.fail = false
	if status, body = w.post(w.program("flameplane-system/flameplane-downsample"), wholeOne, stacktracesOf("")); status != 200 {
		t.Fatal(status, body)
	}
}

func TestAGrantIsNotUsedUpWhenNothingCanBeWritten(t *testing.T) {
	w := newWorld(t)
	giveAnn(w)
	w.journal.full = true
	status, body := w.post(w.person(reader), wholeOne, stacktracesOf(""), header(grantHeader, "gift"))
	if status != http.StatusServiceUnavailable || len(w.leases.used) != 0 {
		t.Fatal(status, body, w.leases.used)
	}
	w.journal.full = false
	if status, body = w.post(w.person(reader), wholeOne, stacktracesOf(""), header(grantHeader, "gift")); status != 200 {
		t.Fatal(status, body)
	}
}

func TestWithoutAStoreNothingWaits(t *testing.T) {
	if err := (&Door{}).anchor(t.Context(), &visit{}); err != nil {
		t.Fatal(err)
	}
}
