package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// maker makes batches as agents seal them: each from another agent, at another time. Fields come in the order in which agents
// write them, because that is most of what a dictionary knows.
type maker struct {
	r    *rand.Rand
	text []byte
	at   time.Time
	boot string
	wan  string
}

// kinds are all that agents seal, with how often each is taken into the training set.
func kinds() []kind {
	return []kind{
		{"minute", 12, (*maker).minute},
		{"quarter", 5, (*maker).quarter},
		{"hour", 4, (*maker).hour},
		{"change", 2, (*maker).change},
		{"start", 1, (*maker).start},
	}
}

type kind struct {
	name  string
	share int
	make  func(*maker)
}

// batch makes a batch of that kind.
func batch(k kind, r *rand.Rand) []byte {
	m := &maker{r: r, boot: fmt.Sprintf("%08x", r.Uint32())}
	from := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	m.at = from.Add(time.Duration(r.Int64N(int64(6 * 365 * 24 * time.Hour)))).Truncate(time.Millisecond)
	m.wan = pick(r, "wan", "eth0", "eth0", "eth1", "wwan0", "pppoe-wan", "usb0", "wlan0")
	k.make(m)
	return m.text
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// chance is true so often, of 100.
func (m *maker) chance(pct int) bool { return m.r.IntN(100) < pct }

// about is a number between the two whose order of magnitude is as likely as any other.
func (m *maker) about(lo, hi float64) float64 {
	return lo * math.Exp(m.r.Float64()*math.Log(hi/lo))
}

func (m *maker) add(l *telemetry.Line) {
	if _, err := telemetry.Check(l); err != nil {
		panic(err) // a mistake in this file
	}
	text, err := l.Append(m.text)
	if err != nil {
		panic(err)
	}
	m.text = text
}

// header is the first line. The span that is open has run since the hour, or since a change.
func (m *maker) header(next, ack time.Duration) {
	at := m.at
	if m.chance(15) {
		at = at.Add(time.Millisecond)
	}
	h := telemetry.Header{At: at, Boot: m.boot, Seq: uint64(m.about(1, 1.5e6)), Clock: telemetry.ClockSynced, Next: next, AckWithin: ack,
		WireBytes: int64(m.about(20e3, 300e6))}
	h.Open = telemetry.OpenSpan{State: telemetry.StateUp, Length: m.at.Sub(m.at.Truncate(time.Hour))}
	switch m.r.IntN(30) {
	case 0:
		h.Open = telemetry.OpenSpan{State: telemetry.StateDegraded, Length: time.Duration(m.about(5e3, 3.6e6)) * time.Millisecond}
	case 1, 2:
		h.Open = telemetry.OpenSpan{State: telemetry.StateDown, Cause: m.cause(), Length: time.Duration(m.about(5e3, 3.6e6)) * time.Millisecond}
	}
	if m.chance(15) {
		h.SpoolBytes, h.SpoolLines = int64(m.about(200, 4e6)), int64(m.about(4, 50e3))
	}
	if m.chance(2) {
		h.Clock = telemetry.ClockEstimated
	}
	m.add(h.Line())
}

func (m *maker) cause() telemetry.Cause {
	return pick(m.r, telemetry.CauseBackhaul, telemetry.CauseBackhaul, telemetry.CauseLocal, telemetry.CauseDNS)
}

// link is one target; one round trip has no jitter.
func (m *maker) link(target string, n int64, rtt float64) {
	lost := int64(0)
	if m.chance(3) {
		lost = m.r.Int64N(n) + 1
	}
	l := telemetry.NewLine("link", m.at).Tag("target", target).Int("sent", n).Int("lost", lost)
	switch n - lost {
	case 0:
	case 1:
		l.Float("rtt_min_ms", rtt).Float("rtt_avg_ms", rtt).Float("rtt_max_ms", rtt)
	default:
		spread := rtt * m.about(0.02, 0.8)
		l.Float("rtt_min_ms", rtt).Float("rtt_avg_ms", rtt+spread*m.r.Float64()).Float("rtt_max_ms", rtt+spread*(1+m.r.Float64())).Float("jitter_ms", spread*m.r.Float64())
	}
	m.add(l)
}

func (m *maker) traffic(iface string, seconds float64) {
	l := telemetry.NewLine("traffic", m.at).Tag("iface", iface)
	if m.chance(12) {
		m.add(l.Int("rx_bytes", 0).Int("tx_bytes", 0).Int("rx_peak_bps", 0).Int("tx_peak_bps", 0).Int("errs", 0).Int("drops", 0))
		return
	}
	rx, tx := m.about(2e3, 1e6*seconds), m.about(1e3, 2e5*seconds)
	l.Int("rx_bytes", int64(rx)).Int("tx_bytes", int64(tx)).Int("rx_peak_bps", int64(rx*8/seconds*m.about(1, 6))).Int("tx_peak_bps", int64(tx*8/seconds*m.about(1, 6)))
	drops := int64(0)
	if m.chance(5) {
		drops = int64(m.about(1, 500))
	}
	m.add(l.Int("errs", 0).Int("drops", drops))
}

func (m *maker) host() {
	l := telemetry.NewLine("host", m.at).Float("cpu_pct", m.about(0.4, 100)).Float("mem_pct", 20+70*m.r.Float64()).Float("disk_pct", m.about(1, 99)).
		Float("load1", m.about(0.01, 4))
	if m.chance(60) {
		l.Float("temp_c", 30+45*m.r.Float64())
	}
	m.add(l.Int("uptime_s", int64(m.about(60, 1e7))))
}

func (m *maker) power() {
	m.add(telemetry.NewLine("power", m.at).Float("battery_pct", 5+95*m.r.Float64()).Bool("charging", m.chance(50)).
		Float("volts", pick(m.r, 3.3, 12, 24)*(0.95+0.2*m.r.Float64())).Bool("mains", m.chance(30)))
}

func (m *maker) clients() {
	l := telemetry.NewLine("clients", m.at)
	if m.chance(85) {
		l.Int("wifi_stations", m.r.Int64N(40))
	}
	m.add(l.Int("dhcp_leases", m.r.Int64N(60)))
}

// set is what is sampled at the end of an interval.
func (m *maker) set(seconds float64, seldom int) {
	base := m.about(8, 700)
	if m.chance(seldom) {
		m.link("gateway", 1+m.r.Int64N(4), m.about(0.2, 8))
	}
	if m.chance(seldom) {
		m.link("internet", 1+m.r.Int64N(4), base)
	}
	if m.chance(seldom / 2) {
		m.link("dns", 1, base*m.about(0.9, 2))
	}
	if m.chance(95) {
		m.link("collector", 1+m.r.Int64N(4), base*m.about(0.8, 2))
	}
	m.traffic(m.wan, seconds)
	if m.chance(15) {
		m.traffic(pick(m.r, "br-lan", "br-lan", "eth1", "wlan0", "lan"), seconds)
	}
	m.host()
	if m.chance(15) {
		m.power()
	}
	if m.chance(40) {
		m.clients()
	}
}

// minute is a batch of the standard profile.
func (m *maker) minute() {
	m.header(time.Minute, 10*time.Minute)
	m.set(60, 25)
}

// quarter is a batch of the metered profile.
func (m *maker) quarter() {
	m.header(15*time.Minute, 0)
	m.at = m.at.Add(-10 * time.Minute)
	for range 3 {
		m.set(300, 15)
		m.at = m.at.Add(5 * time.Minute)
	}
}

// hour is what an agent tells of a full hour.
func (m *maker) hour() {
	m.at = m.at.Truncate(time.Hour).Add(time.Duration(m.r.IntN(60_000)) * time.Millisecond)
	m.header(pick(m.r, time.Minute, 15*time.Minute), 0)
	hour := m.at.Truncate(time.Hour).Add(-time.Hour)
	if m.chance(80) {
		m.add(telemetry.Span{Start: hour, Length: time.Hour, State: telemetry.StateUp}.Line())
	} else {
		m.spans(hour)
	}
	l := telemetry.NewLine("hour", hour).Int("ms", time.Hour.Milliseconds())
	sent := int64(m.about(1, 140))
	lost, got := int64(0), sent
	if m.chance(25) {
		lost = m.r.Int64N(sent/4 + 1)
		got -= lost
	}
	typical := m.about(8, 700)
	for _, edge := range telemetry.HistogramEdgesMs() {
		share := 1 / (1 + math.Exp((math.Log(typical)-math.Log(float64(edge)))*6))
		l.Int(fmt.Sprintf("rtt_le_%d", edge), int64(math.Round(share*float64(got))))
	}
	rx, tx := m.about(1e6, 4e9), m.about(3e5, 4e8)
	l.Int("rtt_le_inf", got).Int("sent", sent).Int("lost", lost).Int("rx_bytes", int64(rx)).Int("tx_bytes", int64(tx)).
		Int("rx_peak_bps", int64(m.about(1e5, 4e7))).Int("tx_peak_bps", int64(m.about(1e4, 1e7)))
	if m.chance(60) {
		l.Int("clients_max", m.r.Int64N(60))
	}
	m.add(l)
	for _, name := range []string{"e-health-video", "e-learning", "digital-skills"}[m.r.IntN(4):] {
		window := int64(3600_000)
		if m.chance(20) {
			window = m.r.Int64N(60) * 60_000
		}
		ready := window
		if m.chance(40) {
			ready = m.r.Int64N(window + 1)
		}
		m.add(telemetry.NewLine("hour_service", hour).Tag("service", name).Int("ready_ms", ready).Int("window_ms", window))
	}
	if m.chance(8) {
		m.add(telemetry.NewLine("speedtest", m.at).Tag("server", pick(m.r, "collector", "ndt.example.org")).Int("down_bps", int64(m.about(2e5, 5e7))).Int("up_bps", int64(m.about(5e4, 2e7))).
			Float("min_rtt_ms", typical).Float("retrans_pct", m.about(0.01, 5)).Int("used_bytes", int64(m.about(5e5, 5e7))))
	}
}

// spans are two states of an hour.
func (m *maker) spans(hour time.Time) {
	cut := time.Duration(m.r.IntN(3600_000)) * time.Millisecond
	uncertain := time.Duration(m.r.IntN(5000)) * time.Millisecond
	m.add(telemetry.Span{Start: hour, Length: cut, State: telemetry.StateUp, Err: uncertain}.Line())
	s := telemetry.Span{Start: hour.Add(cut), Length: time.Hour - cut, State: telemetry.StateDown, Cause: m.cause(), Err: uncertain}
	switch m.r.IntN(4) {
	case 0:
		s.State, s.Cause = telemetry.StateDegraded, ""
	case 1:
		s.State, s.Cause = telemetry.StateOff, pick(m.r, telemetry.CausePower, telemetry.CauseShutdown, telemetry.CauseAgent)
	}
	m.add(s.Line())
}

// change tells an outage that begins or ends.
func (m *maker) change() {
	m.header(pick(m.r, time.Minute, 15*time.Minute), 0)
	hour := m.at.Truncate(time.Hour)
	s := telemetry.Span{Start: hour, Length: m.at.Sub(hour), State: telemetry.StateUp, Err: time.Duration(m.about(1, 60e3)) * time.Millisecond}
	if m.chance(50) {
		s.State, s.Cause = telemetry.StateDown, m.cause()
	}
	m.add(s.Line())
}

// start tells that the agent runs again, and what became of the time before.
func (m *maker) start() {
	m.header(pick(m.r, time.Minute, 15*time.Minute), 0)
	if m.chance(50) {
		m.spans(m.at.Truncate(time.Hour))
	}
	event := func(kind, detail string) {
		m.add(telemetry.NewLine("event", m.at).Tag("kind", kind).Str("detail", detail))
	}
	event("boot", fmt.Sprintf("nabz-agent %d.%d.%d on linux/%s, boot %s, asks by %s", m.r.IntN(3), m.r.IntN(20), m.r.IntN(10), pick(m.r, "mipsle", "mips", "arm", "arm64", "amd64"), m.boot, pick(m.r, "icmp", "tcp", "ping socket")))
	if m.chance(10) {
		event("config_change", "the configuration is not that of the run before")
	}
	if m.chance(10) {
		event("spool_overflow", fmt.Sprintf("%d batches with %d lines dropped because the spool was full", int(m.about(1, 1e4)), int(m.about(10, 1e5))))
	}
	if m.chance(10) {
		event("clock_step", fmt.Sprintf("%+ds", m.r.IntN(2000)-1000))
	}
}
