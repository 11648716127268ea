package agent

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/agent/probe"
	"github.com/smartvillage/nabz/telemetry"
)

// clockUnknown is the third answer beside telemetry's two: nothing is stamped yet.
const clockUnknown = "unknown"

// seen is what the recorder's goroutine last saw, for whoever asks for the status.
type seen struct {
	state telemetry.State
	cause telemetry.Cause
	since time.Time
	wire  WireStatus
	notes []string // faults of the disk that have not ended
}

// note keeps the state of the link.
func (a *agent) note(v probe.Verdict) {
	s := *a.seen.Load()
	if v.Pending || v.State == s.state && v.Cause == s.cause {
		return
	}
	if s.state == telemetry.StateDown {
		a.uplink.Reconnect()
	}
	defer a.checker.Changed()
	s.state, s.cause, s.since = v.State, v.Cause, v.At
	a.seen.Store(&s)
}

// tellAgain is how soon an event tells of the same finding once more. A disk that is all but full changes its mind each minute.
const tellAgain = time.Hour

// account adds up the bytes of the month.
func (a *agent) account(last bool) {
	var now time.Time
	if a.clock.Known() {
		now = a.clock.Now()
	}
	total := a.wireBytes()
	if told := a.usage.count(now, total); told != "" {
		a.recorder.Event("data_budget", told)
	}
	a.unsaved.tell(a.log, a.usage.save(now, last), "the disk does not take the sum of the bytes used this month", "the sum of the bytes used is on disk again")
	s := *a.seen.Load()
	s.wire = WireStatus{Month: a.usage.month, UsedBytes: a.usage.bytes, LimitBytes: a.usage.limit, StartBytes: total}
	s.notes = a.notes()
	a.seen.Store(&s)
}

// notes are the faults of the disk that last.
func (a *agent) notes() (all []string) {
	if a.ill != "" {
		all = append(all, a.ill)
	}
	for _, x := range []struct {
		f    fault
		note string
	}{
		{a.recorder.box.disk, "the spool takes nothing; lines wait in RAM"},
		{a.recorder.unmarked, "the disk does not take the mark of the moment last known alive; spans and hours wait in RAM"},
		{a.unsaved, "the disk does not take the sum of the bytes used this month"},
	} {
		if x.f > 0 {
			all = append(all, x.note)
		}
	}
	return all
}

// status is what this agent knows now. It is called from any goroutine.
func (a *agent) status() Status {
	now, up, waits, last, way := time.Now(), a.uplink.Stats(), a.spool.Stats(), a.seen.Load(), a.c.Probe.Way()
	ago := func(t time.Time) *int64 {
		if t.IsZero() {
			return nil
		}
		s := int64(now.Sub(t).Seconds())
		return &s
	}
	s := Status{
		Version: a.c.Version, Contract: telemetry.Contract, Site: a.c.Site, Agent: a.c.Agent, Profile: a.c.Profile, Boot: a.boot,
		RunningS: *ago(a.started), RSSBytes: residentBytes(), Now: a.clock.Now(), Clock: clockUnknown,
		Link: LinkStatus{State: string(last.state), Cause: string(last.cause), EvidenceS: ago(a.uplink.Evidence()),
			Interface: way.Interface, Carrier: way.Up, AsksBy: a.method},
		Broker: BrokerStatus{URL: up.Broker, Connected: up.Connected, LastAckS: ago(up.LastAck), KeepaliveS: int64(up.Keepalive.Seconds()),
			Sent: up.Sent, Retries: up.Retries, Acked: up.Acked, Rejected: up.Rejected},
		Spool: SpoolStatus{Batches: waits.Batches, Lines: waits.Lines, Bytes: waits.Bytes, MaxBytes: a.c.SpoolMaxBytes,
			DroppedBatches: waits.DroppedBatches, CorruptRecords: waits.CorruptRecords},
		Wire: last.wire, Commands: a.c.Commands.Allow, Notes: last.notes, Twin: a.twin.other(),
	}
	if a.speed != nil {
		t := a.speed.Stats()
		s.Wire.SpeedBytes, s.Wire.SpeedLimitBytes = t.Used, t.Monthly
	}
	if way.Gateway.IsValid() {
		s.Link.Gateway = way.Gateway.String()
	}
	if !last.since.IsZero() {
		s.Link.ForS = *ago(last.since)
	}
	if !up.Since.IsZero() {
		s.Broker.ForS = *ago(up.Since)
	}
	if a.clock.Known() {
		s.Clock = string(a.clock.Status())
	}
	return s
}

// headline is the line that systemctl status shows: "up since 2026-11-28 04:03 UTC; 0 batches wait".
func (a *agent) headline() string {
	last, waits := a.seen.Load(), count(a.spool.Stats().Batches, "batch waits", "batches wait")
	if last.state == "" {
		return notifyStatus + "the link is not judged yet; " + waits
	}
	state := string(last.state)
	if last.cause != "" {
		state += " (" + string(last.cause) + ")"
	}
	lasted := time.Since(last.since)
	if !a.clock.Known() {
		return fmt.Sprintf("%s%s for %s, the time is not known yet; %s", notifyStatus, state, seconds(int64(lasted.Seconds())), waits)
	}
	return fmt.Sprintf("%s%s since %s; %s", notifyStatus, state, a.clock.Now().Add(-lasted).UTC().Format("2006-01-02 15:04 UTC"), waits)
}

// residentBytes is this process's resident memory; 0 where the system does not tell.
func residentBytes() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(text))
	if len(f) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// wireBytes is what was on the wire since the start, speed tests aside.
func (a *agent) wireBytes() int64 {
	return a.uplink.Stats().WireBytes + a.network.Bytes() + a.checker.Bytes() + a.clock.Bytes() + a.orders.cost.Load()
}

// program is what this agent is, in the words of its boot event.
func (a *agent) program() telemetry.Program {
	return telemetry.Program{Version: a.c.Version, System: runtime.GOOS + "/" + runtime.GOARCH, Contract: telemetry.Contract}
}
