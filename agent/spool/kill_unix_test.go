//go:build unix

package spool

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/smartvillage/nabz/telemetry"
)

const childFolder = "NABZ_SPOOL_TEST_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childFolder); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func childSize(seq uint64) int { return int(seq*7919%2500) + 1 }

func childTier(seq uint64) telemetry.Tier {
	if seq%5 == 0 {
		return telemetry.Ledger
	}
	return telemetry.Detail
}

// child puts and acknowledges as fast as it can, and tells each step on standard output: "put 7" when Put has returned, "ack 7"
// before Ack is called.
func child(dir string) error {
	s, err := Open(dir, Options{MaxBytes: 64 << 20})
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(uint64(os.Getpid()), 0))
	for {
		seq := s.NextSeq()
		b := Batch{Seq: seq, Tier: childTier(seq), Lines: int(seq % 100), Payload: payload(seq, childSize(seq))}
		if err := s.Put(b); err != nil {
			return err
		}
		if _, err := fmt.Printf("put %d\n", seq); err != nil {
			return err
		}
		if r.IntN(4) == 0 { // now and then fall behind
			continue
		}
		got, err := s.Peek(nil, 1+r.IntN(3))
		if err != nil {
			return err
		}
		for _, b := range got {
			if _, err := fmt.Printf("ack %d\n", b.Seq); err != nil {
				return err
			}
			if err := s.Ack(b.Seq); err != nil {
				return err
			}
		}
	}
}

func TestKillMinusNineLosesNoBatchWhosePutHasReturned(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "spool")
	r := rand.New(rand.NewPCG(7, 7))
	due := map[uint64]bool{} // put and no acknowledgement begun
	begun := map[uint64]bool{}
	var highest, puts uint64
	for round := range 25 {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), childFolder+"="+dir)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		after, lines := 1+r.IntN(400), 0
		scan := bufio.NewScanner(out)
		for scan.Scan() { // to the end of what the child had said before it died
			var what string
			var seq uint64
			if n, _ := fmt.Sscanf(scan.Text(), "%s %d", &what, &seq); n != 2 {
				continue // the line it died in
			}
			switch what {
			case "put":
				if seq <= highest {
					t.Fatalf("round %d: seq %d was used again, %d had been put before", round, seq, highest)
				}
				highest, due[seq] = seq, true
				puts++
			case "ack":
				delete(due, seq)
				begun[seq] = true
			}
			if lines++; lines == after {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // killed: the exit status says so
		if lines < after {
			t.Fatalf("round %d: the child stopped by itself: %s", round, stderr.String())
		}
		s, err := Open(dir, Options{MaxBytes: 64 << 20})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		there := map[uint64]bool{}
		for _, b := range waiting(t, s) {
			if !bytes.Equal(b.Payload, payload(b.Seq, childSize(b.Seq))) || b.Tier != childTier(b.Seq) || b.Lines != int(b.Seq%100) {
				t.Fatalf("round %d: batch %d came back changed", round, b.Seq)
			}
			there[b.Seq] = true
		}
		for seq := range due {
			if !there[seq] {
				t.Fatalf("round %d: batch %d is lost", round, seq)
			}
		}
		for seq := range there {
			if seq <= highest && !due[seq] && !begun[seq] {
				t.Fatalf("round %d: batch %d is there but was never put", round, seq)
			}
			due[seq] = true
		}
		if n := s.NextSeq(); n <= highest {
			t.Fatalf("round %d: next seq %d, but %d was put", round, n, highest)
		}
		if st := s.Stats(); st.CorruptRecords != 0 || st.DroppedBatches != 0 {
			t.Fatalf("round %d: %+v", round, st)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d batches put in 25 rounds, %d wait", puts, len(due))
}
