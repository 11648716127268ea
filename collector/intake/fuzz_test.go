package intake

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

func fuzzRules(f *testing.F) *rules {
	c := Config{Extra: []string{"cpu", "mem"}}
	c.defaults()
	c.MaxSeries = 1 << 30
	r, err := newRules(c)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(r.codec.Close)
	return r
}

// Whatever a foreign line is: what is taken in is stored under the sender's name, with the same meaning, on one line.
func FuzzForeignLine(f *testing.F) {
	r := fuzzRules(f)
	for _, s := range []string{"cpu,cpu=cpu0,host=a\\ b usage_idle=4.08 1795803810000000000", "mem used=1i,x=t,s=\"a \\\" b\" 1795803810000", "cpu x=1u 1", "cpu x=1", "mem x=1 -5",
		"cpu,a=b\\,c\\=d x=1 1795803810", "cpu,a=\\\\ x=1 1795803810000000", "mem,a=b\\ x=1 1795803810000"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := foreignLine(raw)
		if err != nil || r.checkForeign(&l) != nil {
			return
		}
		out, err := appendForeign(nil, l, clinic)
		if err != nil || bytes.Count(out, []byte{'\n'}) != 1 || out[len(out)-1] != '\n' {
			t.Fatalf("%q becomes %q (%v), want one line", raw, out, err)
		}
		again, err := telemetry.ParseLine(out[:len(out)-1])
		if len(out) > telemetry.MaxLineBytes { // the two tags and escapes have made it longer
			return
		}
		if err != nil || again.GetTag("site") != clinic.Site || again.GetTag("agent") != clinic.Agent || again.Measurement != l.Measurement || again.Time != l.Time || len(again.Fields) != len(l.Fields) || len(again.Tags) != len(l.Tags)+2 {
			t.Fatalf("%q becomes %q, which reads %+v (%v)", raw, out, again, err)
		}
		for i := range l.Fields {
			if again.Fields[i].Key != l.Fields[i].Key || !again.Fields[i].Value.Equal(l.Fields[i].Value) {
				t.Fatalf("%q becomes %q: field %d differs", raw, out, i)
			}
		}
		for _, tag := range l.Tags {
			if again.GetTag(tag.Key) != tag.Value {
				t.Fatalf("%q becomes %q: tag %q differs", raw, out, tag.Key)
			}
		}
	})
}

// Whatever a message is: nothing panics, each line of it is good or bad once, and what is stamped names its sender.
func FuzzMessage(f *testing.F) {
	r := fuzzRules(f)
	f.Add([]byte(header(1, "4f2a9c1b") + host(now)))
	f.Add([]byte("cpu x=1 1762171200\nhost load1=1 1762171200000\n"))
	f.Add([]byte("batchx=1 1\n"))
	f.Add([]byte("batch,x=y seq=1i 1\n"))
	x := newRoom() // used again and again, as in the intake
	f.Fuzz(func(t *testing.T, payload []byte) {
		text, weight, err := r.unpack(x, payload)
		if err != nil {
			return
		}
		if weight < int64(len(text)) && weight < r.c.FlightBytes || weight > r.c.FlightBytes {
			t.Fatalf("%d bytes of text weigh %d", len(text), weight)
		}
		x.batch = batch{address: clinic, payload: payload}
		b := &x.batch
		if r.check(x, text, now) != nil {
			return
		}
		lines := 0
		for l := range bytes.SplitSeq(text, []byte{'\n'}) {
			if len(l) > 0 {
				lines++
			}
		}
		if got := len(b.good) + len(b.bad); got != lines {
			t.Fatalf("%d lines, %d good and %d bad", lines, len(b.good), len(b.bad))
		}
		texts, expired := x.stamp(time.Time{})
		stamped := 0
		for _, x := range texts {
			for l := range bytes.Lines(x.bytes) {
				if !bytes.Contains(l, []byte(",agent=clinic,")) || !bytes.Contains(l, []byte("site=mbarara")) {
					t.Fatalf("%q names no sender", l)
				}
				stamped++
			}
		}
		if stamped+expired != len(b.good) {
			t.Fatalf("%d good lines, %d stamped and %d expired", len(b.good), stamped, expired)
		}
		_ = b.letters(now)
	})
}

// Whatever lies in the folder: a replay panics over nothing, takes away only whole records that were stored, and can be run again.
func FuzzDeadLetterFile(f *testing.F) {
	good, err := json.Marshal(letter{At: now, From: clinic.String(), Batch: "4f2a9c1b 3", Reason: "x", Payload: []byte(strings.TrimSpace(host(now)))})
	if err != nil {
		f.Fatal(err)
	}
	whole, err := json.Marshal(letter{At: now, From: clinic.String(), Reason: "x", Payload: []byte(header(1, "4f2a9c1b") + host(now))})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(good, '\n'))
	f.Add(append(append(whole, '\n'), good[:20]...))
	f.Add([]byte("{\"from\":\"a/b\"}\n\nnull\n[]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bufio.NewReader(bytes.NewReader(b))
		for {
			raw, err := readRecord(in)
			if err != nil {
				break
			}
			if len(raw) > maxRecord {
				t.Fatalf("a record of %d bytes", len(raw))
			}
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "0000000001.mbarara.clinic.jsonl"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		before, err := ListDeadLetters(dir, "", true)
		if err != nil {
			t.Fatal(err)
		}
		p := Replay{Config: Config{DeadLetters: dir}, Writer: takes{}, All: true, Now: func() time.Time { return now }}
		first, err := p.Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		after, err := ListDeadLetters(dir, "", true)
		if err != nil || len(after) > len(before) {
			t.Fatalf("%d letters became %d (%v)", len(before), len(after), err)
		}
		second, err := p.Run(context.Background())
		if err != nil || second.Refused != first.Refused {
			t.Fatalf("run again: %+v after %+v (%v)", second, first, err)
		}
		for _, d := range before {
			for _, part := range d.Parts {
				if strings.ContainsAny(part.Text, "\x1b\n\r") {
					t.Fatalf("%q can do something to a terminal", part.Text)
				}
			}
		}
	})
}

// takes stores everything.
type takes struct{}

// Submit stores the text at once.
func (takes) Submit(_ context.Context, _ telemetry.Tier, _ []byte, done func([]store.RefusedLine, error)) error {
	done(nil, nil)
	return nil
}

// Held is never.
func (takes) Held() error { return nil }

// Whatever a file is called: it is taken for letters only where the collector would call it so.
func FuzzOwner(f *testing.F) {
	f.Add("0000000001.mbarara.clinic.jsonl")
	f.Add("0000000004.jsonl")
	f.Fuzz(func(t *testing.T, name string) {
		number, who, ok := owner(name)
		if !ok {
			return
		}
		want := fmt.Sprintf("%010d.jsonl", number)
		if who != "" {
			want = fmt.Sprintf("%010d.%s.jsonl", number, who)
		}
		if name != want {
			t.Fatalf("%q is taken for number %d of %q", name, number, who)
		}
	})
}
