package alert

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/telemetry"
)

// Whatever happens to sites, channel and collector, who is told of alerts is told of each once, and of the end of each once; a kill between a message and the note that it was
// sent repeats that one message at most.
func TestARestartAtAnyInstantRepeatsNoAlertAndLosesNone(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		sink := &tape{name: "tape"}
		w := newWorld(t, Defaults(), sink)
		w.file = fmt.Sprintf("%s/%d.json", dir, rapid.Uint64().Draw(r, "file"))
		defer os.Remove(w.file)
		w.Repeat, w.step = 0, 5*time.Second
		w.begin()
		w.add("a", "b", "c", "d", "e", "f")
		w.sites["e"].Site.Operator, w.sites["f"].Site = "Margalla Net", fleet.Site{ID: "f"}
		w.pass(w.Grace)
		killed := map[string]int{} // messages whose note was lost
		for range rapid.IntRange(5, 40).Draw(r, "steps") {
			id := rapid.SampledFrom(w.order).Draw(r, "site")
			switch rapid.IntRange(0, 9).Draw(r, "what") {
			case 0, 1, 2:
				w.out(id)
			case 3, 4:
				w.up(id)
			case 5:
				w.is(fleet.Down, telemetry.CauseDNS, id)
			case 6:
				w.restart()
			case 7:
				sink.fail = nil
				if rapid.Bool().Draw(r, "fails") {
					sink.fail = errors.New("no mail server")
				}
			case 8: // killed after the message was sent and before that is written
				before, _ := os.ReadFile(w.file)
				n := len(sink.news)
				w.deliver()
				for _, s := range sink.news[n:] {
					killed[s.What+s.Alert.ID]++
				}
				if before != nil {
					if err := os.WriteFile(w.file, before, 0o600); err != nil {
						t.Fatal(err)
					}
					w.restart()
				}
			case 9:
				w.set(id, func(s *site) { s.battery(rapid.SampledFrom([]float64{5, 25, 60}).Draw(r, "battery"), false) })
			}
			w.pass(time.Duration(rapid.IntRange(1, 900).Draw(r, "seconds")) * time.Second)
			w.deliver()
		}
		sink.fail = nil
		for _, id := range w.order {
			w.set(id, func(s *site) { s.BatteryPct = nil })
			w.up(id)
		}
		w.pass(2 * time.Hour)
		for range 3 {
			w.now = w.now.Add(time.Hour)
			w.deliver()
		}
		counts := map[string]int{}
		for _, n := range sink.news {
			counts[n.What+n.Alert.ID]++
		}
		for key, n := range counts {
			if n > 1+killed[key] {
				r.Fatalf("%s was told %d times", key, n)
			}
		}
		all := append(w.engine.Active(), w.engine.Recent(keepEnded)...)
		for _, a := range all {
			if counts[Recovered+a.ID] == 0 && !a.Ended.IsZero() && a.Rule != Flapping {
				r.Fatalf("the end of %s (%s) was never told", a.ID, a.Title)
			}
			if a.Ended.IsZero() && a.Rule != Battery { // what is not told of a battery ends nothing
				r.Fatalf("%s (%s) goes on two hours after all were well", a.ID, a.Title)
			}
			if len(a.Sites) != len(slices.Compact(slices.Sorted(slices.Values(a.Sites)))) {
				r.Fatalf("%s names a site twice: %v", a.ID, a.Sites)
			}
		}
		if len(w.engine.outbox) > 0 {
			r.Fatalf("%d news wait though the channel works", len(w.engine.outbox))
		}
	})
}

// What is told does not depend on whether the collector was killed meanwhile, once sites had time to come back.
func TestTheSameOutagesAreToldWithARestartAndWithout(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		type outage struct{ at, long int } // minutes
		plans := map[string]outage{}
		for _, id := range []string{"a", "b", "c", "d"} {
			plans[id] = outage{rapid.IntRange(20, 90).Draw(r, "at"), rapid.IntRange(15, 60).Draw(r, "long")}
		}
		kills := rapid.SliceOfN(rapid.IntRange(1, 200*6), 0, 4).Draw(r, "kills") // ten seconds
		live := func(kills []int) (told []string) {
			sink := &tape{name: "tape"}
			w := newWorld(t, Defaults(), sink)
			w.GroupWindow = 0 // each for itself
			w.begin()
			w.add("a", "b", "c", "d")
			w.step = 10 * time.Second
			for s := 0; s < 200*60; s += 10 {
				for id, p := range plans {
					switch s {
					case p.at * 60:
						w.out(id)
					case (p.at + p.long) * 60:
						w.up(id)
					}
				}
				if slices.Contains(kills, s/10) {
					w.restart()
				}
				w.pass(w.step)
				w.deliver()
			}
			told = sink.told()
			slices.Sort(told)
			return told
		}
		if got, want := live(kills), live(nil); !slices.Equal(got, want) {
			r.Fatalf("with kills at %v was told\n%q, without\n%q", kills, got, want)
		}
	})
}

func TestABrokenStateIsPutAsideAndToldAndAlertsGoOn(t *testing.T) {
	w := newWorld(t, Defaults())
	if err := os.WriteFile(w.file, []byte(`{"version":1,"active":[`), 0o600); err != nil {
		t.Fatal(err)
	}
	w.begin()
	if _, err := os.Stat(w.file + ".broken"); err != nil {
		t.Errorf("the broken file is not there any more: %v", err)
	}
	w.add("a")
	w.pass(w.Grace)
	w.out("a")
	w.pass(6 * time.Minute)
	w.want("a is unreachable")
	if active, _, _, err := Read(w.file); err != nil || len(active) != 1 {
		t.Errorf("the state beside it says %v, %v", active, err)
	}
}

func TestAFullDiskKeepsNobodyFromBeingTold(t *testing.T) {
	sink := &tape{name: "tape"}
	w := newWorld(t, Defaults(), sink).begin()
	w.engine.replace = func(string, []byte, os.FileMode) error { return errors.New("no space left on device") }
	w.add("a")
	w.pass(w.Grace)
	w.out("a")
	w.pass(6 * time.Minute)
	w.deliver()
	if got := sink.told(); len(got) != 1 {
		t.Errorf("people were told %q", got)
	}
}

// A file that somebody has edited, or another version has written, keeps no collector from starting.
func FuzzAStateThatIsNotOurs(f *testing.F) {
	for _, s := range []string{`{}`, `null`, `[]`, `{"active":[null],"ended":[null],"tracks":{"a":null},"own":{"lost":null,"check x":null},"outbox":[null]}`,
		`{"active":[{"ID":"1","Rule":"down","kind":"outage","own":"x"}],"tracks":{"a":{"troubles":[null]}}}`, `{"active":[{"ID":"1","Rule":"collector"}],"own":{"x":{"rule":"collector","alert":"1"}}}`,
		`{"notices":[null,{"id":""},{"id":"n","subject":"s"},{"id":"m"}],"outbox":[{"channel":"tape","alert":"n","what":"notice"},{"channel":"tape","alert":"m","what":"notice"},{"channel":"tape","alert":"n","what":"raised"},{"channel":"tape","alert":"o","what":"notice"}]}`,
		`{"version":"new","active":[{"ID":"1","Rule":"down"}]}`, `{"active":[{"ID":"1","Rule":"battery","Sites":["a"]},{"ID":"1"}],"outbox":[{"channel":"tape","alert":"1"}]}`} {
		f.Add([]byte(s), []byte(`{"a/router":null,"b":{},"a/other":{"month":"x"}}`))
	}
	f.Fuzz(func(t *testing.T, kept, month []byte) {
		w := newWorld(t, Defaults(), &tape{name: "tape"})
		for file, text := range map[string][]byte{w.file: kept, monthFile(w.file): month} {
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, _, _, _ = Read(w.file)
		w.begin()
		w.add("a")
		w.pass(2 * time.Second)
		w.out("a")
		w.pass(6 * time.Minute)
		w.deliver()
		w.up("a")
		w.pass(3 * time.Minute)
	})
}

func TestATroubleWhoseAlertIsNotInTheFileBecomesOneAnew(t *testing.T) {
	w := newWorld(t, Defaults())
	kept := `{"version":1,"tracks":{"a":{"troubles":[{"kind":"outage","state":"unreachable","alert":"gone"}]}},"own":{"check InfluxDB":{"rule":"influxdb","alert":"gone"}}}`
	if err := os.WriteFile(w.file, []byte(kept), 0o600); err != nil {
		t.Fatal(err)
	}
	w.begin()
	w.add("a")
	w.out("a")
	w.pass(w.Grace + time.Minute)
	w.want("a is unreachable")
	w.checks = []Check{{"InfluxDB", errors.New("gone")}}
	w.pass(2 * time.Minute)
	w.want("a is unreachable", "InfluxDB cannot be used: nothing is stored, and agents keep what they measure")
}
