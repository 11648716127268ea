package agent

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Status is what a running agent knows. Lengths of time are whole seconds, sizes are bytes; what is not known is left out.
type Status struct {
	Version  string       `json:"version"`
	Contract int          `json:"contract"` // of what goes over the wire, see docs/upgrading.md
	Site     string       `json:"site"`
	Agent    string       `json:"agent"`
	Profile  string       `json:"profile"`
	Boot     string       `json:"boot"`
	RunningS int64        `json:"running_s"`
	RSSBytes int64        `json:"rss_bytes,omitempty"` // resident memory
	Now      time.Time    `json:"now"`                 // as this agent stamps what it measures
	Clock    string       `json:"clock"`               // synced, estimated, or unknown: nothing is stamped yet
	Link     LinkStatus   `json:"link"`
	Broker   BrokerStatus `json:"broker"`
	Spool    SpoolStatus  `json:"spool"`
	Wire     WireStatus   `json:"wire"`
	Commands []string     `json:"commands"`        // what the NOC may ask for
	Notes    []string     `json:"notes,omitempty"` // faults of the disk, in words
	Twin     string       `json:"twin,omitempty"`  // boot of another machine that works as this agent with the same secret
}

// LinkStatus is what was found out about the link.
type LinkStatus struct {
	State     string `json:"state"`                // up, degraded, down; "" before the first round of probes
	Cause     string `json:"cause,omitempty"`      // of down
	ForS      int64  `json:"for_s"`                // at least so long, since this agent started
	EvidenceS *int64 `json:"evidence_s,omitempty"` // since the broker was last known to be there; other proof of a working link is not told
	Interface string `json:"interface"`
	Gateway   string `json:"gateway,omitempty"`
	Carrier   bool   `json:"carrier"` // the interface is up and has one
	AsksBy    string `json:"asks_by"`
}

// BrokerStatus is the way to the collector.
type BrokerStatus struct {
	URL        string `json:"url"`
	Connected  bool   `json:"connected"`
	ForS       int64  `json:"for_s"`
	LastAckS   *int64 `json:"last_ack_s,omitempty"` // since the collector last said that it stored something
	KeepaliveS int64  `json:"keepalive_s"`
	Sent       int64  `json:"sent"`
	Retries    int64  `json:"retries"`
	Acked      int64  `json:"acked"`
	Rejected   int64  `json:"rejected"`
}

// SpoolStatus is what waits for the collector.
type SpoolStatus struct {
	Batches        int64 `json:"batches"`
	Lines          int64 `json:"lines"`
	Bytes          int64 `json:"bytes"`
	MaxBytes       int64 `json:"max_bytes"`
	DroppedBatches int64 `json:"dropped_batches"`
	CorruptRecords int64 `json:"corrupt_records"`
}

// WireStatus is what was on the wire, speed tests aside.
type WireStatus struct {
	Month      string `json:"month,omitempty"` // of UTC, such as 2026-11
	UsedBytes  int64  `json:"used_bytes"`
	LimitBytes int64  `json:"limit_bytes,omitempty"`
	StartBytes int64  `json:"since_start_bytes"`

	SpeedBytes      int64 `json:"speedtest_bytes,omitempty"` // of the month's budget for speed tests
	SpeedLimitBytes int64 `json:"speedtest_limit_bytes,omitempty"`
}

// WriteTo writes the status for a person: the link first, then what may be wrong.
func (s Status) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	row := func(name, format string, a ...any) { fmt.Fprintf(&b, "%-9s %s\n", name, fmt.Sprintf(format, a...)) }
	row("agent", "%s/%s, %s, profile %s, running %s, contract %d", s.Site, s.Agent, s.Version, s.Profile, seconds(s.RunningS), s.Contract)
	state := s.Link.State
	if state == "" {
		state = "not known yet"
	}
	if s.Link.Cause != "" {
		state += " (" + s.Link.Cause + ")"
	}
	if s.Link.State != "" {
		state += " for " + seconds(s.Link.ForS)
	}
	if s.Link.EvidenceS != nil {
		state += ", the broker last heard of us or we of it " + seconds(*s.Link.EvidenceS) + " ago"
	}
	row("link", "%s", state)
	via := s.Link.Interface
	if via == "" {
		via = "no default route"
	}
	if s.Link.Gateway != "" {
		via += ", gateway " + s.Link.Gateway
	}
	if !s.Link.Carrier {
		via += ", no carrier"
	}
	row("way out", "%s; asks by %s", via, s.Link.AsksBy)
	row("clock", "%s, %s", s.Now.UTC().Format("2006-01-02 15:04:05 UTC"), s.Clock)
	broker := cmp.Or(s.Broker.URL, "none tried yet") + ", not connected"
	if s.Broker.Connected {
		broker = s.Broker.URL + ", connected for " + seconds(s.Broker.ForS) + ", keepalive " + seconds(s.Broker.KeepaliveS)
	}
	row("broker", "%s", broker)
	acked := "nothing acknowledged since the start"
	if s.Broker.LastAckS != nil {
		acked = "last acknowledged " + seconds(*s.Broker.LastAckS) + " ago"
	}
	row("collector", "%s; %d batches sent, %d of them again, %d acknowledged, %d rejected", acked, s.Broker.Sent, s.Broker.Retries, s.Broker.Acked, s.Broker.Rejected)
	if s.Twin != "" {
		row("twin", "another machine signs in as %s/%s with the same secret (its boot is %s, ours %s); each ends the connection of the other", s.Site, s.Agent, s.Twin, s.Boot)
	}
	row("spool", "%s with %s wait, %s of %s; %d dropped, %d damaged", count(s.Spool.Batches, "batch", "batches"), count(s.Spool.Lines, "line", "lines"),
		size(s.Spool.Bytes), size(s.Spool.MaxBytes), s.Spool.DroppedBatches, s.Spool.CorruptRecords)
	used := size(s.Wire.UsedBytes)
	if s.Wire.LimitBytes > 0 {
		used += fmt.Sprintf(" of %s (%.0f %%)", size(s.Wire.LimitBytes), 100*float64(s.Wire.UsedBytes)/float64(s.Wire.LimitBytes))
	}
	if s.Wire.Month != "" {
		used += " in " + s.Wire.Month
	}
	row("wire", "%s, %s since the start; speed tests not counted", used, size(s.Wire.StartBytes))
	if s.Wire.SpeedLimitBytes > 0 {
		row("speed", "tests have cost %s of %s this month", size(s.Wire.SpeedBytes), size(s.Wire.SpeedLimitBytes))
	}
	row("noc", "may ask for %s", cmp.Or(strings.Join(s.Commands, " and "), "nothing"))
	if s.RSSBytes > 0 {
		row("memory", "%s", size(s.RSSBytes))
	}
	for _, n := range s.Notes {
		row("note", "%s", n)
	}
	if !s.Broker.Connected || s.Clock == clockUnknown || s.Link.State == "down" || len(s.Notes) > 0 || s.Twin != "" {
		row("next", "nabz-agent check tells what is wrong, and what to do first")
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// count is a number of things.
func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatInt(n, 10) + " " + many
}

// seconds is a length of time for a person: 45s, 12m, 3h12m, 5d4h.
func seconds(s int64) string {
	switch {
	case s < 120:
		return strconv.FormatInt(s, 10) + "s"
	case s < 2*3600:
		return strconv.FormatInt(s/60, 10) + "m"
	case s < 48*3600:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%dh", s/86400, s/3600%24)
}

// size is a number of bytes for a person, in thousands as data plans count.
func size(n int64) string {
	switch {
	case n < 1000:
		return strconv.FormatInt(n, 10) + " B"
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.2f MB", float64(n)/1e6)
}
