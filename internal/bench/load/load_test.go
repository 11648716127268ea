package load

import (
	"bytes"
	"testing"

	"github.com/smartvillage/nabz/telemetry"
)

func TestAMessageIsAHeaderAndFivePointsOfFourteenFieldsThatTheSchemaTakes(t *testing.T) {
	codec, err := telemetry.NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	defer codec.Close()
	for _, zstd := range []bool{false, true} {
		p := Plan{Agents: 3, Batches: 4, Live: 1, Zstd: zstd, Start: 1_763_900_000_000, Boot: "0000beef"}
		frames, err := p.frames()
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for a, all := range frames {
			for k, frame := range all {
				kind, body, rest, err := next(frame)
				if err != nil || kind != 0x30 || len(rest) > 0 {
					t.Fatalf("frame is of kind 0x%02x with %d bytes behind it: %v", kind, len(rest), err)
				}
				topic := Address(a).Topic(telemetry.KindData)
				if got := string(body[2 : 2+len(topic)]); got != topic {
					t.Fatalf("topic %q, want %q", got, topic)
				}
				text, _, err := codec.Open(nil, body[2+len(topic):])
				if err != nil {
					t.Fatal(err)
				}
				good, bad, err := telemetry.Parse(text)
				if err != nil || len(bad) > 0 || len(good) != 1+Lines {
					t.Fatalf("%d good lines, bad %v, %v; want %d", len(good), bad, err, 1+Lines)
				}
				if h, err := telemetry.HeaderOf(&good[0].Line); err != nil || h.Seq != uint64(k+1) || h.Boot != p.Boot {
					t.Errorf("header %+v (%v), want boot %s and number %d", h, err, p.Boot, k+1)
				}
				for _, l := range good[1:] {
					if len(l.Fields) != Fields {
						t.Errorf("%d fields, want %d: %s", len(l.Fields), Fields, l.Raw)
					}
					stamped := telemetry.AppendStamped(nil, l, Address(a))
					key := string(stamped[:bytes.IndexByte(stamped, ' ')]) + string(stamped[bytes.LastIndexByte(stamped, ' '):])
					if seen[key] {
						t.Errorf("two points have one place: %s", key)
					}
					seen[key] = true
				}
				// The tight writer posts what the collector would.
				want := append(telemetry.AppendStamped(nil, good[0], Address(a)), p.points(nil, a, k, true)...)
				var got []byte
				for _, l := range good {
					got = telemetry.AppendStamped(got, l, Address(a))
				}
				if !bytes.Equal(got, want) || !bytes.HasPrefix(want, p.header(nil, a, k, true)) {
					t.Errorf("the collector would write %q, the tight writer %q", got, want)
				}
			}
		}
	}
}

func TestAVerdictIsReadAsTheCollectorWritesIt(t *testing.T) {
	topic := Address(1).Topic(telemetry.KindAck)
	for _, row := range []struct {
		ack         telemetry.Ack
		first, last int
		bad         bool
	}{
		{telemetry.Ack{Verdict: telemetry.Stored, Boot: "0000beef", Seq: 17}, 17, 17, false},
		{telemetry.Ack{Verdict: telemetry.Stored, Boot: "0000beef", First: 13, Seq: 17}, 13, 17, false},
		{telemetry.Ack{Verdict: telemetry.Stored, Boot: "0000beef", Seq: 17, Refused: 1}, 17, 17, true},
		{telemetry.Ack{Verdict: telemetry.Rejected, Boot: "0000beef", Seq: 17}, 17, 17, true},
	} {
		_, body, _, err := next(publish(nil, topic, row.ack.Append(nil), 0))
		if err != nil {
			t.Fatal(err)
		}
		first, last, bad, err := verdict(body, "0000beef")
		if err != nil || first != row.first || last != row.last || bad != row.bad {
			t.Errorf("%+v is read as %d to %d, bad %v (%v)", row.ack, first, last, bad, err)
		}
	}
	if _, last, bad, err := verdict([]byte("\x00\x01astored 00000000 1 2"), "0000beef"); err != nil || last != 0 || bad {
		t.Errorf("an acknowledgement of another boot speaks of our batch %d (bad %v, %v)", last, bad, err)
	}
	if _, _, _, err := verdict([]byte("\x00\x01astored"), "0000beef"); err == nil {
		t.Error("half an acknowledgement is taken for one")
	}
}

func TestTheFirstBatchOfABootIsSentOnce(t *testing.T) {
	p := Plan{Batches: 3}
	for n, want := range []int{0, 1, 2, 1, 2, 1} {
		if got := p.which(n); got != want {
			t.Errorf("batch %d is %d, want %d", n, got, want)
		}
	}
}
