package intake

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

var rogue = telemetry.Address{Site: "rogue", Agent: "x"}

// anyone lets the world take acknowledgements for rogue, too, and forget them.
type anyone struct{ *world }

// Publish passes on what is for the clinic.
func (a anyone) Publish(topic string, payload []byte) error {
	if topic != clinic.Topic(telemetry.KindAck) {
		return nil
	}
	return a.world.Publish(topic, payload)
}

func TestHostileLinesAreRefusedOneByOneAndTheirNeighboursAreStored(t *testing.T) {
	at := now.UnixMilli()
	tests := []struct{ name, own, foreign, reason string }{
		{"NaN", "host load1=NaN %d", "cpu x=NaN %d", "malformed"},
		{"infinity", "host load1=+Inf %d", "cpu x=-inf %d", "malformed"},
		{"a float beyond all floats", "host load1=1e999 %d", "cpu x=1e999 %d", "malformed"},
		{"an integer beyond 64 bits", "host uptime_s=9223372036854775808i %d", "cpu x=9223372036854775808i %d", "malformed"},
		{"no number", "host uptime_s=0x10i %d", "cpu x=1_000i %d", "malformed"},
		{"invalid UTF-8", "event,kind=boot detail=\"\xff\xfe\" %d", "cpu,a=\xc3\x28 x=1 %d", "malformed"},
		{"a control character", "event,kind=boot detail=\"\x1b[2J\" %d", "cpu,a=\x00 x=1 %d", "malformed"},
		{"a field twice", "host load1=1,load1=2 %d", "cpu x=1,x=2 %d", "malformed"},
		{"a tag twice", "traffic,iface=a,iface=b rx_bytes=1i,tx_bytes=1i %d", "cpu,a=1,a=2 x=1 %d", "malformed"},
		{"a million tags", "host" + strings.Repeat(",a=b", 1_000_000) + " load1=1 %d", "cpu" + strings.Repeat(",a=b", 1_000_000) + " x=1 %d", "too_large"},
		{"many tags", "host" + tags(100) + " load1=1 %d", "cpu" + tags(20) + " x=1 %d", "too_large"},
		{"many fields", "host " + fields(100) + " %d", "cpu " + fields(100) + " %d", "too_large"},
		{"a huge line", "event,kind=boot detail=\"" + strings.Repeat("x", 100_000) + "\" %d", "cpu x=\"" + strings.Repeat("x", 100_000) + "\" %d", "too_large"},
		{"the far future", fmt.Sprintf("host load1=1 %d", at+400*24*3600_000), fmt.Sprintf("cpu x=1 %d", (at+400*24*3600_000)*1_000_000), "time"},
		{"ancient", "host load1=1 1", "cpu x=1 1000000000000000000", "time"},
		{"beyond all times", "host load1=1 9223372036854775807", "cpu x=1 9223372036854775807", "time"},
		{"before all times", "host load1=1 -9223372036854775808", "cpu x=1 -9223372036854775808", "time"},
		{"another's name", "host,site=mbarara load1=1 %d", "cpu,agent=clinic x=1 %d", "schema"},
	}
	for _, tt := range tests {
		for kind, bad := range map[string]string{"own": tt.own, "foreign": tt.foreign} {
			t.Run(tt.name+"/"+kind, func(t *testing.T) {
				i, w, reg := start(t, func(c *Config) { c.Extra = []string{"cpu"} })
				i.p.Publisher = anyone{w}
				if strings.Contains(bad, "%d") {
					bad = fmt.Sprintf(bad, at)
				}
				text, neighbour := header(1, "4f2a9c1b")+bad+"\n"+host(now), "host,agent=x,site=rogue uptime_s=1i"
				if kind == "foreign" {
					text, neighbour = fmt.Sprintf("cpu y=2 %d\n%s\ncpu,c=1 y=3 %d\n", at, bad, at), "cpu,agent=x,c=1,site=rogue y=3"
				}
				payload, err := i.codec.Seal(nil, []byte(text), telemetry.Gzip)
				if err != nil {
					t.Fatal(err)
				}
				i.Deliver(rogue.Topic(telemetry.KindData), payload)
				if err := i.Drain(t.Context()); err != nil {
					t.Fatal(err)
				}
				counted := value(t, reg, "nabz_intake_refused_total", tt.reason)
				if tt.name == "beyond all times" || tt.name == "before all times" { // no time at all, or one out of bounds
					counted += value(t, reg, "nabz_intake_refused_total", "malformed")
				}
				if counted != 1 {
					t.Errorf("%v counted as %s", counted, tt.reason)
				}
				if got := letters(t, i); len(got) != 1 {
					t.Errorf("%d dead letters, want the bad line", len(got))
				}
				if got := w.texts[telemetry.Detail]; !strings.Contains(got, neighbour) || strings.Contains(got, bad) {
					t.Errorf("stored %.300q, want its neighbour and not the bad line", got)
				}
			})
		}
	}
}

func tags(n int) (s string) {
	for i := range n {
		s += fmt.Sprintf(",t%02d=x", i)
	}
	return s
}

func fields(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("f%d=1", i)
	}
	return strings.Join(all, ",")
}

func TestATagWithEverNewValuesCostsOnlyItsSender(t *testing.T) {
	i, w, reg := start(t, func(c *Config) { c.MaxSeries = 100; c.Extra = []string{"cpu"} })
	i.p.Publisher = anyone{w}
	send := func(a telemetry.Address, text string) {
		i.Deliver(a.Topic(telemetry.KindData), []byte(text))
	}
	for n := range uint64(50) {
		text := header(n, "4f2a9c1b")
		for m := range 20 {
			text += line(telemetry.NewLine("traffic", now).Tag("iface", fmt.Sprint("veth", n, "-", m)).Int("rx_bytes", 1).Int("tx_bytes", 1))
		}
		send(rogue, text)
	}
	waitFor(t, "what is too much is refused", func() bool { return value(t, reg, "nabz_intake_refused_total", "series") == 900 })
	send(clinic, header(1, "4f2a9c1b")+line(telemetry.NewLine("traffic", now).Tag("iface", "eth0").Int("rx_bytes", 1).Int("tx_bytes", 1)))
	if ack := w.next(t); ack.Verdict != telemetry.Stored || ack.Refused != 0 {
		t.Errorf("the honest agent beside it got %+v", ack)
	}
	if n := strings.Count(w.texts[telemetry.Detail], "traffic,agent=x"); n != 100 {
		t.Errorf("%d series are stored, want 100", n)
	}
	// Field names of other programs cost InfluxDB as much.
	other := telemetry.Address{Site: "other", Agent: "x"}
	for n := range 300 {
		send(other, fmt.Sprintf("cpu f%d=1 %d\n", n, now.UnixNano()))
	}
	waitFor(t, "field names are counted", func() bool { return value(t, reg, "nabz_intake_refused_total", "series") == 900+201 })
	s := newSeries(1)
	l := telemetry.Parsed{Line: *telemetry.NewLine("traffic", now).Tag("iface", "a")}
	m := telemetry.Parsed{Line: *telemetry.NewLine("traffic", now).Tag("iface", "b")}
	if s.check(clinic, &l, false, now) != nil || s.check(clinic, &l, false, now) != nil || s.check(clinic, &m, false, now) == nil || s.check(clinic, &m, false, now.Add(24*time.Hour)) != nil {
		t.Error("want the same series always, a second one not today, and tomorrow")
	}
}

// Small messages that unpack to much, and batches of tens of thousands of tiny lines, while InfluxDB answers nothing: the heap grows by what the configuration
// allows, and not by what agents send.
func TestMemoryIsBoundedWhateverArrives(t *testing.T) {
	const queueBytes, flightBytes, workers = 4 << 20, 16 << 20, 2
	i, w, _ := start(t, func(c *Config) {
		c.QueueBytes, c.FlightBytes, c.Workers, c.MaxSeries = queueBytes, flightBytes, workers, 50
		c.Extra = []string{"cpu"}
	})
	i.p.Publisher = anyone{w}
	hold := make(chan struct{})
	var under atomic.Int64
	w.answer = func(text string) ([]store.RefusedLine, error) {
		under.Add(int64(len(text)))
		<-hold
		return nil, nil
	}
	seal := func(text string, e telemetry.Encoding) []byte {
		b, err := i.codec.Seal(nil, []byte(text), e)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	short := strings.Repeat(fmt.Sprintf("host load1=1 %d\n", now.UnixMilli()), 19_000)
	bad := strings.Repeat("host x=1 1\n", 19_000)
	payloads := [][]byte{
		seal(header(1, "4f2a9c1b")+short, telemetry.Zstd),
		seal(header(2, "4f2a9c1b")+short, telemetry.Gzip),
		seal(header(3, "4f2a9c1b")+bad, telemetry.Zstd),
		seal(strings.Repeat(fmt.Sprintf("cpu a=1,b=2,c=3,d=4,e=5,f=6 %d\n", now.UnixMilli()), 19_000), telemetry.Zstd),
		seal(header(4, "4f2a9c1b")+strings.Repeat("\n", 19_000), telemetry.Zstd),
		seal(strings.Repeat("a", telemetry.MaxExpanded+1), telemetry.Zstd),
		seal(strings.Repeat("a", telemetry.MaxExpanded+1), telemetry.Gzip),
		bytes.Repeat([]byte("x"), telemetry.MaxMessage),
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	runtime.GC()
	before, peak := heap(), int64(0)
	sent := int64(0)
	for n := range 400 {
		for k, p := range payloads {
			b := append(bytes.Clone(p), fmt.Sprint(n)...) // none is the same as another; what is behind a frame is an error of its own
			if k < 5 && n%2 == 0 {
				b = bytes.Clone(p)
			}
			sent += int64(len(b))
			i.Deliver(telemetry.Address{Site: fmt.Sprint("rogue", n%7), Agent: "x"}.Topic(telemetry.KindData), b)
		}
		peak = max(peak, heap()-before)
	}
	waitFor(t, "the memory in flight is used up", func() bool { return under.Load() > 100_000 && !i.flight.TryAcquire(flightBytes) })
	runtime.GC()
	held := heap() - before
	// Each worker may have one message unpacked. Twice all that for the garbage between two collections, and twice for good measure.
	const most = 4 * (queueBytes + flightBytes + workers*telemetry.MaxExpanded)
	t.Logf("the heap grew by %d MB at most and holds %d MB, of %d MB allowed, for %d MB of messages", peak>>20, held>>20, most>>20, sent>>20)
	if peak > most || held > most/2 {
		t.Errorf("the heap grew by %d bytes and holds %d; want at most %d and %d", peak, held, most, most/2)
	}
	close(hold)
	i.Deliver(clinic.Topic(telemetry.KindData), []byte(header(9, "4f2a9c1b")+host(now)))
	if ack := w.next(t); ack.Verdict != telemetry.Stored || ack.Seq != 9 || ack.Refused != 0 {
		t.Errorf("the honest agent beside it got %+v", ack)
	}
}
