package spool

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// golden copies a folder that an earlier version wrote.
func golden(t testing.TB, version string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", version))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// goldenBatches is what waits in testdata/v1.
func goldenBatches() (want []Batch) {
	for _, tier := range []telemetry.Tier{ledger, detail} {
		for i := range 24 {
			seq := uint64(i) + 1
			if of := []telemetry.Tier{detail, ledger}[i%4/3]; of != tier || seq%5 == 2 && seq < 24 {
				continue
			}
			want = append(want, Batch{Seq: seq, Tier: tier, Boot: "4f2a9c1b", Lines: int(seq%7) + 1, Payload: payload(seq, 100+i*23)})
		}
	}
	return want
}

func TestFilesOfVersionOneStayReadable(t *testing.T) {
	dir := golden(t, "v1")
	s, err := Open(dir, Options{MaxBytes: minMaxBytes})
	if err != nil {
		t.Fatal(err)
	}
	same(t, waiting(t, s), goldenBatches())
	want := Mark{Boot: "4f2a9c1b", At: time.Unix(1763899940, 5e6).UTC(), Mono: 90 * time.Second, Clock: telemetry.ClockSynced,
		Open: telemetry.OpenSpan{State: telemetry.StateDown, Cause: telemetry.CauseBackhaul, Length: 23 * time.Second}, Session: 3}
	if m, ok := s.Mark(); !ok || !m.equal(want) {
		t.Errorf("mark %+v %v, want %+v", m, ok, want)
	}
	if n, err := s.NextSession(); err != nil || n != 17 {
		t.Errorf("session %d %v, want 17", n, err)
	}
	if st := s.Stats(); st.CorruptRecords+st.TornBytes != 0 {
		t.Errorf("an intact folder is called damaged: %+v", st)
	}
	b := put(t, s, ledger, 77)
	if b.Seq != 25 {
		t.Errorf("seq %d, want 25", b.Seq)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(dir, Options{MaxBytes: minMaxBytes}); err != nil {
		t.Fatal(err)
	}
	if got := waiting(t, s); len(got) != len(goldenBatches())+1 {
		t.Errorf("%d batches after another run, want %d", len(got), len(goldenBatches())+1)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
