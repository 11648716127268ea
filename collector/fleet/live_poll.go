package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/collector/timeline"
	"github.com/smartvillage/nabz/telemetry"
)

// How much of the past is asked for again. Lines carry their agents' time, and may be stored long after it.
const (
	pollNear  = 5 * time.Minute  // each time: batches are late by some seconds, mostly
	pollSlow  = 30 * time.Second // how often readings are asked for; states are each time
	pollFar   = time.Minute      // how often headsRecent is asked for, and spans as far
	pollWhole = 5 * time.Minute  // how often the spans of the whole last day are: an agent that was away tells them late
)

// Poller takes from InfluxDB what other collectors store, for a board that takes in nothing itself. It is for one goroutine.
type Poller struct {
	live             *Live
	q                Querier
	slow, far, whole time.Time // when it was asked for last
}

// NewPoller makes one for a Live that Restore has filled.
func NewPoller(l *Live, q Querier) *Poller { return &Poller{live: l, q: q} }

// Poll asks once. What it could not have it asks for again the next time.
func (p *Poller) Poll(ctx context.Context) error {
	l := p.live
	now := l.o.Now()
	back, spansBack := pollNear, time.Duration(0)
	if now.Sub(p.far) >= pollFar {
		back, spansBack = headsRecent, headsRecent
	}
	if now.Sub(p.whole) >= pollWhole {
		spansBack = ribbonFor + time.Hour
	}
	heads, err := lastHeads(ctx, p.q, now.Add(-back), "")
	if err != nil {
		return err
	}
	var spans []store.Series
	if spansBack > 0 {
		if spans, err = spansSince(ctx, p.q, now.Add(-spansBack)); err != nil {
			return err
		}
	}
	var readings []store.Series
	if now.Sub(p.slow) >= pollSlow || back == headsRecent {
		if readings, err = readingsSince(ctx, p.q, now.Add(-back)); err != nil {
			return err
		}
		p.slow = now
	}
	var boots []Boot
	if spansBack > 0 {
		if boots, err = bootsSince(ctx, p.q, now.Add(-spansBack)); err != nil {
			return err
		}
	}
	l.polled(heads, spans, readings, now)
	l.mu.Lock()
	l.takeBoots(boots)
	l.mu.Unlock()
	if back == headsRecent {
		p.far = now
	}
	if spansBack > headsRecent {
		p.whole = now
	}
	return nil
}

// readingsSince asks for the newest line of each link, and the newest two of each interface, which make a rate.
func readingsSince(ctx context.Context, q Querier, from time.Time) ([]store.Series, error) {
	links, err := q.Query(ctx, telemetry.Detail, fmt.Sprintf(
		`SELECT "rtt_avg_ms", "sent", "lost" FROM "link" WHERE time >= %dms AND "target" != 'gateway' AND "target" != 'dns' GROUP BY "site", "agent", "target" ORDER BY time DESC LIMIT 1`, from.UnixMilli()))
	if err != nil {
		return nil, fmt.Errorf("ask for the newest readings of links: %w", err)
	}
	traffic, err := q.Query(ctx, telemetry.Detail, fmt.Sprintf(
		`SELECT "rx_bytes", "tx_bytes" FROM "traffic" WHERE time >= %dms GROUP BY "site", "agent", "iface" ORDER BY time DESC LIMIT 2`, from.UnixMilli()))
	if err != nil {
		return nil, fmt.Errorf("ask for the newest traffic: %w", err)
	}
	machines, err := machinesSince(ctx, q, from)
	if err != nil {
		return nil, err
	}
	return slices.Concat(links, traffic, machines), nil
}

// machinesSince asks for the newest line of each agent's battery and of its disk.
func machinesSince(ctx context.Context, q Querier, from time.Time) ([]store.Series, error) {
	power, err := q.Query(ctx, telemetry.Detail, fmt.Sprintf(
		`SELECT "battery_pct", "charging", "mains" FROM "power" WHERE time >= %dms GROUP BY "site", "agent" ORDER BY time DESC LIMIT 1`, from.UnixMilli()))
	if err != nil {
		return nil, fmt.Errorf("ask for the newest state of batteries: %w", err)
	}
	disk, err := q.Query(ctx, telemetry.Detail, fmt.Sprintf(
		`SELECT "disk_pct" FROM "host" WHERE time >= %dms GROUP BY "site", "agent" ORDER BY time DESC LIMIT 1`, from.UnixMilli()))
	if err != nil {
		return nil, fmt.Errorf("ask how full disks are: %w", err)
	}
	return append(power, disk...), nil
}

// takeSeries lays rows of readings into the agents, the oldest first. The mutex is held.
func (l *Live) takeSeries(all []store.Series) {
	for _, s := range all {
		ag := l.agent(telemetry.Address{Site: s.Tags["site"], Agent: s.Tags["agent"]})
		for _, row := range slices.Backward(s.Values) { // the newest comes first
			ag.takeReadings([]telemetry.Parsed{{Line: *lineOf(s, row)}})
		}
	}
}

// polled takes in what InfluxDB has, and marks the sites of which it is news.
func (l *Live) polled(heads, spans, readings []store.Series, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range heads {
		a := telemetry.Address{Site: s.Tags["site"], Agent: s.Tags["agent"]}
		ag := l.agent(a)
		for _, row := range s.Values {
			h := headOf(row)
			if h.Boot == ag.head.Boot && h.Seq == ag.head.Seq || !ag.takeHeader(h, now, false) {
				continue
			}
			ag.heard = now
			l.watch.mark(a.Site, now)
		}
	}
	past := map[telemetry.Address][]timeline.Segment{}
	for _, s := range spans {
		a := telemetry.Address{Site: s.Tags["site"], Agent: s.Tags["agent"]}
		if _, ok := past[a]; !ok {
			past[a] = slices.Clone(l.agent(a).past.Segments())
		}
	}
	l.takeSpans(spans, now)
	for a, before := range past {
		if !slices.Equal(before, l.agent(a).past.Segments()) {
			l.watch.mark(a.Site, now)
		}
	}
	l.takeSeries(readings)
}

// lineOf is a row as the line that it was. What is missing is left out.
func lineOf(s store.Series, row []any) *telemetry.Line {
	l := telemetry.NewLine(s.Name, time.UnixMilli(number(row, 0)))
	for _, tag := range []string{"target", "iface"} {
		if v := s.Tags[tag]; v != "" {
			l.Tag(tag, v)
		}
	}
	for i, column := range s.Columns {
		if i == 0 || i >= len(row) {
			continue
		}
		if yes, ok := row[i].(bool); ok {
			l.Bool(column, yes)
		}
		n, ok := row[i].(json.Number)
		switch {
		case !ok:
		case column == "rtt_avg_ms" || strings.HasSuffix(column, "_pct"):
			if v, err := strconv.ParseFloat(n.String(), 64); err == nil {
				l.Float(column, v)
			}
		default:
			l.Int(column, number(row, i))
		}
	}
	return l
}
