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
