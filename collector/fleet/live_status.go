package fleet

import (
	"slices"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/timeline"
	"github.com/smartvillage/nabz/collector/twin"
	"github.com/smartvillage/nabz/telemetry"
)

// SiteState is what the NOC sees of a site now: more than a span can say.
type SiteState string

// The states of a site.
const (
	Up          SiteState = "up"
	Degraded    SiteState = "degraded"
	Down        SiteState = "down"
	Off         SiteState = "off"
	Unreachable SiteState = "unreachable" // was heard before and is silent; why is not known yet
	NeverSeen   SiteState = "never"       // registered, and nothing was ever heard
)

// SiteStates lists every state, the most urgent first.
func SiteStates() []SiteState {
	return []SiteState{Down, Unreachable, Off, Degraded, NeverSeen, Up}
}

// informed orders states for a site with several agents: the best informed first.
func (s SiteState) informed() int {
	return slices.Index([]SiteState{Up, Degraded, Down, Off, Unreachable, NeverSeen}, s)
}

// Told is what an agent said last: its state, since when, and when it said so. Zero when it said nothing.
type Told struct {
	State     telemetry.State
	Cause     telemetry.Cause
	Since, At time.Time
}

// AgentStatus is one agent's state now. Values that are missing are nil.
type AgentStatus struct {
	Agent        string
	State        SiteState
	Cause        telemetry.Cause
	Since        time.Time // zero when never seen
	Told         Told
	Heard        time.Time // when anything was last received, however old its content
	CatchingUp   bool      // unreachable by its newest words, but old ones are arriving
	Connected    bool      // presence says online
	Boot         string
	Clock        telemetry.Clock
	LatencyMs    *float64 // newest mean round trip to the internet anchors or, where these were not asked lately, to the collector
	LossPct      *float64 // 0 to 100
	RxBps, TxBps *float64 // bit/s through the interface that faces the internet
	BacklogLines int64    // lines that waited in the spool when it last spoke
	BacklogBytes int64
	WireBytes    int64             // on the wire since the agent's start, both ways
	Machine                        // what it told of its battery and disk
	Twins        twin.Sighting     // two machines work as this agent
	Program      telemetry.Program // what it said it is; zero when that is not known
}

// Status is one site's state now. The embedded AgentStatus is that of the best-informed agent; Agent is ""
// when the site has none.
type Status struct {
	Site Site
	AgentStatus
	Agents  []AgentStatus      // by id
	Ribbon  []timeline.Segment // the last 24 h, of all agents; what it does not cover is unknown
	From    time.Time          // where the ribbon begins
	Now     time.Time          // where it ends
	Changed time.Time          // when anything of this was last news; zero when nothing was since the start
}

// Sites returns the status of every registered site, and of those that have an agent, by id.
func (l *Live) Sites() []Status {
	all := l.Overview()
	l.Ribbons(all)
	return all
}

// Overview is Sites without the ribbons, which cost most: for counting, sorting and choosing.
func (l *Live) Overview() []Status {
	all, _ := l.overview()
	return all
}

// Some is Overview of these sites only; ids are sorted. Those that neither sites nor agents name are left out.
func (l *Live) Some(ids []string) []Status {
	sites := l.roster.Sites()
	agents := l.roster.Agents()
	slices.SortFunc(agents, compareAddress)
	out := make([]Status, 0, len(ids))
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.o.Now()
	l.listen(now)
	for _, id := range ids {
		from, _ := slices.BinarySearchFunc(agents, id, func(a telemetry.Address, id string) int { return strings.Compare(a.Site, id) })
		to := from
		for to < len(agents) && agents[to].Site == id {
			to++
		}
		site := Site{ID: id}
		if i, ok := slices.BinarySearchFunc(sites, id, func(s Site, id string) int { return strings.Compare(s.ID, id) }); ok {
			site = sites[i]
		} else if from == to {
			continue
		}
		out = append(out, l.status(site, agents[from:to], now))
	}
	return out
}

// Ribbons fills in the ribbons of statuses that Overview returned.
func (l *Live) Ribbons(all []Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range all {
		all[i].Ribbon = l.ribbon(&all[i])
	}
}

// overview returns the registered agents too, by site and agent.
func (l *Live) overview() ([]Status, []telemetry.Address) {
	sites := l.roster.Sites()
	agents := l.roster.Agents()
	slices.SortFunc(agents, compareAddress) // by site: "a-1/x" comes before "a/x" as text
	sites = withAgentSites(sites, agents)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.o.Now()
	l.listen(now)
	out := make([]Status, len(sites))
	k := 0
	for i, s := range sites {
		for k < len(agents) && agents[k].Site < s.ID {
			k++
		}
		from := k
		for k < len(agents) && agents[k].Site == s.ID {
			k++
		}
		out[i] = l.status(s, agents[from:k], now)
	}
	return out, agents
}

// Site returns the status of one site; false when neither the sites nor the agents name it.
func (l *Live) Site(id string) (Status, bool) {
	site, ok := l.roster.Site(id)
	agents := slices.DeleteFunc(l.roster.Agents(), func(a telemetry.Address) bool { return a.Site != id })
	if !ok && len(agents) == 0 {
		return Status{}, false
	}
	site.ID = id
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.o.Now()
	l.listen(now)
	st := l.status(site, agents, now)
	st.Ribbon = l.ribbon(&st)
	return st, true
}

// withAgentSites adds the sites that only the agents name. Both lists are sorted, and so is the result.
func withAgentSites(sites []Site, agents []telemetry.Address) []Site {
	n := len(sites)
	for i, a := range agents {
		if i > 0 && agents[i-1].Site == a.Site {
			continue
		}
		_, known := slices.BinarySearchFunc(sites[:n], a.Site, func(s Site, id string) int { return strings.Compare(s.ID, id) })
		if !known {
			sites = append(sites, Site{ID: a.Site})
		}
	}
	if len(sites) > n {
		slices.SortFunc(sites, func(a, b Site) int { return strings.Compare(a.ID, b.ID) })
	}
	return sites
}

// status joins a site's agents. The mutex is held.
func (l *Live) status(site Site, agents []telemetry.Address, now time.Time) Status {
	st := Status{Site: site, From: now.Add(-ribbonFor), Now: now, Changed: l.watch.changed[site.ID]}
	st.State = NeverSeen
	st.Agents = make([]AgentStatus, len(agents))
	for i, a := range agents {
		ag := l.agents[a]
		if ag == nil {
			ag = &agentLive{}
		}
		st.Agents[i] = ag.status(l, a, now)
		if i == 0 || betterAgent(&st.Agents[i], &st.AgentStatus) {
			st.AgentStatus = st.Agents[i]
		}
	}
	if told := telemetry.State(st.State); len(agents) > 1 && timeline.Rank(told, st.Cause) > 0 {
		all := l.united(&st)
		st.Since = time.UnixMilli(all.Run(told, st.Cause, st.Told.At.UnixMilli(), spanSlack)).UTC()
	}
	return st
}

// united is what all agents of a site say of the time that is held. The mutex is held.
func (l *Live) united(st *Status) (all timeline.Timeline) {
	for _, a := range st.Agents {
		if ag := l.agents[telemetry.Address{Site: st.Site.ID, Agent: a.Agent}]; ag != nil {
			for _, s := range ag.past.Segments() {
				all.Insert(s)
			}
			if open, ok := ag.openSegment(); ok {
				all.Insert(open)
			}
		}
	}
	return all
}

// ribbon unites what a site's agents say of the last 24 hours. The mutex is held.
func (l *Live) ribbon(st *Status) []timeline.Segment {
	from, to := st.From.UnixMilli(), st.Now.UnixMilli()
	var all timeline.Timeline
	for _, a := range st.Agents {
		ag := l.agents[telemetry.Address{Site: st.Site.ID, Agent: a.Agent}]
		if ag == nil {
			continue
		}
		all.Extend(ag.past.Clip(from, to))
		if open, ok := ag.openSegment(); ok {
			all.Insert(open)
		}
	}
	return all.Clip(from, to)
}

// betterAgent prefers the better-informed state and cause; of two that know nothing now the one that spoke last. Of two
// that say the same the first stays: a site must not change with every batch from either.
func betterAgent(a, b *AgentStatus) bool {
	if x, y := a.State.informed(), b.State.informed(); x != y {
		return x < y
	}
	x, y := timeline.Rank(telemetry.State(a.State), a.Cause), timeline.Rank(telemetry.State(b.State), b.Cause)
	if x != y {
		return x > y
	}
	return x == 0 && a.Told.At.After(b.Told.At)
}
