package timeline

import (
	"slices"
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
	"pgregory.net/rapid"
)

const horizon = 60

func segment(t *rapid.T) Segment {
	kinds := []Segment{
		{State: telemetry.StateUp}, {State: telemetry.StateDegraded},
		{State: telemetry.StateDown, Cause: telemetry.CauseLocal}, {State: telemetry.StateDown, Cause: telemetry.CauseBackhaul},
		{State: telemetry.StateOff, Cause: telemetry.CausePower}, {State: telemetry.StateOff, Cause: telemetry.CauseAgent},
	}
	s := rapid.SampledFrom(kinds).Draw(t, "kind")
	s.Start = rapid.Int64Range(0, horizon).Draw(t, "start")
	s.End = s.Start + rapid.Int64Range(0, 20).Draw(t, "ms")
	return s
}

// rankAt is the plain meaning: the best rank that any segment claims at this instant.
func rankAt(segs []Segment, at int64) (best int) {
	for _, s := range segs {
		if s.Start <= at && at < s.End {
			best = max(best, Rank(s.State, s.Cause))
		}
	}
	return best
}

func TestBestInformedStateAtEachInstantWhateverTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		segs := rapid.SliceOfN(rapid.Custom(segment), 0, 12).Draw(t, "segments")
		var a, b Timeline
		for _, s := range segs {
			a.Insert(s)
			a.Insert(s) // a redelivery changes nothing
		}
		for _, i := range rapid.Permutation(indexes(len(segs))).Draw(t, "order") {
			b.Insert(segs[i])
		}
		if !slices.Equal(a.Segments(), b.Segments()) {
			t.Fatalf("one order gives %v, another %v", a.Segments(), b.Segments())
		}
		for at := int64(0); at < horizon+25; at++ {
			if got, want := rankAt(a.Segments(), at), rankAt(segs, at); got != want {
				t.Fatalf("rank at %d is %d, want %d; list %v", at, got, want, a.Segments())
			}
		}
		for i, s := range a.Segments() {
			if s.Ms() <= 0 || i > 0 && s.Start < a.Segments()[i-1].End {
				t.Fatalf("segment %d of %v is empty or overlaps", i, a.Segments())
			}
			if i > 0 && s.Start == a.Segments()[i-1].End && s.State == a.Segments()[i-1].State && s.Cause == a.Segments()[i-1].Cause {
				t.Fatalf("segment %d of %v should be one with its neighbour", i, a.Segments())
			}
		}
	})
}

func indexes(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestClipCutsAtTheEdgesAndLeavesTheListAlone(t *testing.T) {
	var tl Timeline
	tl.Insert(Segment{Start: 0, End: 10, State: telemetry.StateUp})
	tl.Insert(Segment{Start: 12, End: 20, State: telemetry.StateDown, Cause: telemetry.CauseLocal})
	got := tl.Clip(5, 15)
	want := []Segment{{Start: 5, End: 10, State: telemetry.StateUp}, {Start: 12, End: 15, State: telemetry.StateDown, Cause: telemetry.CauseLocal}}
	if !slices.Equal(got, want) {
		t.Errorf("clip = %v, want %v", got, want)
	}
	if tl.Segments()[0].Start != 0 || tl.Clip(20, 30) != nil || tl.Clip(10, 12) != nil {
		t.Errorf("clip changed the list or found something where nothing is: %v", tl.Segments())
	}
}

func TestForgetKeepsTheTrueStartOfALongState(t *testing.T) {
	var tl Timeline
	for h := int64(0); h < 50; h++ {
		tl.Insert(Segment{Start: h, End: h + 1, State: telemetry.StateUp})
	}
	tl.Forget(40, 10)
	if len(tl.Segments()) != 1 || tl.Segments()[0].Start != 0 {
		t.Errorf("after forgetting: %v, want one segment from 0", tl.Segments())
	}
	if got := tl.Run(telemetry.StateUp, "", 52, 2*time.Millisecond); got != 0 {
		t.Errorf("run began at %d, want 0", got)
	}
	if got := tl.Run(telemetry.StateUp, "", 60, 2*time.Millisecond); got != 60 {
		t.Errorf("a run over a gap began at %d, want 60", got)
	}
}

func TestForgetBoundsAFlappingSite(t *testing.T) {
	var tl Timeline
	for i := int64(0); i < 5000; i++ {
		s := Segment{Start: i, End: i + 1, State: telemetry.StateUp}
		if i%2 == 1 {
			s.State, s.Cause = telemetry.StateDown, telemetry.CauseLocal
		}
		tl.Insert(s)
		tl.Forget(0, 100)
	}
	if n := len(tl.Segments()); n != 100 || tl.Segments()[99].End != 5000 {
		t.Errorf("%d segments held, the newest ending at %d; want 100 and 5000", n, tl.Segments()[n-1].End)
	}
}
