package telemetry

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const releases = "testdata/releases"

// said is one thing that agent and collector of a release said to each other, byte for byte.
type said struct {
	Kind  string
	Text  string
	Bytes []byte // where it is no text
}

func (s said) payload() []byte {
	if s.Bytes != nil {
		return s.Bytes
	}
	return []byte(s.Text)
}

// TestWhatEveryReleaseSaidIsReadAsItWasThen reads the recorded bytes of each release. With NABZ_UPDATE=1 it writes down how a release that was
// recorded just now is read; what is written never changes.
func TestWhatEveryReleaseSaidIsReadAsItWasThen(t *testing.T) {
	dirs, err := filepath.Glob(releases + "/*/wire.jsonl")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no release was recorded (%v)", err)
	}
	for _, wire := range dirs {
		t.Run(filepath.Base(filepath.Dir(wire)), func(t *testing.T) {
			text, err := os.ReadFile(wire)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			kinds := map[string]int{}
			for line := range bytes.Lines(text) {
				var s said
				if err := json.Unmarshal(line, &s); err != nil {
					t.Fatal(err)
				}
				kinds[s.Kind]++
				fmt.Fprintf(&got, "%s\n", s.Kind)
				reads(t, &got, s)
			}
			for _, kind := range []string{"data", "ack", "presence", "will", "command", "result", "enrol-request", "enrol-answer"} {
				if kinds[kind] == 0 {
					t.Errorf("nothing of kind %s was recorded", kind)
				}
			}
			file := filepath.Join(filepath.Dir(wire), "read.txt")
			want, err := os.ReadFile(file)
			if os.IsNotExist(err) && os.Getenv("NABZ_UPDATE") != "" {
				want = []byte(got.String())
				err = os.WriteFile(file, want, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("what was read then is read otherwise now\n got %s\nwant %s", got.String(), want)
			}
		})
	}
}

// reads writes down what a message says to the code of today.
func reads(t *testing.T, out *strings.Builder, s said) {
	t.Helper()
	codec := newCodec(t)
	payload := s.payload()
	fail := func(err error) {
		if err != nil {
			t.Fatalf("%s %.80q: %v", s.Kind, payload, err)
		}
	}
	indented := func(text string) {
		fmt.Fprintf(out, "  %s\n", strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  "))
	}
	switch s.Kind {
	case "data":
		text, how, err := codec.Open(nil, payload)
		fail(err)
		good, bad, err := Parse(text)
		fail(err)
		if len(bad) > 0 {
			t.Fatalf("line %d of a batch: %v", bad[0].Number, bad[0].Err)
		}
		h, err := HeaderOf(&good[0].Line)
		fail(err)
		indented(fmt.Sprintf("%s; boot %s seq %d at %d, open %s %s %v, spool %d %d, wire %d, clock %s, next %v, ack within %v", how, h.Boot, h.Seq, h.At.UnixMilli(), h.Open.State, h.Open.Cause, h.Open.Length,
			h.SpoolBytes, h.SpoolLines, h.WireBytes, h.Clock, h.Next, h.AckWithin))
		for _, p := range good {
			line, err := p.Append(nil)
			fail(err)
			indented(p.Tier.String() + " " + string(line))
			if p.Measurement == "event" && p.GetTag("kind") == "boot" {
				detail, _ := p.GetStr("detail")
				indented(fmt.Sprintf("program %+v", ProgramOf(detail)))
			}
		}
	case "ack":
		a, err := ParseAck(payload)
		fail(err)
		indented(string(a.Append(nil)))
	case "presence", "will":
		p, err := ParsePresence(payload)
		fail(err)
		indented(p.String())
	case "command":
		c, err := ParseCommand(payload)
		fail(err)
		indented(string(c.Append(nil)))
	case "result":
		r, err := ParseResult(payload)
		fail(err)
		var data []byte
		if len(r.Data) > 0 {
			data, _, err = codec.Open(nil, r.Data)
			fail(err)
		}
		indented(fmt.Sprintf("%s %s %d %s\n%s", r.ID, r.State, r.At.UnixMilli(), r.Text, data))
	case "enrol-request":
		var q EnrolRequest
		fail(json.Unmarshal(payload, &q))
		a, word, secret, err := q.Parse()
		fail(err)
		indented(fmt.Sprintf("%s %x %x %s", a, word, secret, q.Mosquitto))
	case "enrol-answer":
		var a EnrolAnswer
		fail(json.Unmarshal(payload, &a))
		indented(a.Config + "\n" + a.CA)
	default:
		t.Fatalf("a message of kind %q", s.Kind)
	}
}

// TestWhatWasRecordedNeverChanges holds the files of each release against the list of their hashes. With NABZ_UPDATE=1 those of a new release are
// added to the list.
func TestWhatWasRecordedNeverChanges(t *testing.T) {
	const list = releases + "/SHA256SUMS"
	text, err := os.ReadFile(list)
	if err != nil && os.Getenv("NABZ_UPDATE") == "" {
		t.Fatal(err)
	}
	want := map[string]string{}
	for line := range strings.Lines(string(text)) {
		sum, file, _ := strings.Cut(strings.TrimSpace(line), "  ")
		want[file] = sum
	}
	files, err := filepath.Glob(releases + "/*/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sum, name := fmt.Sprintf("%x", sha256.Sum256(b)), strings.TrimPrefix(filepath.ToSlash(file), releases+"/")
		switch old := want[name]; {
		case old == "" && os.Getenv("NABZ_UPDATE") != "":
			text = fmt.Appendf(text, "%s  %s\n", sum, name)
		case old == "":
			t.Errorf("%s is not in %s; NABZ_UPDATE=1 adds it", name, list)
		case old != sum:
			t.Errorf("%s has changed; agents in the field go on saying what it said", name)
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("%s is gone; agents in the field go on saying what it said", name)
	}
	if os.Getenv("NABZ_UPDATE") != "" {
		if err := os.WriteFile(list, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
