package report_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/sim"
	"github.com/smartvillage/nabz/telemetry"
)

// village is a simulated site with all that is true of it and all that its agents told.
type village struct {
	fleet.Site
	listed bool // the sites file has it
	agents []*agent
}

// agent is one agent's truth, and what it told: lines as intake would store them.
type agent struct {
	name    string
	truth   []sim.True
	guesses []sim.Guess
	lines   [][]byte
	kept    []measured // those of hours and of tests, taken apart
}

// programme is what a year has come to.
type programme struct {
	from, to time.Time // of what was told
	villages []*village
}

// clock is 2028-01-01T00:00Z and the like.
func clock(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02T15:04Z", text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// newProgramme simulates sites from one instant to another: those given, one installed on the way, one removed on the way, one that is
// never heard, and one that the sites file does not know.
func newProgramme(t testing.TB, seed uint64, from, to, installed, removed time.Time, sites []sim.Site) *programme {
	t.Helper()
	p := &programme{from: from, to: to}
	world := sim.World{Seed: seed}
	pakistan := map[string]sim.Site{}
	for _, s := range sim.Villages() {
		pakistan[s.ID] = s
	}
	var g errgroup.Group
	add := func(s sim.Site, tracks ...*sim.Track) {
		v := &village{Site: fleet.Site{ID: s.ID, Name: s.Name, District: s.District, Operator: s.Operator, Technology: string(s.Technology), Latitude: s.Latitude,
			Longitude: s.Longitude, Population: s.Population, TimeZone: s.TimeZone, TargetDownMbps: 12, TargetUpMbps: 3}, listed: s.ID != "gokina"}
		p.villages = append(p.villages, v)
		for i, k := range tracks {
			a := &agent{name: []telemetry.Address{s.Address(), s.Second()}[i].Agent}
			v.agents = append(v.agents, a)
			g.Go(func() error { return a.tell(k, telemetry.Address{Site: s.ID, Agent: a.name}, from, to) })
		}
	}
	for _, s := range sites {
		tracks := []*sim.Track{world.Track(s).Since(from)}
		if s.SecondAgent {
			tracks = append(tracks, world.Beside(s).Since(from))
		}
		add(s, tracks...)
	}
	add(pakistan["keran"], world.Track(pakistan["keran"]).Since(installed))
	add(pakistan["islamkot"], world.Track(pakistan["islamkot"]).Since(from).Until(removed))
	add(pakistan["gokina"], world.Track(pakistan["gokina"]).Since(from))
	add(pakistan["rumbur"]) // silent
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	return p
}

// tell lives through the time.
func (a *agent) tell(k *sim.Track, from telemetry.Address, begin, end time.Time) error {
	a.truth = k.Truth(begin.AddDate(0, -14, 0), end)
	a.guesses = k.Guesses(begin, end)
	var told sim.Told
	if err := k.Tell(&told, begin, end, func(int64) int64 { return 0 }); err != nil {
		return err
	}
	for text := range bytes.Lines(told.Ledger) {
		name := bytes.IndexAny(text, ", ")
		a.lines = append(a.lines, fmt.Appendf(nil, "%s,agent=%s,site=%s%s", text[:name], from.Agent, from.Site, text[name:]))
		if kind := string(text[:name]); kind == "hour" || kind == "speedtest" {
			m, err := takeApart(strings.TrimSpace(string(text)))
			if err != nil {
				return err
			}
			a.kept = append(a.kept, m)
		}
	}
	return nil
}

// openStore is a store on a database of its own.
func openStore(t testing.TB, db *influxd.Server) *store.Store {
	t.Helper()
	s, err := store.Open(store.Config{URL: db.URL, Token: db.Token, Org: db.Org, DetailBucket: db.Database(t, "detail"), LedgerBucket: db.Database(t, "ledger")},
		slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// store writes all lines in an order of the seed's, in several portions with days between them as it were: what comes late comes after
// what is newer, one line in twenty comes twice, and each portion repeats something of the ones before.
func (p *programme) store(t testing.TB, s *store.Store, seed uint64, portions int) {
	t.Helper()
	var all [][]byte
	for _, v := range p.villages {
		for _, a := range v.agents {
			all = append(all, a.lines...)
		}
	}
	r := rand.New(rand.NewPCG(seed, 1))
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for n := range len(all) / 20 {
		all = append(all, all[n*20+r.IntN(20)])
	}
	var g errgroup.Group
	g.SetLimit(2)
	for n := range portions {
		part := all[len(all)*n/portions : len(all)*(n+1)/portions]
		for len(part) > 0 {
			some := part[:min(5000, len(part))]
			part = part[len(some):]
			g.Go(func() error {
				return s.Write(t.Context(), telemetry.Ledger, bytes.Join(append(some[:len(some):len(some)], nil), nil))
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d lines stored", len(all))
}

// measured is one line, taken apart without the product's code.
type measured struct {
	measurement string
	at          int64 // ms
	fields      map[string]float64
}

// takeApart reads a line without quotation marks.
func takeApart(line string) (m measured, err error) {
	words := strings.Split(line, " ")
	if len(words) != 3 {
		return m, fmt.Errorf("not a line with three parts: %s", line)
	}
	m.measurement, _, _ = strings.Cut(words[0], ",")
	m.fields = map[string]float64{}
	for pair := range strings.SplitSeq(words[1], ",") {
		key, value, _ := strings.Cut(pair, "=")
		if m.fields[key], err = strconv.ParseFloat(strings.TrimSuffix(value, "i"), 64); err != nil {
			return m, err
		}
	}
	m.at, err = strconv.ParseInt(words[2], 10, 64)
	return m, err
}

func (m measured) int(field string) int64 { return int64(m.fields[field]) }
