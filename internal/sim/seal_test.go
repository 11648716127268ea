package sim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/agent/spool"
	"github.com/smartvillage/nabz/telemetry"
	"pgregory.net/rapid"
)

func testSealer(t testing.TB, k *Track, from time.Time, runs int64, coarse ...stretch) *sealer {
	t.Helper()
	c, err := telemetry.NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &sealer{track: k, codec: c, at: from.UnixMilli(), shift: 2 * runs, coarse: coarse,
		wire: func() int64 { return 0 }, waits: func() fill { return fill{} }}
}

// opened takes batches apart: lines without headers, headers, each held against the bounds and the schema.
func opened(t testing.TB, c *telemetry.Codec, batches []spool.Batch) (lines []string, headers []telemetry.Header) {
	t.Helper()
	for _, b := range batches {
		text, _, err := c.Open(nil, b.Payload)
		if err != nil {
			t.Fatal(err)
		}
		good, bad, err := telemetry.Parse(text)
		if err != nil || len(bad) > 0 || len(good) != b.Lines {
			t.Fatalf("batch %d: %d good lines of %d, bad %v, %v", b.Seq, len(good), b.Lines, bad, err)
		}
		h, err := telemetry.HeaderOf(&good[0].Line)
		if err != nil || h.Seq != b.Seq || h.Boot != b.Boot {
			t.Fatalf("batch %d of boot %s: header %+v, %v", b.Seq, b.Boot, h, err)
		}
		headers = append(headers, h)
		for _, l := range good[1:] {
			if l.Tier != b.Tier {
				t.Fatalf("batch %d is %v but holds %s", b.Seq, b.Tier, l.Raw)
			}
			lines = append(lines, string(l.Raw))
		}
	}
	return lines, headers
}

// sealUpTo seals as a run does: the history at once, then as time goes by.
func sealUpTo(t testing.TB, s *sealer, history, to int64) (out []spool.Batch) {
	t.Helper()
	add := func(w stretch) {
		if w.From < s.at || w.To <= w.From {
			t.Fatalf("stretch %+v after %d", w, s.at)
		}
		b, err := s.seal(w)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b...)
	}
	for s.at < history {
		w, ok := s.next(history, true)
		if !ok || w.From >= history {
			break
		}
		w.To = min(w.To, history)
		add(w)
	}
	for now := history; now <= to; now += 500 {
		for w, ok := s.next(now, false); ok && w.To <= now; w, ok = s.next(now, false) {
			add(w)
		}
	}
	return out
}

func TestBatchesTellEveryLineOnceWithinBounds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		k := drawTrack(rt)
		from := start.Add(time.Duration(rapid.Int64Range(0, 72*3600e3).Draw(rt, "from")) * time.Millisecond)
		history := from.UnixMilli() + rapid.Int64Range(0, 60*hour).Draw(rt, "history")
		end := history + rapid.Int64Range(0, 2*hour).Draw(rt, "live")
		var coarse []stretch
		if fine := floor(history-fineFor, coarseStep); fine > from.UnixMilli() {
			coarse = append(coarse, stretch{from.UnixMilli(), fine})
		}
		s := testSealer(t, k, from, 1, coarse...)
		batches := sealUpTo(t, s, history, end)
		got, headers := opened(t, s.codec, batches)
		for i, h := range headers {
			if h.Seq != uint64(i+1) || i > 0 && !h.At.After(headers[i-1].At) {
				rt.Fatalf("header %d: %+v after %+v", i, h, headers[max(0, i-1)])
			}
			at := h.At.UnixMilli()
			if f := k.at(at - 1); !f.gap() && (h.Open.State != f.state || h.Open.Cause != f.cause || h.Open.Length > time.Hour) {
				rt.Fatalf("header %+v, the truth is %+v", h, f)
			}
		}
		var o Told
		if err := k.tell(&o, from.UnixMilli(), s.at, s.step); err != nil {
			rt.Fatal(err)
		}
		want := strings.Split(strings.TrimSpace(string(o.Ledger)+string(o.Detail)), "\n")
		if len(o.Ledger)+len(o.Detail) == 0 {
			want = nil
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			rt.Fatalf("%d lines in batches, want %d", len(got), len(want))
		}
	})
}

func TestALinkedSiteHasToldAllUpToTheLastMinute(t *testing.T) {
	for _, site := range Villages() {
		k := World{Seed: 5}.Track(site)
		s := testSealer(t, k, start, 1)
		now := start.Add(5 * time.Hour).UnixMilli()
		sealUpTo(t, s, now-2*hour, now)
		if late := now - s.at; !k.at(now).gap() && late > minute+5300 {
			t.Errorf("%s: sealed up to %d ms ago", site.ID, late)
		}
	}
}

func TestWhatIsSealedAgainAfterACrashIsTheSameButForHeaders(t *testing.T) {
	k := World{Seed: 9}.Track(Villages()[4])
	first := testSealer(t, k, start, 1)
	a, ha := opened(t, first.codec, sealUpTo(t, first, start.Add(20*time.Hour).UnixMilli(), start.Add(22*time.Hour).UnixMilli()))
	second := testSealer(t, World{Seed: 9}.Track(Villages()[4]), start, 2)
	b, hb := opened(t, second.codec, sealUpTo(t, second, first.at, first.at))
	slices.Sort(a)
	slices.Sort(b)
	if !slices.Equal(a, b) {
		t.Errorf("%d lines, then %d", len(a), len(b))
	}
	used := map[int64]bool{}
	for _, h := range ha {
		used[h.At.UnixMilli()] = true
	}
	for _, h := range hb {
		if used[h.At.UnixMilli()] {
			t.Errorf("header at %v was written by the run before", h.At)
		}
	}
}

func TestOfWhatIsOlderThanTheDetailBucketOnlyTheLedgerIsTold(t *testing.T) {
	k := World{Seed: 1}.Track(Villages()[1])
	s := testSealer(t, k, start, 1)
	s.detail = start.Add(40 * time.Hour).UnixMilli()
	lines, _ := opened(t, s.codec, sealUpTo(t, s, start.Add(44*time.Hour).UnixMilli(), 0))
	links, hours := 0, 0
	for _, l := range lines {
		p, err := telemetry.ParseLine([]byte(l))
		if err != nil {
			t.Fatal(err)
		}
		switch p.Measurement {
		case "link":
			links++
			if p.Time < s.detail {
				t.Errorf("%s", l)
			}
		case "hour":
			hours++
		}
	}
	if links == 0 || hours < 40 {
		t.Errorf("%d links and %d hours", links, hours)
	}
}
