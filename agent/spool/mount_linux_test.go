package spool

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/smartvillage/nabz/internal/testneed"
)

// flash mounts a small file system, as a router's is.
func flash(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=128k"); err != nil {
		testneed.Missing(t, "a mounted file system", "run as root where mounting is allowed: "+err.Error())
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

func kinds(all []Finding) (out []Kind) {
	for _, f := range all {
		out = append(out, f.Kind)
	}
	return out
}

func TestARealFileSystemThatTurnsReadOnlyIsOutlived(t *testing.T) {
	dir := flash(t)
	data := filepath.Join(dir, "spool")
	o := Options{OrRAM: true, Fresh: func() (uint64, bool) { return 5000, true }}
	s, err := Open(data, Options{OrRAM: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []Batch{put(t, s, ledger, 100)}
	if err := s.SetMark(Mark{Boot: "4f2a9c1b"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	remount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, "size=128k"); err != nil {
			t.Fatalf("remount: %v", err)
		}
	}
	remount(syscall.MS_RDONLY)
	if s, err = Open(data, o); err != nil {
		t.Fatal(err)
	}
	if got := kinds(s.Findings()); !slices.Equal(got, []Kind{ReadOnly}) {
		t.Errorf("findings %v, want read-only", got)
	}
	if _, ok := s.Mark(); ok {
		t.Errorf("a mark that may be too old is given out")
	}
	if n := s.NextSeq(); n < 5000 {
		t.Errorf("next seq %d may have been used by a run that could not note it", n)
	}
	want = append(want, put(t, s, ledger, 100))
	same(t, waiting(t, s), want)
	if err := s.SetMark(Mark{Boot: "4f2a9c1b"}); !errors.Is(err, ErrRAMOnly) || !errors.Is(err, syscall.EROFS) {
		t.Errorf("a mark: %v, want ErrRAMOnly and EROFS", err)
	}
	if err := s.Ack(want[0].Seq); !errors.Is(err, syscall.EROFS) {
		t.Errorf("ack of a batch on the read-only file system: %v", err)
	}
	want = want[1:]
	remount(0)
	want = append(want, put(t, s, ledger, 100))
	if got := kinds(s.Findings()); !slices.Equal(got, []Kind{WorksAgain}) {
		t.Errorf("findings %v, want works-again", got)
	}
	if st := s.Stats(); st.RAMBatches != 0 {
		t.Errorf("%d batches are still in RAM", st.RAMBatches)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(data, o); err != nil {
		t.Fatal(err)
	}
	if got := waiting(t, s); len(got) == len(want)+1 { // the acknowledgement was not noted
		got = got[1:]
		same(t, got, want)
	} else {
		same(t, got, want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestARealFileSystemThatFillsUpIsOutlived(t *testing.T) {
	dir := flash(t)
	s, err := Open(filepath.Join(dir, "spool"), Options{OrRAM: true})
	if err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	var want []Batch
	for range 120 { // 128 KiB hold the ballast and not a hundred of these
		want = append(want, put(t, s, detail, 1000))
	}
	if got := kinds(s.Findings()); !slices.Equal(got, []Kind{DiskFull}) {
		t.Errorf("findings %v, want disk-full", got)
	}
	if st := s.Stats(); st.RAMBatches < 40 || st.DiskBytes < 20_000 {
		t.Errorf("stats %+v", st)
	}
	same(t, waiting(t, s), want)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for _, b := range want[:100] {
		if err := s.Ack(b.Seq); err != nil {
			t.Fatal(err)
		}
	}
	want = append(want[100:], put(t, s, detail, 1000))
	if st := s.Stats(); st.RAMBatches != 0 {
		t.Errorf("%d batches are still in RAM when the disk has room", st.RAMBatches)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(filepath.Join(dir, "spool"), Options{}); err != nil {
		t.Fatal(err)
	}
	same(t, waiting(t, s), want)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
