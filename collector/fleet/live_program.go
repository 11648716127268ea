package fleet

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/telemetry"
)

// bootsOldest is how far back the last boot event of an agent is looked for: an agent that has not started in so long is older than any release
// that docs/upgrading.md speaks of.
const bootsOldest = 2 * 365 * 24 * time.Hour

// Boot is what an agent said last as it started.
type Boot struct {
	Address telemetry.Address
	At      time.Time
	Program telemetry.Program
}

// LastBoots asks for the newest boot event of each agent.
func LastBoots(ctx context.Context, q Querier, now time.Time) ([]Boot, error) {
	return bootsSince(ctx, q, now.Add(-bootsOldest))
}

func bootsSince(ctx context.Context, q Querier, from time.Time) ([]Boot, error) {
	series, err := q.Query(ctx, telemetry.Ledger, fmt.Sprintf(`SELECT last("detail") FROM "event" WHERE "kind" = 'boot' AND time >= %dms GROUP BY "site", "agent"`, from.UnixMilli()))
	if err != nil {
		return nil, fmt.Errorf("ask what agents said as they started: %w", err)
	}
	var all []Boot
	for _, s := range series {
		for _, row := range s.Values {
			all = append(all, Boot{telemetry.Address{Site: s.Tags["site"], Agent: s.Tags["agent"]}, time.UnixMilli(number(row, 0)).UTC(), telemetry.ProgramOf(text(row, 1))})
		}
	}
	return all, nil
}

// takeBoot keeps what an agent is by its boot event. One that comes late, behind a newer one, says nothing.
func (ag *agentLive) takeBoot(l *telemetry.Line) {
	if l.GetTag("kind") != "boot" {
		return
	}
	detail, _ := l.GetStr("detail")
	ag.keepProgram(telemetry.ProgramOf(strings.Clone(detail)), l.Time)
}

func (ag *agentLive) keepProgram(p telemetry.Program, at int64) {
	if p != (telemetry.Program{}) && at >= ag.booted {
		ag.program, ag.booted = p, at
	}
}

// takeBoots takes in what InfluxDB has. The mutex is held.
func (l *Live) takeBoots(boots []Boot) {
	for _, b := range boots {
		l.agent(b.Address).keepProgram(b.Program, b.At.UnixMilli())
	}
}

// maxVersions bounds how many versions are counted apart, so that no agent can fill a database of metrics.
const maxVersions = 20

// Versions counts the registered agents by the version that each said last: "unknown" where none was said. Of more than 20 versions the rarest are
// "other".
func (l *Live) Versions() map[string]int {
	agents := l.roster.Agents()
	all := map[string]int{}
	l.mu.Lock()
	for _, a := range agents {
		version := ""
		if ag := l.agents[a]; ag != nil {
			version = ag.program.Version
		}
		all[cmp.Or(version, "unknown")]++
	}
	l.mu.Unlock()
	if len(all) <= maxVersions {
		return all
	}
	names := make([]string, 0, len(all))
	for v := range all {
		names = append(names, v)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(all[b]-all[a], cmp.Compare(a, b)) })
	for _, v := range names[maxVersions:] {
		n := all[v]
		delete(all, v)
		all["other"] += n
	}
	return all
}

// versionsMetric tells Versions to Prometheus.
type versionsMetric struct {
	live *Live
	desc *prometheus.Desc
}

// Metric is nabz_agents, the registered agents by version.
func (l *Live) Metric() prometheus.Collector {
	return versionsMetric{l, prometheus.NewDesc("nabz_agents", "Registered agents, by the version that each said last.", []string{"version"}, nil)}
}

// Describe is Prometheus's.
func (m versionsMetric) Describe(ch chan<- *prometheus.Desc) { ch <- m.desc }

// Collect is Prometheus's.
func (m versionsMetric) Collect(ch chan<- prometheus.Metric) {
	for version, n := range m.live.Versions() {
		ch <- prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, float64(n), strings.ToValidUTF8(version, "?"))
	}
}
