package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/sim"
	"github.com/smartvillage/nabz/telemetry"
)

// tile is a stretch of a site's true state.
type tile struct {
	from, to time.Time
	state    telemetry.State
	cause    telemetry.Cause
}

// out tells whether the NOC wants to know of it: not of a kiosk that somebody has switched off.
func (t tile) out() bool {
	return t.state != telemetry.StateUp && t.state != telemetry.StateDegraded && !(t.state == telemetry.StateOff && t.cause == telemetry.CauseShutdown)
}

// linked tells whether the agent reaches the collector.
func (t tile) linked() bool {
	return t.state == telemetry.StateUp || t.state == telemetry.StateDegraded || t.cause == telemetry.CauseDNS
}

// stretch is a time in which something holds.
type stretch struct{ from, to time.Time }

func (s stretch) overlaps(from, to time.Time) bool { return s.from.Before(to) && from.Before(s.to) }
func (s stretch) length() time.Duration            { return s.to.Sub(s.from) }

// village is a simulated site, its agent, and what is on its way.
type village struct {
	site    sim.Site
	address telemetry.Address
	metered bool
	tiles   []tile
	outs    []stretch // true outages
	at      int       // of the tile that is now

	seq, session uint64
	online       bool      // as the broker knows
	lostAt       time.Time // when the broker will notice that the connection is gone; zero: it stands
	backAt       time.Time // when the agent will have connected anew
	next         time.Time // when it seals the next batch
	dirty        bool      // its state has changed
	late         []flying
	stored       time.Time // when its last batch was
}

// flying is a batch on its way.
type flying struct {
	at time.Time
	h  telemetry.Header
}

// month is a NOC with its villages, in simulated time.
type month struct {
	t          *testing.T
	r          *rand.Rand
	now        time.Time
	begin, end time.Time
	villages   []*village
	sites      []fleet.Site
	agents     []telemetry.Address
	live       *fleet.Live
	engine     *Engine
	tape       *tape
	settings   Settings
	file       string
	gone       bool      // InfluxDB
	cut        bool      // the NOC's own line
	faults     []stretch // of InfluxDB
	cuts       []stretch
	restarts   []time.Time
	heads      map[telemetry.Address]telemetry.Header // what InfluxDB has
}

func (m *month) Sites() []fleet.Site         { return slices.Clone(m.sites) }
func (m *month) Agents() []telemetry.Address { return slices.Clone(m.agents) }
func (m *month) Site(id string) (fleet.Site, bool) {
	for _, s := range m.sites {
		if s.ID == id {
			return s, true
		}
	}
	return fleet.Site{}, false
}

// Query is InfluxDB after a restart: the last batch of each agent. Spans and readings it has none, which changes no state.
func (m *month) Query(_ context.Context, _ telemetry.Tier, q string) ([]store.Series, error) {
	if !strings.Contains(q, `FROM "batch"`) {
		return nil, nil
	}
	var out []store.Series
	for a, h := range m.heads {
		n := func(i int64) json.Number { return json.Number(fmt.Sprint(i)) }
		out = append(out, store.Series{Name: "batch", Tags: map[string]string{"site": a.Site, "agent": a.Agent}, Values: [][]any{{n(h.At.UnixMilli()), n(int64(h.Seq)), h.Boot,
			string(h.Open.State), string(h.Open.Cause), n(h.Open.Length.Milliseconds()), n(0), n(0), n(0), string(h.Clock), n(int64(h.Next / time.Second))}}})
	}
	return out, nil
}

const monthStep = 10 * time.Second

func newMonth(t *testing.T, seed uint64, sites, days int) *month {
	m := &month{t: t, r: rand.New(rand.NewPCG(seed, 7)), begin: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), heads: map[telemetry.Address]telemetry.Header{},
		tape: &tape{name: "tape"}, settings: Defaults(), file: filepath.Join(t.TempDir(), "alerts.json")}
	m.now, m.end = m.begin, m.begin.AddDate(0, 0, days)
	for i, s := range sim.Fleet(sites) {
		v := &village{site: s, address: s.Address(), metered: i%4 == 3}
		for _, x := range (sim.World{Seed: seed}).Track(s).Truth(m.begin, m.end) {
			v.tiles = append(v.tiles, tile{x.Start, x.End, x.State, x.Cause})
		}
		m.villages, m.agents = append(m.villages, v), append(m.agents, v.address)
		m.sites = append(m.sites, fleet.Site{ID: s.ID, Name: s.Name, District: s.District, Operator: s.Operator})
	}
	slices.SortFunc(m.sites, func(a, b fleet.Site) int { return compare(a.ID, b.ID) })
	slices.SortFunc(m.agents, func(a, b telemetry.Address) int { return compare(a.Site, b.Site) })
	for _, v := range m.villages { // a bad plug: out for two minutes, again and again
		if m.r.IntN(3) == 0 {
			at := m.begin.Add(m.random(m.end.Sub(m.begin)))
			for range 10 + m.r.IntN(10) {
				v.lay(tile{at, at.Add(time.Minute + m.random(2*time.Minute)), telemetry.StateDown, telemetry.CauseBackhaul})
				at = at.Add(5*time.Minute + m.random(5*time.Minute))
			}
		}
		for range days / 5 { // just long enough to be told
			at := m.begin.Add(m.random(m.end.Sub(m.begin)))
			v.lay(tile{at, at.Add(5*time.Minute + 25*time.Second + m.random(30*time.Second)), telemetry.StateDown, telemetry.CauseBackhaul})
		}
		silent := true // it was never heard, or somebody has switched it off: nobody can see what comes then, until it is up again
		for _, x := range v.tiles {
			n := len(v.outs)
			if !x.out() {
				silent = x.state == telemetry.StateOff
			}
			if silent || !x.out() {
				continue
			} else if n > 0 && v.outs[n-1].to.Equal(x.from) {
				v.outs[n-1].to = x.to
			} else {
				v.outs = append(v.outs, stretch{x.from, x.to})
			}
		}
	}
	for d := 2; d < days-1; d += 3 { // the NOC's own troubles, each on a day of its own
		at := m.begin.AddDate(0, 0, d).Add(m.random(20 * time.Hour))
		switch d / 3 % 3 {
		case 0:
			m.faults = append(m.faults, stretch{at, at.Add(time.Minute + m.random(40*time.Minute))})
		case 1:
			m.cuts = append(m.cuts, stretch{at, at.Add(10*time.Minute + m.random(40*time.Minute))})
		case 2:
			m.restarts = append(m.restarts, at)
		}
	}
	m.start()
	return m
}

func (m *month) random(d time.Duration) time.Duration { return time.Duration(m.r.Int64N(int64(d))) }

// lay puts a stretch over the truth.
func (v *village) lay(x tile) {
	var out []tile
	for _, t := range v.tiles {
		if !t.from.Before(x.to) || !x.from.Before(t.to) || t.out() || t.state == telemetry.StateOff {
			out = append(out, t)
			continue
		}
		for _, p := range []tile{{t.from, x.from, t.state, t.cause}, {latest(t.from, x.from), x.to, x.state, x.cause}, {x.to, t.to, t.state, t.cause}} {
			if p.to.After(t.to) {
				p.to = t.to
			}
			if p.from.Before(p.to) {
				out = append(out, p)
			}
		}
	}
	v.tiles = out
}

// start runs a collector: at the beginning, and after it was killed.
func (m *month) start() {
	now := func() time.Time { return m.now }
	m.live = fleet.NewLive(m, fleet.LiveOptions{Now: now, Deaf: func() bool { return m.gone }})
	if err := m.live.Restore(context.Background(), m); err != nil {
		m.t.Fatal(err)
	}
	checks := func() []Check {
		if m.gone {
			return []Check{{"InfluxDB", errors.New("gone")}}
		}
		return []Check{{"InfluxDB", nil}}
	}
	var err error
	if m.engine, err = Open(Config{Settings: m.settings, File: m.file, Fleet: m.live, Checks: checks, Channels: []Channel{m.tape}, Now: now}); err != nil {
		m.t.Fatal(err)
	}
	m.engine.lazyEvery, m.engine.replace = time.Hour, os.WriteFile // no disk waits for the power to go here
}

// run lives through the month.
func (m *month) run() {
	news := map[string]bool{}
	for ; m.now.Before(m.end); m.now = m.now.Add(monthStep) {
		within := func(all []stretch) bool {
			return slices.ContainsFunc(all, func(s stretch) bool { return !m.now.Before(s.from) && m.now.Before(s.to) })
		}
		m.gone, m.cut = within(m.faults), within(m.cuts)
		if len(m.restarts) > 0 && !m.now.Before(m.restarts[0]) {
			m.restarts = m.restarts[1:]
			m.start()
			for _, v := range m.villages { // all connections are gone
				v.online, v.lostAt, v.backAt = false, time.Time{}, m.now.Add(m.random(4*time.Minute)) // agents that tried in vain wait longer each time
			}
		}
		clear(news)
		for _, v := range m.villages {
			if v.live(m) || m.now.Sub(v.stored) > 45*time.Second && m.now.Unix()%30 == 0 {
				news[v.site.ID] = true
			}
		}
		m.engine.step(m.now, news)
		if len(m.engine.outbox) > 0 {
			var again time.Time
			m.engine.deliver(context.Background(), m.tape, &again)
		}
	}
}

// live is what happens at a village now; it tells whether the collector hears of anything.
func (v *village) live(m *month) (heard bool) {
	for v.at < len(v.tiles)-1 && !m.now.Before(v.tiles[v.at].to) {
		was := v.tiles[v.at]
		v.at++
		is := v.tiles[v.at]
		v.dirty = true
		if was.linked() && is.state == telemetry.StateOff && is.cause == telemetry.CauseShutdown && v.online && !m.cut {
			v.store(m, telemetry.Header{At: m.now, Open: telemetry.OpenSpan{State: is.state, Cause: is.cause}}) // its last word
			heard = true
		}
	}
	is := v.tiles[v.at]
	linked := is.linked() && !m.cut
	notice := 80 * time.Second // keepalive and half of it
	if v.metered {
		notice = 8 * time.Minute
	}
	switch {
	case !linked && v.online && v.lostAt.IsZero():
		v.lostAt = m.now.Add(notice/2 + m.random(notice/2))
	case !linked && v.online && !m.now.Before(v.lostAt):
		v.online, heard = false, true
		m.live.Presence(v.address, telemetry.Presence{Online: false, Session: v.session})
	case linked && !v.lostAt.IsZero() && v.online: // back before the broker noticed: the connection may have lived through it
		v.lostAt, v.backAt = time.Time{}, m.now.Add(m.random(20*time.Second))
		v.next = v.backAt
	case linked && !v.online && v.backAt.Before(m.now) && v.lostAt.IsZero() && v.backAt.IsZero(), linked && !v.online && !v.lostAt.IsZero():
		v.lostAt, v.backAt = time.Time{}, m.now.Add(m.random(40*time.Second))
	case linked && !v.online && !m.now.Before(v.backAt):
		v.session++
		v.online, v.backAt, heard = true, time.Time{}, true // what is not due yet waits
		m.live.Presence(v.address, telemetry.Presence{Online: true, Session: v.session})
	}
	if linked && v.online && v.lostAt.IsZero() && (!m.now.Before(v.next) || v.dirty) {
		every := time.Minute
		if v.metered {
			every = 15 * time.Minute
		}
		v.dirty, v.next = false, m.now.Truncate(every).Add(every+time.Duration(len(v.site.ID))*time.Second)
		h := telemetry.Header{At: m.now, Next: every, Open: telemetry.OpenSpan{State: is.state, Cause: is.cause, Length: min(time.Hour, m.now.Sub(is.from))}}
		arrive := m.now
		if m.r.IntN(50) == 0 { // lost on the way, and sent again
			arrive = m.now.Add(20*time.Second + m.random(40*time.Second))
		}
		v.late = append(v.late, flying{arrive, h})
	}
	for i := 0; i < len(v.late); {
		f := &v.late[i]
		switch {
		case m.now.Before(f.at):
			i++
		case m.gone || m.cut || !v.online: // not acknowledged: sent again later
			f.at = m.now.Add(10*time.Second + m.random(30*time.Second))
			i++
		default:
			v.store(m, f.h)
			heard = true
			v.late = slices.Delete(v.late, i, i+1)
		}
	}
	if n := len(v.late); n > 20 { // the spool has more; what counts here is the newest
		v.late = slices.Delete(v.late, 0, n-20)
	}
	return heard
}

func (v *village) store(m *month, h telemetry.Header) {
	v.seq++
	h.Seq, h.Boot, h.Clock = v.seq, "0123abcd", telemetry.ClockSynced
	m.live.Stored(v.address, m.now, []telemetry.Parsed{{Line: *h.Line(), Tier: telemetry.Detail}})
	if old := m.heads[v.address]; h.At.After(old.At) {
		m.heads[v.address] = h
	}
	v.stored = m.now
}

// tape is a channel that takes everything.
type tape struct {
	name string
	mu   sync.Mutex
	news []News
	when []time.Time
	fail error
}

func (t *tape) Name() string    { return t.name }
func (t *tape) Least() Severity { return Info }
func (t *tape) Send(_ context.Context, m Message) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fail != nil {
		return "", t.fail
	}
	for _, n := range m.News {
		t.news, t.when = append(t.news, n), append(t.when, m.Now)
	}
	return "taken", nil
}
