package objects_test

import (
	"context"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"flameplane.dev/dataplane/internal/objects"
	"flameplane.dev/dataplane/internal/objects/standin"
	"flameplane.dev/dataplane/internal/settings"
)

func bucket(t *testing.T, where settings.AuditBucket) *objects.Bucket {
	t.Helper()
	found, err := objects.NewBucket(t.Context(), where)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAnObjectIsAddedOnceAndNeverOverwritten(t *testing.T) {
	store := standin.New(t)
	to := bucket(t, store.Settings())
	for _, content := range []string{"first", "second"} {
		if err := to.Put(t.Context(), "gateway/a b+c.json", []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if all := store.Objects(); len(all) != 1 || string(all["gateway/a b+c.json"]) != "first" {
		t.Fatalf("%q", all)
	}
	if err := to.Put(t.Context(), "elsewhere/x", nil); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Fatal(err)
	}
}

func TestAnAnswerThatWasLostIsNoFailure(t *testing.T) {
	store := standin.New(t)
	store.Lose(1)
	if err := bucket(t, store.Settings()).Put(t.Context(), "gateway/x", []byte("x")); err != nil {
		t.Fatal(err)
	}
}

func TestAStoreThatFailsOrDawdlesIsSaid(t *testing.T) {
	store := standin.New(t)
	to := bucket(t, store.Settings())
	store.Slow(time.Minute / 4)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second/10)
	defer cancel()
	if err := to.Put(ctx, "gateway/x", nil); err == nil || !strings.Contains(err.Error(), "deadline exceeded") {
		t.Fatal(err)
	}
	store.Slow(0)
	store.Fail(true)
	if err := to.Put(t.Context(), "gateway/x", nil); err == nil || !strings.Contains(err.Error(), "SlowDown") {
		t.Fatal(err)
	}
}

// FLAMEPLANE_S3 is a bucket of a real store, as http://127.0.0.1:8333/bucket, with AWS's own variables for credentials.
func TestARealStoreTakesAnObjectOnce(t *testing.T) {
	given := os.Getenv("FLAMEPLANE_S3")
	if given == "" {
		t.Skip("NOT RUN: FLAMEPLANE_S3 names no bucket")
	}
	address, err := url.Parse(given)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Trim(address.Path, "/")
	address.Path = ""
	to := bucket(t, settings.AuditBucket{Bucket: name, Region: "eu-central-1", Endpoint: address.String()})
	key := "gateway/anchors/test/" + time.Now().Format(time.RFC3339Nano) + ".json"
	for range 2 {
		if err := to.Put(t.Context(), key, []byte("{}\n")); err != nil {
			t.Fatal(err)
		}
	}
}
