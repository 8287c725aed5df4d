package devstore

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"
	bolt "go.etcd.io/bbolt"
)

const (
	childFolder = "DEVSTORE_CRASH_FOLDER" // the test binary is the server when it is set
	kills       = 50
	clients     = 4
)

func TestMain(m *testing.M) {
	if folder := os.Getenv(childFolder); folder != "" {
		fmt.Fprintln(os.Stderr, serveUntilKilled(folder))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func serveUntilKilled(folder string) error {
	limits := DefaultLimits()
	limits.IngestionRateMB = 0
	store, err := Open(Options{Data: folder, Limits: &limits})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	server := &http.Server{Handler: store.Handler(), Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	return server.Serve(listener)
}

// TestKilledWhileWriting kills the server 50 times while clients push. Everything that was acknowledged is there
// afterwards, once, and the file is sound. A kill leaves what the kernel has: it shows that an answer comes after the
// write, and that no half of a transaction is read; that a sync outlives a loss of power is bbolt's and the disk's word.
func TestKilledWhileWriting(t *testing.T) {
	folder := t.TempDir()
	var mutex sync.Mutex
	acknowledged, next := map[int64]bool{}, int64(0)
	for range kills {
		command := exec.Command(os.Args[0])
		command.Env = append(os.Environ(), childFolder+"="+folder)
		command.Stderr = os.Stderr
		output, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		address, err := bufio.NewReader(output).ReadString('\n')
		if err != nil {
			t.Fatalf("the server did not start after %d kills: %v", kills, err)
		}
		to := pushv1connect.NewPusherServiceClient(client("a"), "http://"+strings.TrimSpace(address))
		var pushing sync.WaitGroup
		for range clients {
			pushing.Go(func() {
				for {
					mutex.Lock()
					next++
					id := next
					mutex.Unlock()
					one := cpuProfile(time.Now(), sample{[]string{"main", "work"}, id, nil})
					if err := push(t.Context(), to, labelled("process_cpu", "x"), packed(t, one)); err != nil {
						return // killed
					}
					mutex.Lock()
					acknowledged[id] = true
					mutex.Unlock()
				}
			})
		}
		time.Sleep(time.Duration(20+rand.IntN(200)) * time.Millisecond)
		if err := command.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = command.Wait() // it says that it was killed
		pushing.Wait()
	}
	stored := storedIDs(t, folder)
	for id := range acknowledged {
		if stored[id] != 1 {
			t.Errorf("profile %d was acknowledged and is there %d times", id, stored[id])
		}
	}
	if len(acknowledged) < kills {
		t.Fatalf("%d pushes were acknowledged in %d lives: that shows nothing", len(acknowledged), kills)
	}
	t.Logf("%d pushes acknowledged, %d stored", len(acknowledged), len(stored))
}

// storedIDs reads every value, which is the id, from the bodies, and checks the file's own structure.
func storedIDs(t *testing.T, folder string) map[int64]int {
	t.Helper()
	db, err := bolt.Open(filepath.Join(folder, databaseFile), 0o600, &bolt.Options{Timeout: lockTime})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			t.Error(err)
		}
		return nil
	}); err != nil || db.Close() != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(o *Options) { o.Data = folder })
	one := &selection{tenant: "a", from: 0, to: time.Now().Add(time.Hour).UnixNano()}
	if _, err := one.typed(cpu); err != nil {
		t.Fatal(err)
	}
	stored := map[int64]int{}
	if err := w.store.each(t.Context(), one, func(read *googlev1.Profile, number int) {
		for _, sample := range read.Sample {
			stored[sample.Value[number]]++
		}
	}); err != nil {
		t.Fatal(err)
	}
	return stored
}
