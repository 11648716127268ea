package telemetry

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

var noon = time.UnixMilli(1763900000000).UTC()

func TestIDsTakeOnlyWhatATopicCanCarry(t *testing.T) {
	for id, ok := range map[string]bool{
		"gokina": true, "7": true, "a-b-c": true, strings.Repeat("a", 63): true,
		"": false, "-a": false, "Gokina": false, "a/b": false, "a+": false, "#": false, "a b": false, "ä": false, strings.Repeat("a", 64): false,
	} {
		if err := CheckID("site", id); (err == nil) != ok {
			t.Errorf("CheckID(%q) = %v, want ok %v", id, err, ok)
		}
	}
}

func TestTopicsRoundTripAndForeignOnesAreRefused(t *testing.T) {
	a := Address{"gokina", "router-1"}
	for _, k := range []Kind{KindData, KindAck, KindPresence, KindCommand, KindResult} {
		got, kind, err := ParseTopic(a.Topic(k))
		if err != nil || got != a || kind != k {
			t.Errorf("ParseTopic(%q) = %v %v %v", a.Topic(k), got, kind, err)
		}
	}
	for _, topic := range []string{"", "nabz/v1/a/b", "nabz/v1/a/b/data/x", "nabz/v2/a/b/data", "nabz/v1/A/b/data", "nabz/v1/+/b/data", "nabz/v1/a//data", "$SYS/x", "nabz/v1/a/b/data\x00"} {
		if _, _, err := ParseTopic(topic); err == nil {
			t.Errorf("ParseTopic(%q) accepted a foreign topic", topic)
		}
	}
	if got, err := ParseAddress("gokina/router-1"); err != nil || got != a {
		t.Errorf("ParseAddress = %v, %v", got, err)
	}
}

func TestLinesSurviveTheWire(t *testing.T) {
	l := NewLine("traffic", noon).Tag("iface", "wan 0,=x").Int("rx_bytes", 12).Int("tx_bytes", 0)
	text, err := l.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	good, bad, err := Parse(text)
	if err != nil || len(bad) != 0 || len(good) != 1 {
		t.Fatalf("Parse(%q): %d good, %v, %v", text, len(good), bad, err)
	}
	if got := good[0].GetTag("iface"); got != "wan 0,=x" {
		t.Errorf("iface = %q", got)
	}
	if good[0].Tier != Detail || good[0].Time != noon.UnixMilli() {
		t.Errorf("tier %v time %d", good[0].Tier, good[0].Time)
	}
	stamped := string(AppendStamped(nil, good[0], Address{"gokina", "r1"}))
	if want := `traffic,agent=r1,site=gokina,iface=wan\ 0\,\=x rx_bytes=12i,tx_bytes=0i 1763900000000` + "\n"; stamped != want {
		t.Errorf("stamped\n got %q\nwant %q", stamped, want)
	}
}

func TestWhatWasNotMeasuredIsLeftOutNeverZero(t *testing.T) {
	l := NewLine("host", noon).Float("temp_c", math.NaN()).Float("load1", math.Inf(1)).Float("cpu_pct", 1.23456).Tag("x", "")
	text, _ := l.Append(nil)
	if want := "host cpu_pct=1 1763900000000\n"; string(text) != want {
		t.Errorf("got %q want %q", text, want)
	}
}

func TestNumbersAreRoundedAsTheSchemaSays(t *testing.T) {
	l := NewLine("link", noon).Float("rtt_avg_ms", 48.8499).Float("rtt_max_ms", 0.04).Float("jitter_ms", 0.3).Float("unknown", 1.23456)
	if got, _ := l.Append(nil); string(got) != "link rtt_avg_ms=48.8,rtt_max_ms=0,jitter_ms=0.3,unknown=1.235 1763900000000\n" {
		t.Errorf("got %s", got)
	}
	for in, want := range map[int64]int64{0: 0, 7: 7, 999: 999, 1000: 1000, 4123456: 4120000, 4125000: 4130000, 9996: 10000, 1<<62 - 1: 4610000000000000000} {
		if got, _ := NewLine("traffic", noon).Int("rx_peak_bps", in).Int("rx_bytes", in).GetInt("rx_peak_bps"); got != want {
			t.Errorf("a peak of %d is written as %d, want %d", in, got, want)
		}
		if got, _ := NewLine("traffic", noon).Int("rx_bytes", in).GetInt("rx_bytes"); got != in {
			t.Errorf("%d bytes are written as %d", in, got)
		}
	}
	if got, _ := NewLine("batch", noon).Int("wire_bytes", 123456789).GetInt("wire_bytes"); got != 123457000 {
		t.Errorf("wire_bytes = %d, want thousands", got)
	}
	for _, m := range Schema() {
		for _, f := range m.Fields {
			if f.Type != Float {
				continue
			}
			if f.Step <= 0 {
				t.Errorf("%s: float %s has no step", m.Name, f.Key)
			}
			v, _ := NewLine(m.Name, noon).Float(f.Key, 123.456789).GetFloat(f.Key)
			if n := v / f.Step; math.Abs(n-math.Round(n)) > 1e-6 || math.Abs(v-123.456789) > f.Step/2 {
				t.Errorf("%s: %s = %v is not rounded to %v", m.Name, f.Key, v, f.Step)
			}
		}
	}
}

func TestOneBadLineNeverCostsItsNeighbours(t *testing.T) {
	text := "host cpu_pct=1 1763900000000\n" +
		"host cpu_pct=1i 1763900000000\n" +
		"nonsense\n" +
		"host,site=elsewhere cpu_pct=1 1763900000000\n" +
		"host load1=0.5 1763900000001\n"
	good, bad, err := Parse([]byte(text))
	if err != nil || len(good) != 2 || len(bad) != 3 {
		t.Fatalf("%d good, %d bad, %v; want 2 good, 3 bad", len(good), len(bad), err)
	}
	for i, want := range []int{2, 3, 4} {
		if bad[i].Number != want {
			t.Errorf("bad line %d has number %d, want %d", i, bad[i].Number, want)
		}
	}
}

func TestTheSchemaSaysWhatIsWrong(t *testing.T) {
	for line, want := range map[string]string{
		"cpu x=1 1":                                   `measurement "cpu" is not in the schema`,
		"host,site=a cpu_pct=1 1":                     `host: tag "site" is for the collector to set, from the topic`,
		"host,rack=a cpu_pct=1 1":                     `host: unknown tag "rack"`,
		"host cpu=1 1":                                `host: unknown field "cpu"`,
		"host cpu_pct=101 1":                          `host: field cpu_pct: 101 is outside 0 to 100`,
		"host uptime_s=1 1":                           `host: field uptime_s: float given, integer wanted`,
		"link,target=moon sent=1i,lost=0i 1":          `link: tag target="moon" is none of gateway, internet, collector, dns`,
		"link sent=1i,lost=0i 1":                      `link: tag "target" is missing`,
		"link,target=dns sent=1i 1":                   `link: a required field is missing (lost)`,
		"span,state=up ms=3600001i,err_ms=0i 1":       `span: field ms: 3.600001e+06 is outside 0 to 3.6e+06`,
		"event,kind=boot detail=\"x\",detail=\"y\" 1": `field "detail" twice: malformed`,
		"event,kind=boot detail=\"x\"":                `no timestamp: malformed`,
		"event,kind=boot,kind=b detail=\"x\" 1":       `tag "kind" twice: malformed`,
		"# comment":                                   `line does not begin with a measurement: malformed`,
		"traffic,iface=" + strings.Repeat("x", 65) + " rx_bytes=1i,tx_bytes=1i 1": `traffic: tag iface has 65 bytes, at most 64 are allowed`,
	} {
		_, bad, err := Parse([]byte(line + "\n"))
		if err != nil || len(bad) != 1 {
			t.Errorf("%s: accepted", line)
			continue
		}
		if got := bad[0].Err.Error(); got != want {
			t.Errorf("%s\n got %s\nwant %s", line, got, want)
		}
	}
}

func TestEveryMeasurementOfTheSchemaIsStorable(t *testing.T) {
	for _, m := range Schema() {
		l := NewLine(m.Name, noon)
		for _, tag := range m.Tags {
			v := "x"
			if tag.Values != nil {
				v = tag.Values[0]
			}
			l.Tag(tag.Key, v)
		}
		for _, f := range m.Fields {
			switch f.Type {
			case Int:
				l.Int(f.Key, int64(f.Min))
			case Float:
				l.Float(f.Key, f.Max)
			case Bool:
				l.Bool(f.Key, true)
			case String:
				l.Str(f.Key, "x")
			}
		}
		text, err := l.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if good, bad, _ := Parse(text); len(good) != 1 || good[0].Tier != m.Tier {
			t.Errorf("%s: %v", m.Name, bad)
		}
	}
}

func TestSpansAndHeadersRoundTrip(t *testing.T) {
	s := Span{Start: noon, Length: 90 * time.Second, State: StateDown, Cause: CauseBackhaul, Err: time.Second}
	if got, err := SpanOf(s.Line()); err != nil || got != s {
		t.Errorf("span %+v, %v; want %+v", got, err, s)
	}
	for _, h := range []Header{
		{At: noon, Boot: "4f2a9c1b", Seq: 17, Open: OpenSpan{StateDown, CauseDNS, time.Minute}, SpoolBytes: 1, SpoolLines: 2, WireBytes: 3000, Clock: ClockSynced},
		{At: noon, Boot: "4f2a9c1b", Seq: 18, Clock: ClockSynced, Next: 15 * time.Minute, AckWithin: 24 * time.Hour},
		{At: noon, Boot: "00000000", Clock: ClockEstimated},
	} {
		if got, err := HeaderOf(h.Line()); err != nil || got != h {
			t.Errorf("header %+v, %v; want %+v", got, err, h)
		}
	}
	if _, err := SpanOf(Span{Start: noon, State: StateUp, Cause: CausePower}.Line()); err == nil {
		t.Error("a span that is up because of power was accepted")
	}
}

func TestCodecRoundTripsInEveryEncoding(t *testing.T) {
	c := newCodec(t)
	text := []byte(strings.Repeat("host cpu_pct=1 1763900000000\n", 50))
	for _, e := range []Encoding{Plain, Gzip, Zstd} {
		sealed, err := c.Seal(nil, text, e)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := c.Seal(nil, text, e)
		if !bytes.Equal(sealed, again) {
			t.Errorf("%v: a second sealing gave other bytes", e)
		}
		out, got, err := c.Open([]byte("head "), sealed)
		if err != nil || got != e || string(out) != "head "+string(text) {
			t.Errorf("%v: opened as %v, %d bytes, %v", e, got, len(out), err)
		}
	}
}

func TestAMessageThatExpandsPastTheLimitIsRefused(t *testing.T) {
	c := newCodec(t)
	zeros := bytes.Repeat([]byte("a"), MaxExpanded/2+1)
	pack := func(parts int, e Encoding) []byte {
		var b bytes.Buffer
		for range parts { // one frame after the other, as a bomb would hide its size
			if e == Gzip {
				w := gzip.NewWriter(&b)
				_, _ = w.Write(zeros)
				_ = w.Close()
			} else {
				w, _ := zstd.NewWriter(&b)
				_, _ = w.Write(zeros)
				_ = w.Close()
			}
		}
		return b.Bytes()
	}
	for _, e := range []Encoding{Gzip, Zstd} {
		if out, _, err := c.Open(nil, pack(1, e)); err != nil || len(out) != len(zeros) {
			t.Errorf("%v: a message within the limit: %d bytes, %v", e, len(out), err)
		}
		if _, _, err := c.Open(nil, pack(3, e)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v: bomb: %v, want ErrTooLarge", e, err)
		}
		one, _ := c.Seal(nil, bytes.Repeat([]byte("a"), MaxExpanded+1), e)
		if _, _, err := c.Open(nil, one); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v: a single frame past the limit: %v, want ErrTooLarge", e, err)
		}
	}
	if _, _, err := c.Open(nil, make([]byte, MaxMessage+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("oversized message: %v", err)
	}
	if _, _, err := c.Open(nil, []byte{0}); !errors.Is(err, ErrMalformed) {
		t.Errorf("foreign bytes: %v", err)
	}
	if _, _, err := Parse(bytes.Repeat([]byte("\n"), MaxLines+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too many lines: %v", err)
	}
}

func TestAcknowledgementsRoundTrip(t *testing.T) {
	for text, a := range map[string]Ack{
		"stored 4f2a9c1b 17 1763900000000":                                        {Verdict: Stored, Boot: "4f2a9c1b", Seq: 17, Now: noon},
		"rejected #9f3a11c2 0 1763900000000 why=line 3: bad":                      {Verdict: Rejected, Digest: 0x9f3a11c2, Now: noon, Why: "line 3: bad"},
		"stored 4f2a9c1b 13-17 1763900000000":                                     {Verdict: Stored, Boot: "4f2a9c1b", First: 13, Seq: 17, Now: noon},
		"stored 4f2a9c1b 3,5-7,9 1763900000000":                                   {Verdict: Stored, Boot: "4f2a9c1b", Also: "3,5-7", Seq: 9, Now: noon},
		"stored 4f2a9c1b 3,13-17 1763900000000":                                   {Verdict: Stored, Boot: "4f2a9c1b", Also: "3", First: 13, Seq: 17, Now: noon},
		"stored 4f2a9c1b 17 1763900000000 last=1763900000000,up,,23000":           {Verdict: Stored, Boot: "4f2a9c1b", Seq: 17, Now: noon, Last: &LastBatch{noon, OpenSpan{StateUp, "", 23 * time.Second}}},
		"stored 4f2a9c1b 17 1763900000000 twin=9b0d77e2 refused=1 why=x":          {Verdict: Stored, Boot: "4f2a9c1b", Seq: 17, Now: noon, Twin: "9b0d77e2", Refused: 1, Why: "x"},
		"stored 4f2a9c1b 17 1763900000000 last=1763900000000,,,0 refused=2 why=x": {Verdict: Stored, Boot: "4f2a9c1b", Seq: 17, Now: noon, Last: &LastBatch{At: noon}, Refused: 2, Why: "x"},
	} {
		if got := string(a.Append(nil)); got != text {
			t.Errorf("Append\n got %s\nwant %s", got, text)
		}
		got, err := ParseAck([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if again := string(got.Append(nil)); again != text {
			t.Errorf("parsed and written again\n got %s\nwant %s", again, text)
		}
	}
	long := Ack{Verdict: Rejected, Boot: "4f2a9c1b", Now: noon, Why: strings.Repeat("very ", 500)}.Append(nil)
	if len(long) > MaxAck {
		t.Errorf("acknowledgement of %d bytes", len(long))
	}
	for _, bad := range []string{"", "stored", "perhaps 4f2a9c1b 1 1", "stored XX 1 1", "stored 4f2a9c1b -1 1", "stored 4f2a9c1b 1 x", "stored 4f2a9c1b 1 1 last=1", "stored 4f2a9c1b 1 1 last=1,up,dns,1", "stored #1 1 1",
		"stored 4f2a9c1b 5-4 1", "stored 4f2a9c1b 0-4 1", "stored 4f2a9c1b -4 1", "stored 4f2a9c1b 4- 1", "stored 4f2a9c1b 1-2-3 1", "stored 4f2a9c1b 1-4097 1", "stored #9f3a11c2 1-2 1",
		"stored 4f2a9c1b ,5 1", "stored 4f2a9c1b 5, 1", "stored 4f2a9c1b 3,,5 1", "stored 4f2a9c1b 5,3 1", "stored 4f2a9c1b 5,5 1", "stored 4f2a9c1b 3-6,5-7 1", "stored 4f2a9c1b 1,4097 1", "stored #9f3a11c2 1,2 1"} {
		if _, err := ParseAck([]byte(bad)); err == nil {
			t.Errorf("ParseAck(%q) accepted it", bad)
		}
	}
}

func TestARowOfBatchesIsNamedByItsEnds(t *testing.T) {
	parse := func(text string) Ack {
		t.Helper()
		a, err := ParseAck([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return a
	}
	row, one := parse("stored 4f2a9c1b 13-17 1"), parse("stored 4f2a9c1b 17-17 1")
	for seq, want := range map[uint64]bool{0: false, 12: false, 13: true, 15: true, 17: true, 18: false} {
		if row.Has(seq) != want || one.Has(seq) != (seq == 17) {
			t.Errorf("13-17 has %d: %v; 17-17 has it: %v", seq, row.Has(seq), one.Has(seq))
		}
	}
	some := parse("stored 4f2a9c1b 0,3,5-7,9-10 1")
	for seq, want := range []bool{true, false, false, true, false, true, true, true, false, true, true, false} {
		if some.Has(uint64(seq)) != want {
			t.Errorf("0,3,5-7,9-10 has %d: %v", seq, !want)
		}
	}
	if one.First != 0 {
		t.Errorf("a row of one begins at %d, want 0", one.First)
	}
	if most := parse("stored 4f2a9c1b 1-4096 1"); most.First != 1 || most.Seq != MaxAckSpan {
		t.Errorf("the longest row is %+v", most)
	}
}

func TestAHeaderLeavesOutWhatIsZero(t *testing.T) {
	got, _ := Header{At: noon, Boot: "4f2a9c1b", Seq: 17, Clock: ClockSynced}.Line().Append(nil)
	if want := `batch seq=17i,boot="4f2a9c1b",clock="synced" 1763900000000` + "\n"; string(got) != want {
		t.Errorf("got  %swant %s", got, want)
	}
	for _, bad := range []string{"next_s=-1i", "next_s=86401i", "ack_s=-1i", "ack_s=86401i"} {
		l, err := ParseLine([]byte(`batch seq=17i,boot="4f2a9c1b",clock="synced",` + bad + ` 1763900000000`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := HeaderOf(&l); err == nil {
			t.Errorf("a header with %s was accepted", bad)
		}
	}
}

func TestPresenceRoundTrips(t *testing.T) {
	for _, p := range []Presence{{true, 17}, {false, math.MaxUint64}} {
		if got, err := ParsePresence([]byte(p.String())); err != nil || got != p {
			t.Errorf("%v: %v, %v", p, got, err)
		}
	}
	for _, bad := range []string{"offline 99" + strings.Repeat(" ", 300), "", "online", "online x", "away 1", "online -1", "online  1", "online 1x 2"} {
		if _, err := ParsePresence([]byte(bad)); err == nil {
			t.Errorf("ParsePresence(%q) accepted it", bad)
		}
	}
}

func TestAnyTextFieldStaysOneLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.String().Draw(t, "text") + rapid.SampledFrom([]string{"", "\n", "\x00", "\xff", `\`, `"`, "\u0085"}).Draw(t, "tail")
		text, err := NewLine("event", noon).Tag("kind", "boot").Str("detail", v).Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		good, bad, err := Parse(text)
		if err != nil || len(good) != 1 {
			t.Fatalf("%q: %v %v", text, bad, err)
		}
	})
}

func newCodec(t testing.TB) *Codec {
	t.Helper()
	c, err := NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestNoAgentMaySendTheCollectorsOwnLines(t *testing.T) {
	for _, m := range OwnSchema() {
		l := NewLine(m.Name, time.Now())
		for _, s := range m.Tags {
			if s.Key != "site" {
				l.Tag(s.Key, "x")
			}
		}
		for _, f := range m.Fields {
			l.Int(f.Key, 1)
		}
		if _, err := Check(l); err == nil || !strings.Contains(err.Error(), "is not in the schema") {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
	if err := CheckOwn(NewLine("state", time.Now()).Tag("site", "a").Int("code", 6).Str("state", "up")); err == nil {
		t.Error("a code beyond the schema passes")
	}
	if err := CheckOwn(NewLine("span", time.Now())); err == nil {
		t.Error("an agent's line passes for the collector's own")
	}
}
