package intake

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/testneed"
	"github.com/smartvillage/nabz/telemetry"
)

func TestAnInfluxDBWhoseDiskIsFullKeepsAgentsWaitingAndLosesNothing(t *testing.T) {
	path, err := influxd.Find(t.Context(), os.Stderr)
	if err != nil {
		testneed.Missing(t, "InfluxDB", err.Error())
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=48m"); err != nil {
		testneed.Missing(t, "a mounted file system", "run as root where mounting is allowed: "+err.Error())
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	db, err := influxd.Start(t.Context(), influxd.Options{Path: path, Dir: filepath.Join(dir, "influx")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Kill() })
	s, i, w, _ := storing(t, store.Config{URL: db.URL, DetailBucket: "nabz", LedgerBucket: "ledger"}, store.WriterOptions{Patience: 1}, nil)
	if err := s.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := once(t, i, w, 1, sealed(1)); a.Verdict != telemetry.Stored {
		t.Fatalf("got %+v with room on the disk", a)
	}
	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	f.Close()
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	// The last page of the log may have room for some; then nothing is stored any more.
	seq, acked := uint64(2), uint64(1)
	var waiting []byte
	for i.Trouble() == nil && seq < 500 {
		waiting = sealed(seq)
		i.Deliver(clinic.Topic(telemetry.KindData), bytes.Clone(waiting))
		waitFor(t, "a verdict or a fault", func() bool { return len(w.acks) > 0 || i.Trouble() != nil })
		if len(w.acks) > 0 {
			acked = w.next(t).Seq
			seq++
		}
	}
	t.Logf("batch %d was the last that was acknowledged; then: %v", acked, i.Trouble())
	if i.Trouble() == nil {
		t.Fatal("InfluxDB stores without end on a full disk")
	}
	if got := letters(t, i); len(got) > 0 {
		t.Errorf("a full disk made %d dead letters, the first %+v", len(got), got[0])
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	// With room again 1.8 goes on failing at the file where it failed, until it is started anew. The collector needs nothing.
	if err := db.Kill(); err != nil {
		t.Fatal(err)
	}
	db.Restart(t)
	if a := until(t, i, w, seq, waiting); a.Verdict != telemetry.Stored {
		t.Errorf("got %+v with room again, want stored", a)
	}
	want := seq
	if n := count(t, s, telemetry.Detail, "SELECT count(distinct(uptime_s)) FROM host"); n != fmt.Sprint(want) {
		t.Errorf("%s batches are stored, want each of the %d that were acknowledged", n, want)
	}
}
