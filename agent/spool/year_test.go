package spool

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// village writes what an agent measures at a site whose collector cannot be reached, sealed as the recorder seals it.
type village struct {
	t     testing.TB
	codec *telemetry.Codec
	rng   *rand.Rand
	state telemetry.State
	text  []byte
}

func newVillage(t testing.TB) *village {
	t.Helper()
	c, err := telemetry.NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &village{t: t, codec: c, rng: rng(365), state: telemetry.StateDown}
}

func (v *village) add(l *telemetry.Line) {
	v.t.Helper()
	if _, err := telemetry.Check(l); err != nil {
		v.t.Fatal(err)
	}
	var err error
	if v.text, err = l.Append(v.text); err != nil {
		v.t.Fatal(err)
	}
}

// seal packs the lines behind a header, as long as that of a full spool is.
func (v *village) seal(tier telemetry.Tier, at time.Time, body []byte, lines int) Batch {
	v.t.Helper()
	h := telemetry.Header{At: at.Add(time.Duration(v.rng.IntN(900)) * time.Millisecond), Boot: "4f2a9c1b", Seq: 300_000 + uint64(v.rng.IntN(300_000)),
		Open:       telemetry.OpenSpan{State: v.state, Cause: cause(v.state), Length: time.Duration(v.rng.IntN(60_000)) * time.Millisecond},
		SpoolBytes: 3_000_000 + v.rng.Int64N(1_000_000), SpoolLines: 50_000 + v.rng.Int64N(50_000), WireBytes: 12345678, Clock: telemetry.ClockSynced}
	text, err := h.Line().Append(nil)
	if err != nil {
		v.t.Fatal(err)
	}
	packed, err := v.codec.Seal(nil, append(text, body...), telemetry.Zstd)
	if err != nil {
		v.t.Fatal(err)
	}
	return Batch{Tier: tier, Boot: h.Boot, Lines: lines + 1, Payload: packed}
}

func cause(s telemetry.State) telemetry.Cause {
	if s == telemetry.StateDown {
		return telemetry.CauseBackhaul
	}
	return ""
}

// hour returns the lines of the ledger that an hour closes: its spans in so many states, its sums, three services, and what is rare.
func (v *village) hour(start time.Time, spans int) (text []byte, lines int) {
	v.text = v.text[:0]
	r := v.rng
	at := start
	for i := range spans {
		length := time.Hour / time.Duration(spans)
		if spans > 1 && i < spans-1 {
			length = length/2 + time.Duration(r.Int64N(int64(length)))
		}
		length = min(length, start.Add(time.Hour).Sub(at)).Truncate(time.Millisecond)
		if i == spans-1 {
			length = start.Add(time.Hour).Sub(at)
		}
		v.add(telemetry.Span{State: v.state, Cause: cause(v.state), Start: at, Length: length, Err: time.Duration(r.IntN(2000)) * time.Millisecond}.Line())
		at = at.Add(length)
		if i < spans-1 {
			v.state = map[telemetry.State]telemetry.State{telemetry.StateDown: telemetry.StateUp, telemetry.StateUp: telemetry.StateDown}[v.state]
		}
	}
	hour := telemetry.NewLine("hour", start).Int("ms", 3_600_000)
	n := int64(0)
	for _, edge := range telemetry.HistogramEdgesMs() {
		n += r.Int64N(60)
		hour.Int(fmt.Sprintf("rtt_le_%d", edge), n)
	}
	v.add(hour.Int("rtt_le_inf", n).Int("sent", n+r.Int64N(300)).Int("lost", r.Int64N(300)).Int("rx_bytes", r.Int64N(9e8)).Int("tx_bytes", r.Int64N(9e7)).
		Int("rx_peak_bps", r.Int64N(2e7)).Int("tx_peak_bps", r.Int64N(4e6)).Int("clients_max", r.Int64N(40)))
	lines = spans + 1
	for _, service := range []string{"e-health-video", "e-learning", "digital-skills"} {
		if start.Hour() >= 7 && start.Hour() < 19 {
			v.add(telemetry.NewLine("hour_service", start).Tag("service", service).Int("ready_ms", r.Int64N(3_600_000)).Int("window_ms", 3_600_000))
			lines++
		}
	}
	if start.Hour() == 12 {
		v.add(telemetry.NewLine("event", start.Add(1234567*time.Millisecond)).Tag("kind", "spool_overflow").
			Str("detail", fmt.Sprintf("%d batches with %d lines dropped because the spool was full", r.IntN(9999), r.IntN(99999))))
		lines++
	}
	return v.text, lines
}

// minute returns the detail lines of a minute.
func (v *village) minute(at time.Time) (text []byte, lines int) {
	v.text = v.text[:0]
	r := v.rng
	ms := func(n int) float64 { return float64(r.IntN(n*10)) / 10 }
	v.add(telemetry.NewLine("link", at).Tag("target", "gateway").Int("sent", 2).Int("lost", 0).Float("rtt_min_ms", ms(1)).Float("rtt_avg_ms", ms(2)).Float("rtt_max_ms", ms(4)).Float("jitter_ms", ms(1)))
	v.add(telemetry.NewLine("link", at).Tag("target", "internet").Int("sent", 2).Int("lost", r.Int64N(3)).Float("rtt_min_ms", ms(50)).Float("rtt_avg_ms", ms(100)).Float("rtt_max_ms", ms(400)).Float("jitter_ms", ms(40)))
	v.add(telemetry.NewLine("traffic", at).Tag("iface", "wwan0").Int("rx_bytes", r.Int64N(9e6)).Int("tx_bytes", r.Int64N(9e5)).Int("rx_peak_bps", r.Int64N(2e7)).Int("tx_peak_bps", r.Int64N(4e6)).Int("errs", 0).Int("drops", 0))
	v.add(telemetry.NewLine("host", at).Float("cpu_pct", ms(20)).Float("mem_pct", ms(90)).Float("disk_pct", 43).Float("load1", ms(2)).Int("uptime_s", at.Unix()%999999))
	return v.text, 4
}

func TestAYearOfflineFitsInFourMebibytesWithTheLedgerIntact(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	d := newDisk()
	d.noPower = true
	s := open(t, d, Options{})
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var minutes, hours []Batch // the spool does not look into payloads, so two hours of detail and ten days of ledger stand for all
	for i := range 120 {
		at := start.Add(time.Duration(i) * time.Minute)
		text, lines := v.minute(at)
		minutes = append(minutes, v.seal(detail, at, text, lines))
	}
	spans := 0
	for h := range 10 * 24 {
		n := 1 + v.rng.IntN(3)
		if h%30 == 17 { // a day a month with fifty cuts an hour
			n = 100
		}
		spans += n
		at := start.Add(time.Duration(h) * time.Hour)
		text, lines := v.hour(at, n)
		hours = append(hours, v.seal(ledger, at.Add(time.Hour), text, lines))
	}
	var ledgers []Batch
	var details []uint64
	ledgerBytes, detailBytes := 0, 0
	dropped := int64(0)
	store := func(b Batch) Batch {
		b.Seq = s.NextSeq()
		if err := s.Put(b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	for h := range 365 * 24 {
		if h == 180*24+11 {
			dropped += s.Stats().DroppedBatches
			s = reopen(t, s, d, Options{})
		}
		for m := range 60 {
			b := store(minutes[(h*60+m)%len(minutes)])
			details = append(details, b.Seq)
			detailBytes += len(b.Payload)
		}
		b := store(hours[h%len(hours)])
		ledgers = append(ledgers, b)
		ledgerBytes += len(b.Payload)
	}
	dropped += s.Stats().DroppedBatches
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if used := d.used(); used > DefaultMaxBytes+stateLimit {
		t.Errorf("%d bytes on disk", used)
	}
	s = open(t, d, Options{})
	got := waiting(t, s)
	kept := slices.IndexFunc(got, func(b Batch) bool { return b.Tier == detail })
	if kept < 0 {
		t.Fatal("no detail is left")
	}
	st := s.Stats()
	t.Logf("ledger: %d batches of %d B, %d spans in ten days; detail: %d of %d batches of %d B kept; on disk %d B in %d files, index %d B",
		len(ledgers), ledgerBytes/len(ledgers), spans, len(got)-kept, len(details), detailBytes/len(details), st.DiskBytes, len(d.now), st.IndexBytes)
	same(t, got[:kept], ledgers)
	if n := len(got) - kept; n < 24*60 {
		t.Errorf("%d minutes of detail are kept, want the last day at least", n)
	}
	if newest := details[len(details)-(len(got)-kept):]; !slices.Equal(seqs(got[kept:]), newest) {
		t.Errorf("detail %v is kept, want the newest", seqs(got[kept:]))
	}
	if want := int64(len(details) - (len(got) - kept)); dropped != want {
		t.Errorf("%d batches counted as dropped, %d are missing", dropped, want)
	}
}
