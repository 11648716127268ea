package intake

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func openLetters(t *testing.T, dir string, bound int64) *deadLetters {
	t.Helper()
	d, err := openDeadLetters(dir, bound, letterMetrics{prometheus.NewCounter(prometheus.CounterOpts{Name: "w"}), prometheus.NewCounter(prometheus.CounterOpts{Name: "d"})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func folderSize(t *testing.T, dir string) (size int64, names []string) {
	t.Helper()
	names, _ = filepath.Glob(filepath.Join(dir, "*"))
	for _, n := range names {
		info, err := os.Stat(n)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	return size, names
}

func TestOldDeadLettersMakeRoomForNewOnesWithinTheBound(t *testing.T) {
	dir := t.TempDir()
	const bound = 16 << 10
	d := openLetters(t, dir, bound)
	for n := range 200 {
		if err := d.Append([]letter{{From: "a/b", Reason: fmt.Sprint(n), Payload: bytes.Repeat([]byte{byte(n)}, 300)}}); err != nil {
			t.Fatal(err)
		}
		if size, _ := folderSize(t, dir); size > bound {
			t.Fatalf("folder holds %d bytes, over its bound of %d", size, bound)
		}
	}
	kept := letters(t, &Intake{c: Config{DeadLetters: dir}})
	if first, last := kept[0].Reason, kept[len(kept)-1].Reason; last != "199" || first != fmt.Sprint(200-len(kept)) {
		t.Errorf("letters %s to %s are kept, want the newest %d", first, last, len(kept))
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(d.m.dropped)
	if n := value(t, reg, "d", ""); int(n) != 200-len(kept) {
		t.Errorf("%v counted as dropped, want %d", n, 200-len(kept))
	}
	if err := d.Append([]letter{{Payload: make([]byte, bound)}}); err == nil {
		t.Error("a letter larger than the bound was written")
	}
}

func TestATornLetterIsCutOffAndItsNeighboursStay(t *testing.T) {
	dir := t.TempDir()
	d := openLetters(t, dir, 1<<20)
	for n := range 3 {
		if err := d.Append([]letter{{From: "a/b", Reason: fmt.Sprint(n)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	_, names := folderSize(t, dir)
	whole, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	second := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
	for cut := second + 1; cut < len(whole); cut += 7 {
		if err := os.WriteFile(names[0], whole[:cut], 0o640); err != nil {
			t.Fatal(err)
		}
		d := openLetters(t, dir, 1<<20)
		if err := d.Append([]letter{{From: "a/b", Reason: "new"}}); err != nil {
			t.Fatal(err)
		}
		got := letters(t, &Intake{c: Config{DeadLetters: dir}})
		if len(got) != 3 || got[0].Reason != "0" || got[1].Reason != "1" || got[2].Reason != "new" {
			t.Fatalf("cut at %d: %+v", cut, got)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		_, now := folderSize(t, dir)
		for _, n := range now[1:] {
			if err := os.Remove(n); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestADeadLetterThatCannotBeWrittenStopsTheAcknowledgement(t *testing.T) {
	i, w, _ := start(t, nil)
	if err := os.RemoveAll(i.c.DeadLetters); err != nil {
		t.Fatal(err)
	}
	i.Deliver(clinic.Topic("data"), []byte("\x00"))
	if err := i.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(w.acks) > 0 {
		t.Errorf("got %+v without a dead letter on disk", w.next(t))
	}
}
