package sim

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/agent/spool"
	"github.com/smartvillage/nabz/telemetry"
)

func TestTheMarkMovesOnlyOverWhatIsAcknowledged(t *testing.T) {
	q := newQueue(100)
	batch := func(seq uint64, tier telemetry.Tier) spool.Batch {
		return spool.Batch{Seq: seq, Tier: tier, Lines: 2, Payload: []byte("x")}
	}
	q.put(200, []spool.Batch{batch(1, telemetry.Ledger), batch(2, telemetry.Detail)})
	q.put(300, nil) // nothing to tell, but not before what waits in front
	q.put(400, []spool.Batch{batch(3, telemetry.Ledger)})
	for _, c := range []struct {
		ack  uint64
		want int64
	}{{3, 100}, {2, 100}, {2, 100}, {99, 100}, {1, 400}} {
		if err := q.Ack(c.ack); err != nil {
			t.Fatal(err)
		}
		if got := q.fill().sentUpTo; got != c.want {
			t.Errorf("after ack %d: mark %d, want %d", c.ack, got, c.want)
		}
	}
	if f := q.fill(); f.batches != 0 || f.lines != 0 || f.bytes != 0 || f.acked != 6 {
		t.Errorf("emptied queue: %+v", f)
	}
}

func TestPeekGivesLedgerFirstAndLeavesOutWhatIsOnItsWay(t *testing.T) {
	q := newQueue(0)
	for seq := range uint64(6) {
		tier := telemetry.Detail
		if seq%2 == 1 {
			tier = telemetry.Ledger
		}
		q.put(int64(seq+1), []spool.Batch{{Seq: seq, Tier: tier, Lines: 1, Payload: []byte("x")}})
	}
	got, err := q.Peek(map[uint64]bool{1: true, 2: true}, 4)
	var seqs []uint64
	for _, b := range got {
		seqs = append(seqs, b.Seq)
	}
	if want := []uint64{3, 5, 0, 4}; err != nil || !slices.Equal(seqs, want) {
		t.Errorf("peek = %v, %v; want %v", seqs, err, want)
	}
}

func TestWaitEndsWithTheContext(t *testing.T) {
	q := newQueue(0)
	q.put(1, []spool.Batch{{Seq: 1, Tier: telemetry.Detail}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.wait(ctx, 0); err == nil {
		t.Error("waited for nothing")
	}
}

func TestASecondRunGoesOnFromTheFirst(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	s, err := loadState(file, 7)
	if err != nil {
		t.Fatal(err)
	}
	now := start.Add(30 * 24 * time.Hour).UnixMilli()
	v := s.begin("gokina", now, 30*day)
	if v.From != start.UnixMilli() || v.Sent != v.From || len(v.Coarse) != 1 || v.Coarse[0] != (stretch{v.From, now - day}) {
		t.Errorf("new site: %+v", v)
	}
	v.Sent, v.Seq, s.Runs = now-3*hour, 44, 1
	if err := s.save(file); err != nil {
		t.Fatal(err)
	}
	if s, err = loadState(file, 7); err != nil {
		t.Fatal(err)
	}
	later := now + 5*day
	v = s.begin("gokina", later, 30*day)
	if v.From != start.UnixMilli() || v.Sent != now-3*hour || v.Seq != 44 {
		t.Errorf("second run: %+v", v)
	}
	// Minutes may have been sent up to now, so only what is after that is coarse.
	if want := []stretch{{now, later - day}}; !slices.Equal(v.Coarse, want) {
		t.Errorf("coarse %v, want %v", v.Coarse, want)
	}
}

func TestAStateThatDoesNotFitIsRefused(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"another seed", `{"seed":3,"sites":{}}`, "is of seed 3, not 7: give --seed 3"},
		{"half a file", `{"seed":7,"si`, "remove it to begin anew"},
		{"backwards", `{"seed":7,"sites":{"gokina":{"from":5,"sent":4}}}`, `site "gokina" is damaged`},
		{"null site", `{"seed":7,"sites":{"gokina":null}}`, `site "gokina" is damaged`},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "state.json")
			if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := loadState(file, 7); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want …%s…", err, c.want)
			}
		})
	}
}

func TestTheTruthFileHoldsEachSpanOnceThroughCrashes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "truth.jsonl")
	w := World{Seed: 2}
	end := start.Add(9 * 24 * time.Hour)
	for i, cut := range []time.Duration{50 * time.Hour, 51 * time.Hour, 140 * time.Hour, 9 * 24 * time.Hour} {
		f, err := openTruth(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range Villages()[:3] {
			k := w.Track(s)
			for to := start; !to.After(start.Add(cut)); to = to.Add(7 * time.Minute) { // as acknowledgements come in
				if err := f.advance(k, start.UnixMilli(), to.UnixMilli(), false); err != nil {
					t.Fatal(err)
				}
			}
			if err := f.advance(k, start.UnixMilli(), start.Add(cut).UnixMilli(), i != 1); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.close(); err != nil {
			t.Fatal(err)
		}
		torn, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := torn.WriteString(`{"site":"gokina","start":"20`); err != nil { // the power goes in mid-line
			t.Fatal(err)
		}
		torn.Close()
	}
	last, err := openTruth(file) // cuts off the last torn line
	if err != nil {
		t.Fatal(err)
	}
	last.close()
	got, err := ReadTruth(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Villages()[:3] {
		if want := w.Track(s).Truth(start, end); !slices.Equal(got[s.ID], want) {
			t.Errorf("%s: %d spans in the file, %d true", s.ID, len(got[s.ID]), len(want))
		}
	}
}

func TestSecretsAreReadOrTheLineIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secrets")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# made by nabz-demo\n\ngokina/router abc\n")
	got, err := ReadSecrets(file)
	if err != nil || len(got) != 1 || got[telemetry.Address{Site: "gokina", Agent: "router"}] != "abc" {
		t.Errorf("got %v, %v", got, err)
	}
	write("gokina/router abc\ngokina\n")
	if _, err := ReadSecrets(file); err == nil || !strings.Contains(err.Error(), "secrets:2: write a line as") {
		t.Errorf("got %v", err)
	}
}
