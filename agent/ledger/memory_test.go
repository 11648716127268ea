package ledger

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/telemetry"
)

func aLife(t *rapid.T) Life {
	ms := func(most int64) time.Duration {
		return time.Duration(rapid.Int64Range(0, most).Draw(t, "ms")) * time.Millisecond
	}
	l := Life{Boot: rapid.StringMatching("[0-9a-f]{8}").Draw(t, "boot"), Clean: rapid.Bool().Draw(t, "clean"), From: ms(hourMs), Slack: ms(hourMs)}
	if rapid.Bool().Draw(t, "knew the time") {
		l.At = at(rapid.Float64Range(0, 1e6).Draw(t, "at")).Truncate(time.Millisecond)
	}
	for range rapid.IntRange(0, 150).Draw(t, "stretches") {
		k := rapid.SampledFrom(codes()).Draw(t, "state")
		l.Stretches = append(l.Stretches, Stretch{State: k.State, Cause: k.Cause, Length: ms(50 * hourMs), Err: ms(60_000)})
	}
	return l
}

func TestWhatTheMarkHoldsComesBackOrIsForgottenFromTheOldEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m Memory
		if rapid.Bool().Draw(t, "an hour runs") {
			m.Hours.Begin(at(30))
			m.Hours.Probed(at(31), Quality{Sent: 9, Lost: 2, RTTs: []time.Duration{time.Millisecond, time.Second, time.Minute}})
			m.Hours.Traffic(at(31), at(61), rapid.Int64Range(0, 1<<50).Draw(t, "rx"), 3)
			m.Hours.Peak(at(32), 7, 1<<40)
			m.Hours.Clients(at(32), 12)
			m.Hours.Cover(at(rapid.Float64Range(30, 59).Draw(t, "until")))
		}
		for range rapid.IntRange(0, 3).Draw(t, "lives") {
			m.Lives = append(m.Lives, aLife(t))
		}
		b := m.Append(nil)
		if len(b) > MaxMemory {
			t.Fatalf("%d bytes", len(b))
		}
		got, err := ParseMemory(b)
		if err != nil || len(got.Lives) != len(m.Lives) {
			t.Fatalf("%d lives of %d: %v", len(got.Lives), len(m.Lives), err)
		}
		whole := m.append(nil, m.Lives)
		for i, l := range got.Lives {
			want := m.Lives[i]
			if len(whole) <= MaxMemory && !reflect.DeepEqual(l, want) {
				t.Fatalf("life %d\n got %+v\nwant %+v", i, l, want)
			}
			n := len(want.Stretches) - len(l.Stretches)
			if l.Length() != want.Length() || n < 0 || n > 0 && !reflect.DeepEqual(l.Stretches[1:], want.Stretches[n+1:]) {
				t.Fatalf("life %d has %v of %v, in %d stretches of %d", i, l.Length(), want.Length(), len(l.Stretches), len(want.Stretches))
			}
		}
		if !bytes.Equal(got.Append(nil), b) {
			t.Fatal("packed anew it differs")
		}
		if a, b := textOf(m.Hours.Recall()), textOf(got.Hours.Recall()); a != b {
			t.Fatalf("hours\n got %s\nwant %s", b, a)
		}
	})
}

func textOf(lines []*telemetry.Line) string {
	var b []byte
	for _, l := range lines {
		b, _ = l.Append(b)
	}
	return string(b)
}

func TestAnHoursSumsAreCheapToKeep(t *testing.T) {
	var m Memory
	m.Hours.Begin(at(0))
	for i := range 59 {
		m.Hours.Probed(at(float64(i)), Quality{Sent: 2, RTTs: []time.Duration{40 * time.Millisecond, 700 * time.Millisecond}})
		m.Hours.Traffic(at(float64(i)), at(float64(i+1)), 7<<20, 1<<20)
		m.Hours.Peak(at(float64(i)), 9_000_000, 1_000_000)
		m.Hours.Clients(at(float64(i)), 30)
	}
	if n := len(m.Append(nil)); n > 60 {
		t.Errorf("%d bytes in each mark", n)
	}
}

func TestAHistoryThatFlapsForDaysStaysBounded(t *testing.T) {
	l := Life{Boot: "aaaaaaaa", From: time.Minute}
	for i := range 10_000 {
		k := judged[i%2*3]
		l.Observe(time.Duration(i+1)*time.Minute, k.state, k.cause, time.Second)
	}
	if n := len(l.Stretches); n > maxStretches || l.End() != 10_000*time.Minute {
		t.Errorf("%d stretches up to %v", n, l.End())
	}
	m, err := ParseMemory(Memory{Lives: []Life{l}}.Append(nil))
	if err != nil || m.Lives[0].Length() != l.Length() {
		t.Errorf("%v of %v, %v", m.Lives[0].Length(), l.Length(), err)
	}
}

func FuzzParseMemory(f *testing.F) {
	var m Memory
	m.Hours.Begin(at(30))
	m.Hours.Probed(at(31), Quality{Sent: 2, RTTs: []time.Duration{time.Millisecond}})
	m.Lives = []Life{{Boot: "4f2a9c1b", Clean: true, From: time.Minute, At: at(3), Stretches: []Stretch{{State: telemetry.StateUp, Length: time.Hour}}}}
	f.Add(m.Append(nil))
	f.Add(Memory{}.Append(nil))
	f.Add([]byte{memoryVersion + 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMemory(b)
		if err != nil {
			return
		}
		again, err := ParseMemory(m.Append(nil))
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, again, m)
		}
		for _, l := range m.Hours.Recall() {
			if _, err := telemetry.Check(l); err != nil {
				t.Fatal(err)
			}
		}
	})
}
