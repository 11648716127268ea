package sampler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// following is what is followed of a made-up machine.
func following(wan *string, list ...string) (*Interfaces, *map[string]counters, map[string]int) {
	now, numbers := map[string]counters{}, map[string]int{}
	s := NewInterfaces(list, func() string { return *wan })
	s.read = func(context.Context) (map[string]counters, error) { return now, nil }
	s.device = func(name string) int { return numbers[name] }
	return s, &now, numbers
}

func told(s *Interfaces) (got string) {
	for _, i := range s.Take() {
		got += fmt.Sprintf("%s %v rx %d tx %d wan %d/%d peak %d/%d; ", i.Interface, i.To.Sub(i.From), i.RxBytes, i.TxBytes, i.WANRx, i.WANTx, i.RxPeak, i.TxPeak)
	}
	return got
}

func TestAnInterfaceMayComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wan := "wan"
		s, now, _ := following(&wan, "usb0")
		read := func(m map[string]counters) Flow {
			t.Helper()
			*now = m
			f, err := s.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
			return f
		}
		take := func(want string) {
			t.Helper()
			if got := told(s); got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		}
		if f := read(map[string]counters{"wan": {1000, 100, 1, 1, 0, 0}, "lo": {9, 9, 9, 9, 0, 0}}); f.Elapsed != 0 {
			t.Errorf("a first reading has no flow: %+v", f)
		}
		take("")
		f := read(map[string]counters{"wan": {2000, 300, 11, 3, 0, 0}, "usb0": {70, 7, 2, 1, 0, 0}, "lo": {19, 19, 19, 19, 0, 0}})
		if f.Interface != "wan" || f.Elapsed != 10*time.Second || f.RxBytes != 1000 || f.RxPackets != 10 || f.TxBytes != 200 {
			t.Errorf("flow %+v", f)
		}
		read(map[string]counters{"wan": {2500, 300, 12, 3, 0, 0}})
		take("usb0 20s rx 70 tx 7 wan 0/0 peak 0/0; wan 20s rx 1500 tx 200 wan 1500/200 peak 800/160; ")
		read(map[string]counters{"wan": {2500, 300, 12, 3, 0, 0}, "usb0": {90, 9, 3, 2, 0, 0}})
		take("usb0 10s rx 90 tx 9 wan 0/0 peak 0/0; wan 10s rx 0 tx 0 wan 0/0 peak 0/0; ")
		take("")
	})
}

func TestTheWANIsFollowedWhereItMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wan := "eth0"
		s, now, numbers := following(&wan)
		numbers["eth0"], numbers["lte0"] = 2, 7
		step := func(route string, m map[string]counters) {
			t.Helper()
			wan, *now = route, m
			if _, err := s.Read(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
		}
		step("eth0", map[string]counters{"eth0": {rxBytes: 1000, rxPackets: 9}})
		step("eth0", map[string]counters{"eth0": {rxBytes: 3000, rxPackets: 19}})
		step("", map[string]counters{"eth0": {rxBytes: 3500, rxPackets: 22}})                                               // the cable is cut
		step("lte0", map[string]counters{"eth0": {rxBytes: 3500, rxPackets: 22}, "lte0": {rxBytes: 400, rxPackets: 4}})     // a stick is plugged in
		step("lte0", map[string]counters{"eth0": {rxBytes: 99500, rxPackets: 122}, "lte0": {rxBytes: 10400, rxPackets: 9}}) // eth0 is the neighbours' now
		if got, want := told(s), "eth0 40s rx 98500 tx 0 wan 2500/0 peak 1600/0; lte0 20s rx 10400 tx 0 wan 10400/0 peak 8000/0; "; got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
		step("lte0", map[string]counters{"eth0": {rxBytes: 99500, rxPackets: 122}, "lte0": {rxBytes: 10400, rxPackets: 9}})
		if got, want := told(s), "lte0 10s rx 0 tx 0 wan 0/0 peak 0/0; "; got != want {
			t.Errorf("what is not the WAN any more and not asked for is left out\n got %s\nwant %s", got, want)
		}
	})
}

func TestAPeakIsAMeanOfTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wan := "wan"
		s, now, _ := following(&wan)
		n := uint64(0)
		for _, d := range []time.Duration{10 * time.Second, time.Millisecond, 9999 * time.Millisecond, 10 * time.Second} {
			*now = map[string]counters{"wan": {rxBytes: n, rxPackets: n}}
			if _, err := s.Read(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(d)
			n += 1500 // also within the one millisecond between the timer of the counters and that of the report
		}
		*now = map[string]counters{"wan": {rxBytes: n, rxPackets: n}}
		_, _ = s.Read(t.Context())
		if got := s.Take(); len(got) != 1 || got[0].RxPeak != 2400 { // 1500 in the millisecond and as much in the rest of the ten seconds
			t.Errorf("%+v", got)
		}
	})
}

func TestAFailedReadingLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := uint64(0)
		s := NewInterfaces(nil, func() string { return "wan" })
		broken := errors.New("proc is gone")
		s.read = func(context.Context) (map[string]counters, error) {
			if n++; n%2 == 0 {
				return nil, broken
			}
			return map[string]counters{"wan": {n * 1000, n, n, n, 0, 0}}, nil
		}
		for i := range 7 {
			if _, err := s.Read(t.Context()); (err != nil) != (i%2 == 1) {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if got := s.Take(); len(got) != 1 || got[0].RxBytes != 6000 {
			t.Errorf("%+v", got)
		}
	})
}

// device is one of a made-up machine: its counters, and what passed since the reading before that must be told.
type device struct {
	number int
	mask   uint64
	shown  counters
	unread uint64
}

// Devices are plugged in, pulled out, renamed, given the name of another, moved to another network namespace and back, while the
// default route wanders and counters wrap. Each byte that passed between two readings of a living interface is told once, under
// the name it then had.
func TestWhateverIsPluggedNoByteIsMadeUpAndNoneLost(t *testing.T) {
	names := []string{"eth0", "eth1", "wwan0", "usb0"}
	rapid.Check(t, func(t *rapid.T) {
		var wan string
		list := names
		if rapid.Bool().Draw(t, "only the WAN is followed") {
			wan, list = "eth0", nil
		}
		s, now, numbers := following(&wan, list...)
		here, away := map[string]*device{}, map[string]*device{}
		want, got := map[string]uint64{}, map[string]uint64{}
		next, started := 1, false
		pick := func(t *rapid.T, m map[string]*device) string {
			if len(m) == 0 {
				t.Skip("there is none")
			}
			return rapid.SampledFrom(slices.Sorted(maps.Keys(m))).Draw(t, "name")
		}
		free := func(t *rapid.T) string {
			all := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return here[n] != nil })
			if len(all) == 0 {
				t.Skip("there is none")
			}
			return rapid.SampledFrom(all).Draw(t, "free name")
		}
		read := func() {
			*now = map[string]counters{}
			clear(numbers)
			for name, d := range here {
				(*now)[name], numbers[name] = d.shown, d.number
				if started {
					want[name] += d.unread
				}
				d.unread = 0
			}
			if _, err := s.Read(context.Background()); err != nil {
				t.Fatal(err)
			}
			started = true
		}
		take := func() {
			for _, x := range s.Take() {
				got[x.Interface] += uint64(x.RxBytes)
			}
		}
		seen := func() { // of what is not followed, one device in the place of another is told by a reading in between
			if list == nil {
				read()
			}
		}
		read()
		t.Repeat(map[string]func(*rapid.T){
			"traffic": func(t *rapid.T) {
				d := here[pick(t, here)]
				n, size := rapid.Uint64Range(1, 1_000_000).Draw(t, "packets"), rapid.Uint64Range(40, 1500).Draw(t, "size")
				if d.unread+n*size > 1<<31 {
					read() // nobody can see twice round a counter
				}
				d.shown.rxPackets, d.shown.rxBytes = (d.shown.rxPackets+n)&d.mask, (d.shown.rxBytes+n*size)&d.mask
				d.unread += n * size
			},
			"plug": func(t *rapid.T) {
				name := free(t)
				seen()
				here[name] = &device{number: next, mask: rapid.SampledFrom([]uint64{1<<32 - 1, 1<<64 - 1}).Draw(t, "width")}
				next++
			},
			"pull": func(t *rapid.T) {
				seen()
				delete(here, pick(t, here))
			},
			"rename": func(t *rapid.T) {
				from, to := pick(t, here), free(t)
				seen()
				here[to] = here[from]
				delete(here, from)
			},
			"take away": func(t *rapid.T) {
				read()
				name := pick(t, here)
				away[fmt.Sprint(here[name].number)] = here[name]
				delete(here, name)
				read() // seen to be away
			},
			"bring back": func(t *rapid.T) {
				seen()
				key, name := pick(t, away), free(t)
				if d := away[key]; d.number < s.newest { // else it would count as new, with all it ever carried
					here[name] = d
				}
				delete(away, key)
				read()
			},
			"move the default route": func(t *rapid.T) {
				if list != nil {
					wan = rapid.SampledFrom(append([]string{""}, names...)).Draw(t, "to")
				}
			},
			"read": func(*rapid.T) { read() },
			"take": func(*rapid.T) { take() },
		})
		read()
		take()
		for _, name := range names {
			if (list != nil || name == wan) && got[name] != want[name] {
				t.Fatalf("%s: told %d, truly %d", name, got[name], want[name])
			}
		}
	})
}

// What one report reads beside the counters.
func BenchmarkReport(b *testing.B) {
	h := NewHost(b.TempDir())
	b.ReportAllocs()
	for b.Loop() {
		h.Read(b.Context())
		ReadPower(PowerFolder)
		Counter{}.Read(time.Now())
	}
}

func BenchmarkRead(b *testing.B) {
	s := NewInterfaces(nil, func() string { return "eth0" })
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Read(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
