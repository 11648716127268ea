package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
	"pgregory.net/rapid"
)

var start = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)

func drawTrack(t *rapid.T) *Track {
	w := World{Seed: rapid.Uint64().Draw(t, "seed")}
	s := rapid.SampledFrom(slices.Concat(Fleet(40), Abroad(), Abroad())).Draw(t, "site")
	if s.SecondAgent && rapid.Bool().Draw(t, "beside") {
		return w.Beside(s)
	}
	if rapid.Bool().Draw(t, "forced") {
		w.Forced = []Forced{{Site: s.ID, Down: 30 * time.Second, Every: 3 * time.Minute, From: start.Add(50 * time.Hour), To: start.Add(53 * time.Hour)}}
	}
	return w.Track(s)
}

// anew follows the same agent, and knows nothing yet.
func anew(k *Track) *Track {
	if k.beside {
		return k.world.Beside(k.site)
	}
	return k.world.Track(k.site)
}

// drawCuts is a window of up to 40 days cut into up to six pieces anywhere.
func drawCuts(t *rapid.T, longest time.Duration) []time.Time {
	n := rapid.IntRange(2, 7).Draw(t, "cuts")
	offsets := rapid.SliceOfNDistinct(rapid.Int64Range(0, longest.Milliseconds()), n, n, rapid.ID).Draw(t, "at")
	slices.Sort(offsets)
	cuts := make([]time.Time, n)
	for i, o := range offsets {
		cuts[i] = start.Add(time.Duration(o) * time.Millisecond)
	}
	return cuts
}

func TestTruthTilesTimeWithoutGapOrOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := drawTrack(t)
		cuts := drawCuts(t, 40*24*time.Hour)
		from, to := cuts[0], cuts[len(cuts)-1]
		at := from
		for i, s := range k.Truth(from, to) {
			if !s.Start.Equal(at) || !s.End.After(s.Start) {
				t.Fatalf("span %d is %v to %v, after one that ends at %v", i, s.Start, s.End, at)
			}
			at = s.End
		}
		if !at.Equal(to) {
			t.Fatalf("truth ends at %v, want %v", at, to)
		}
	})
}

func TestTruthIsTheSameHoweverTheWindowIsCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := drawTrack(t)
		cuts := drawCuts(t, 40*24*time.Hour)
		whole := k.spans(cuts[0].UnixMilli(), cuts[len(cuts)-1].UnixMilli())
		other := anew(k) // knows nothing of the first
		var pieces []fault
		for i := len(cuts) - 1; i > 0; i-- { // the last piece first: no piece may depend on one before
			pieces = append(other.spans(cuts[i-1].UnixMilli(), cuts[i].UnixMilli()), pieces...)
		}
		var joined []fault
		for _, p := range pieces {
			joined = extend(joined, p)
		}
		if !slices.Equal(whole, joined) {
			t.Fatalf("whole\n%v\npieces\n%v", whole, joined)
		}
	})
}

func TestFaultsEndWithinADay(t *testing.T) {
	for _, s := range Fleet(60) {
		for d := range int64(400) {
			for _, f := range localDayFaults(7, &s, zoneOf(s.TimeZone), 20000+d) {
				if f.end <= f.start || f.end-f.start > day || f.start < (20000+d)*day-5*hour || f.start >= (20001+d)*day-5*hour {
					t.Fatalf("%s day %d: fault %+v", s.ID, d, f)
				}
			}
		}
	}
}

// tellAll tells a window piece by piece and takes the lines apart, each held against the schema.
func tellAll(t *rapid.T, k *Track, cuts []time.Time, step func(int64) int64) (lines []telemetry.Parsed) {
	for i := range len(cuts) - 1 {
		var o Told
		if err := k.Tell(&o, cuts[i], cuts[i+1], step); err != nil {
			t.Fatal(err)
		}
		for _, part := range []struct {
			text []byte
			n    int
			tier telemetry.Tier
		}{{o.Ledger, o.LedgerLines, telemetry.Ledger}, {o.Detail, o.DetailLines, telemetry.Detail}} {
			good, bad, err := telemetry.Parse(part.text)
			if err != nil && part.n <= telemetry.MaxLines || len(bad) > 0 {
				t.Fatalf("%v: %v %v", part.tier, bad, err)
			}
			if err == nil && len(good) != part.n {
				t.Fatalf("%d lines, said to be %d", len(good), part.n)
			}
			for _, l := range good {
				if l.Tier != part.tier {
					t.Fatalf("%s is in the %v tier", l.Raw, part.tier)
				}
				if at := time.UnixMilli(l.Time); !at.Before(cuts[i+1]) {
					t.Fatalf("%s told before it was, in a window that ends %v", l.Raw, cuts[i+1])
				}
			}
			lines = append(lines, good...)
		}
	}
	return lines
}

func TestSpansToldAreTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := drawTrack(t)
		cuts := drawCuts(t, 5*24*time.Hour)
		coarse := func(int64) int64 { return 60 * minute }
		var told []fault
		for _, l := range tellAll(t, k, cuts, coarse) {
			if l.Measurement != "span" {
				continue
			}
			s, err := telemetry.SpanOf(&l.Line)
			if err != nil {
				t.Fatal(err)
			}
			if floor(l.Time, hour) != floor(s.End().UnixMilli()-1, hour) {
				t.Fatalf("%s crosses an hour", l.Raw)
			}
			told = append(told, fault{start: l.Time, end: s.End().UnixMilli(), state: s.State, cause: s.Cause})
		}
		slices.SortFunc(told, func(a, b fault) int { return int(a.start - b.start) })
		// Between the first span told that began in the window and the last, all is covered but the unknown.
		if len(told) == 0 {
			return
		}
		first, last := told[0].start, told[len(told)-1].end
		guess := teller{k: k, spans: k.spans(first, last), to: last}
		guess.guess()
		var want []fault
		for _, f := range guess.spans {
			if f.state != Unknown {
				want = append(want, f)
			}
		}
		var got []fault
		for _, f := range told {
			got = extend(got, f)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("told\n%v\ntrue\n%v", got, want)
		}
		// Nothing that could be told is held back: what is missing at the end is an open span or a gap.
		end := cuts[len(cuts)-1].UnixMilli()
		for _, f := range k.spans(last, end) {
			if !f.gap() && f.end < end && f.end-f.start > 0 && floor(f.start, hour) != floor(end-1, hour) && !k.at(end-1).gap() {
				t.Fatalf("%+v was not told by %d", f, end)
			}
		}
	})
}

func TestLinesAreTheSameHoweverTheWindowIsCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := drawTrack(t)
		cuts := drawCuts(t, 14*time.Hour)
		step := func(b int64) int64 {
			if b <= start.UnixMilli()+5*hour {
				return 10 * minute
			}
			return minute
		}
		text := func(lines []telemetry.Parsed) []string {
			var out []string
			for _, l := range lines {
				out = append(out, string(l.Raw))
			}
			slices.Sort(out)
			return out
		}
		whole := text(tellAll(t, k, []time.Time{cuts[0], cuts[len(cuts)-1]}, step))
		pieces := text(tellAll(t, anew(k), cuts, step))
		if !slices.Equal(whole, pieces) {
			t.Fatalf("%d lines in one piece, %d in %d pieces", len(whole), len(pieces), len(cuts)-1)
		}
		for i := 1; i < len(whole); i++ {
			if whole[i] == whole[i-1] {
				t.Fatalf("told twice: %s", whole[i])
			}
		}
	})
}

func TestAnHourIsTheSumOfItsMinutes(t *testing.T) {
	for _, s := range Villages()[:4] {
		k := World{Seed: 3}.Track(s)
		var o Told
		if err := k.Tell(&o, start, start.Add(26*time.Hour), nil); err != nil {
			t.Fatal(err)
		}
		bytes, sent := map[int64]int64{}, map[int64]int64{}
		good, _, _ := telemetry.Parse(o.Detail)
		for _, l := range good {
			n, _ := l.GetInt("rx_bytes")
			bytes[floor(l.Time-1, hour)] += n
			if l.GetTag("target") == "internet" {
				n, _ := l.GetInt("sent")
				sent[floor(l.Time-1, hour)] += n
			}
		}
		hours := 0
		good, _, _ = telemetry.Parse(o.Ledger)
		for _, l := range good {
			ms, _ := l.GetInt("ms")
			if l.Measurement != "hour" || ms != hour || l.Time < start.UnixMilli() {
				continue
			}
			hours++
			rx, _ := l.GetInt("rx_bytes")
			n, _ := l.GetInt("sent")
			if at := l.Time; rx != bytes[at] || n != sent[at] || n != 60*probesEach {
				t.Errorf("%s %d: hour has %d bytes and %d probes, its minutes %d and %d", s.ID, at, rx, n, bytes[at], sent[at])
			}
		}
		if hours < 15 {
			t.Errorf("%s: only %d whole hours in 26", s.ID, hours)
		}
	}
}

func TestAFibreCutHitsTheNeighboursOfTheOperator(t *testing.T) {
	fleet := Villages()
	shared := 0
	for d := range int64(365) {
		cut := func(id string) bool {
			s := fleet[slices.IndexFunc(fleet, func(s Site) bool { return s.ID == id })]
			return slices.ContainsFunc(localDayFaults(1, &s, zoneOf(s.TimeZone), 20000+d), func(f fault) bool {
				return f.cause == telemetry.CauseBackhaul && f.end-f.start > 91*minute
			})
		}
		if cut("passu") != cut("misgar") {
			t.Errorf("day %d: passu %v, misgar %v on one fibre", d, cut("passu"), cut("misgar"))
		}
		if cut("passu") {
			shared++
		}
	}
	if shared < 3 {
		t.Errorf("%d cuts in a year", shared)
	}
}

func TestEveryStateAndCauseOccursInAMonth(t *testing.T) {
	seen := map[string]time.Duration{}
	var total time.Duration
	for _, s := range Villages() {
		for _, f := range (World{Seed: 1}).Track(s).Truth(start, start.Add(30*24*time.Hour)) {
			seen[string(f.State)+" "+string(f.Cause)] += f.End.Sub(f.Start)
			total += f.End.Sub(f.Start)
		}
	}
	for _, want := range []string{"up ", "degraded ", "down local", "down backhaul", "down dns", "off power", "off shutdown", "off agent", "unknown "} {
		t.Logf("%-14s %6.2f %%", want, 100*seen[want].Seconds()/total.Seconds())
		if seen[want] == 0 {
			t.Errorf("no %q in a month of twelve villages", want)
		}
	}
	if up := seen["up "].Seconds() / total.Seconds(); up < 0.85 || up > 0.98 {
		t.Errorf("up for %.3f of the time: not a village", up)
	}
}

func TestFleetHasDistinctWellFormedSites(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Fleet(2000) {
		if err := s.Address().Check(); err != nil || seen[s.ID] {
			t.Errorf("site %q: %v, seen before %v", s.ID, err, seen[s.ID])
		}
		seen[s.ID] = true
		if s.Latitude < 23 || s.Latitude > 37.1 || s.Longitude < 60 || s.Longitude > 78 || s.Population <= 0 || s.District == "" || s.Operator == "" {
			t.Errorf("%+v is not in Pakistan", s)
		}
	}
}

func BenchmarkTellDay(b *testing.B) {
	for _, step := range []int64{minute, 10 * minute} {
		b.Run((time.Duration(step) * time.Millisecond).String(), func(b *testing.B) {
			k := World{Seed: 1}.Track(Villages()[0])
			var o Told
			lines, d := 0, 0
			for b.Loop() {
				o.Reset()
				from := start.Add(time.Duration(d) * 24 * time.Hour)
				if err := k.Tell(&o, from, from.Add(24*time.Hour), func(int64) int64 { return step }); err != nil {
					b.Fatal(err)
				}
				lines += o.LedgerLines + o.DetailLines
				d++
			}
			b.ReportMetric(float64(lines)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
