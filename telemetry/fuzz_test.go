package telemetry

import (
	"bytes"
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	f.Add([]byte("host cpu_pct=1 1763900000000\n"))
	f.Add([]byte(`event,kind=boot detail="a \"b\" \\" 1` + "\n"))
	f.Add([]byte("span,cause=power,state=off ms=1i,err_ms=2i -5\n\nspan"))
	f.Add([]byte("batch seq=1i,boot=\"4f2a9c1b\",clock=\"synced\" 1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		good, _, err := Parse(text)
		if err != nil {
			return
		}
		for _, p := range good {
			again, err := p.Append(nil)
			if err != nil {
				t.Fatalf("accepted %q but cannot encode it: %v", p.Raw, err)
			}
			l, err := ParseLine(bytes.TrimSuffix(again, []byte("\n")))
			if err != nil || !sameLine(&l, &p.Line) {
				t.Fatalf("%q became %q (%v)", p.Raw, again, err)
			}
			stamped := AppendStamped(nil, p, Address{"s", "a"})
			l, err = ParseLine(bytes.TrimSuffix(stamped, []byte("\n")))
			if err != nil || l.GetTag("site") != "s" || l.GetTag("agent") != "a" || l.Measurement != p.Measurement {
				t.Fatalf("%q stamped as %q (%v)", p.Raw, stamped, err)
			}
			_, _ = HeaderOf(&p.Line)
			_, _ = SpanOf(&p.Line)
		}
	})
}

// FuzzQuick holds the quick way to read a line against the library's.
func FuzzQuick(f *testing.F) {
	for line := range bytes.Lines(minute()) {
		f.Add(bytes.TrimSuffix(line, []byte("\n")))
	}
	for _, line := range []string{"", "a", "host", "host ", "host,", "host cpu_pct", "host cpu_pct=", "host cpu_pct=1", "host cpu_pct=1 ", "host cpu_pct=1 1", "host cpu_pct=1, 1", "host cpu_pct=1,cpu_pct=2 1",
		"host cpu_pct=-0 1", "host cpu_pct=-0.0 1", "host cpu_pct=1. 1", "host cpu_pct=1e1 1", "host cpu_pct=101 1", "host cpu_pct=1i 1", "host load1=123456.7890123456789,uptime_s=007i -5", "host  cpu_pct=1 1", "host cpu_pct=1 9223372036855",
		"span,cause=power,state=off ms=1i,err_ms=2i 5", "span,state=off,cause=power ms=1i,err_ms=2i 5", "span,state=off,state=up ms=1i,err_ms=2i 5", "span,state= ms=1i,err_ms=2i 5", "span,state=on ms=1i,err_ms=2i 5",
		"span,state=up ms=1i 5", "span,state=up ms=9000000i,err_ms=2i 5", "traffic,iface=a\\ b rx_bytes=1i,tx_bytes=2i 1", "traffic,iface=a=b rx_bytes=1i,tx_bytes=2i 1", "traffic rx_bytes=1i,tx_bytes=2i 1",
		"power charging=true,mains=f 1", "power charging=truer 1", "event,kind=x detail=\"a \\\" b\" 1", "event,kind=x detail=\"a, b=c\" 1", "event,kind=x detail=\"\" 1", "event,kind=x detail=\"ü\" 1", "hour ms=999999999999999999i 1", "hour ms=9999999999999999999i 1"} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if bytes.IndexByte(raw, '\n') >= 0 {
			return
		}
		var q quick
		got, tier, ok := q.line(raw)
		some := quick{keep: []string{"batch"}}
		if few, alike, same := some.line(raw); same != ok || ok && (alike != tier || few.Time != got.Time || few.Fields != nil && few.Measurement != "batch") {
			t.Fatalf("%q is %+v, %v (%v) with some fields only, and %+v, %v (%v) with all", raw, few, alike, same, got, tier, ok)
		}
		if !ok {
			return
		}
		want, err := ParseLine(raw)
		if err != nil {
			t.Fatalf("%q was read as %+v, and is none: %v", raw, got, err)
		}
		if wants, err := Check(&want); err != nil || wants != tier || !sameLine(&got, &want) {
			t.Fatalf("%q was read as %+v of %v, want %+v of %v (%v)", raw, got, tier, want, wants, err)
		}
	})
}

func TestWhatAgentsSendIsReadTheQuickWay(t *testing.T) {
	lines := 0
	for line := range bytes.Lines(minute()) {
		var q quick
		if _, _, ok := q.line(bytes.TrimSuffix(line, []byte("\n"))); !ok {
			t.Errorf("%q is left to the library", line)
		}
		lines++
	}
	if lines < 4 {
		t.Errorf("%d lines, want a minute", lines)
	}
}

func TestFieldsOfALineAreItsOwn(t *testing.T) {
	good, bad, err := Parse(minute())
	if err != nil || len(bad) > 0 {
		t.Fatal(bad, err)
	}
	want := good[1].Fields[0].Key
	good[0].Fields = append(good[0].Fields, Field{Key: "more"})
	if got := good[1].Fields[0].Key; got != want {
		t.Errorf("a field appended to one line is in the next: %q, want %q", got, want)
	}
}

func sameLine(a, b *Line) bool {
	if a.Measurement != b.Measurement || a.Time != b.Time || len(a.Tags) != len(b.Tags) || len(a.Fields) != len(b.Fields) {
		return false
	}
	for i := range a.Tags {
		if a.Tags[i] != b.Tags[i] {
			return false
		}
	}
	for i := range a.Fields {
		if a.Fields[i].Key != b.Fields[i].Key || !a.Fields[i].Value.Equal(b.Fields[i].Value) {
			return false
		}
	}
	return true
}

func FuzzOpen(f *testing.F) {
	c := newCodec(f)
	for _, e := range []Encoding{Plain, Gzip, Zstd} {
		sealed, err := c.Seal(nil, []byte("host cpu_pct=1 1763900000000\n"), e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(sealed)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		text, e, err := c.Open(nil, payload)
		if err != nil {
			return
		}
		if len(text) > MaxExpanded {
			t.Fatalf("opened to %d bytes", len(text))
		}
		sealed, err := c.Seal(nil, text, e)
		if err != nil {
			t.Fatal(err)
		}
		if e == Plain && len(text) == 0 || len(sealed) > MaxMessage {
			return
		}
		again, _, err := c.Open(nil, sealed)
		if err != nil || !bytes.Equal(again, text) {
			t.Fatalf("sealed again and opened: %d bytes, %v; want %d", len(again), err, len(text))
		}
	})
}

func FuzzParseAck(f *testing.F) {
	f.Add([]byte("stored 4f2a9c1b 17 1763900000000 last=1763899940000,up,,23000 refused=1 why=x"))
	f.Add([]byte("rejected #9f3a11c2 0 1763900000000"))
	f.Add([]byte("stored 4f2a9c1b 13-17 1763900000000"))
	f.Add([]byte("stored 4f2a9c1b 3,5-7,9 1763900000000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseAck(b)
		if err != nil {
			return
		}
		once := a.Append(nil)
		again, err := ParseAck(once)
		if err != nil || !bytes.Equal(again.Append(nil), once) {
			t.Fatalf("%q became %q (%v)", b, once, err)
		}
	})
}

func FuzzParsePresence(f *testing.F) {
	f.Add([]byte("online 17"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePresence(b)
		if err != nil {
			return
		}
		if again, err := ParsePresence([]byte(p.String())); err != nil || again != p {
			t.Fatalf("%q: %v, %v", b, again, err)
		}
	})
}

func FuzzParseTopic(f *testing.F) {
	f.Add("nabz/v1/gokina/router/data")
	f.Fuzz(func(t *testing.T, topic string) {
		a, k, err := ParseTopic(topic)
		if err == nil && a.Topic(k) != topic {
			t.Fatalf("%q became %q", topic, a.Topic(k))
		}
	})
}

// What is taken for a verifier stands in a line of a password file as it is.
func FuzzCheckMosquittoVerifier(f *testing.F) {
	f.Add(MosquittoVerifier("open sesame"))
	f.Fuzz(func(t *testing.T, text string) {
		if CheckMosquittoVerifier(text) == nil && strings.ContainsAny(text, ":\r\n #") {
			t.Fatalf("%q is taken for a verifier", text)
		}
	})
}
