package checkup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/smartvillage/nabz/agent/clock"
	"github.com/smartvillage/nabz/agent/probe"
)

// pings is how many probes one question sends.
const pings = 3

// now is this machine's clock; false while it is not set.
func (k *checkup) now() (at time.Time, set bool) {
	read := k.c.Clock
	if read == nil {
		read = clock.SystemReading
	}
	at = read().Wall.UTC()
	return at, !at.Before(clock.Floor())
}

func (k *checkup) clock(context.Context) {
	now, set := k.now()
	f := Finding{Matter: "clock", Found: now.Format("2006-01-02 15:04:05 UTC")}
	if !set {
		f.Grade = Fail
		f.Found += ": not set, or its battery is empty"
		f.Next = "set it (date -u -s \"2026-11-23 12:00:00\") or let NTP do it: logs and other programs go by it. The agent itself waits for the collector's time"
	}
	k.tell(f)
}

func (k *checkup) iface(context.Context) {
	k.way = k.c.Probe.Way()
	f := Finding{Matter: "interface"}
	switch w := k.way; {
	case w.Interface == "" && !w.Up:
		f.Grade, f.Found = Fail, "there is no default route"
		f.Next = "plug in or configure the uplink; \"ip route\" shows a line that begins with default when it works"
	case w.Interface == "":
		f.Grade, f.Found = Warn, "this machine does not tell its routes"
		f.Next = "set probe.interface and probe.gateway"
	case !w.Up:
		f.Grade, f.Found = Fail, w.Interface+" is down or has no carrier"
		f.Next = "look at cable, modem and antenna of " + w.Interface + "; \"ip link show " + w.Interface + "\" shows LOWER_UP when it works"
	default:
		f.Found = w.Interface + " is up and leads to the internet"
	}
	k.tell(f)
}

func (k *checkup) gateway(ctx context.Context) {
	f := Finding{Matter: "gateway"}
	asks, why, err := probe.NewNet(ctx, probe.Method(k.c.Probe.Method), uint16(k.c.Probe.TCPPort))
	if err != nil {
		k.tell(Finding{Matter: "probes", Grade: Fail, Found: err.Error(), Next: "run as root, give CAP_NET_RAW, or set probe.method = \"tcp\""})
		return
	}
	k.net = asks
	if !k.way.Gateway.IsValid() {
		if f.Found = "none on this kind of link; " + why; !k.way.Up {
			f.Grade, f.Found, f.Next = Warn, "not known while there is no way out; "+why, "mend the interface first"
		}
		k.tell(f)
		return
	}
	s := k.ask(ctx, probe.Target{Addr: k.way.Gateway})
	f.Found = fmt.Sprintf("%s %s; %s", k.way.Gateway, answered(s), why)
	if !s.Answered() {
		f.Grade = Warn
		f.Next = "if the internet below fails too, look at the modem; some gateways never answer, and the agent learns that"
	}
	k.tell(f)
}

func (k *checkup) names(ctx context.Context) {
	f := Finding{Matter: "DNS"}
	var parts []string
	for _, name := range k.hosts() {
		limited, cancel := context.WithTimeout(ctx, k.c.Probe.DNSTimeout.Std())
		start := time.Now()
		_, err := (&net.Resolver{PreferGo: true}).LookupNetIP(limited, "ip", name)
		cancel()
		var dns *net.DNSError
		switch {
		case err == nil:
			parts = append(parts, fmt.Sprintf("%s found in %d ms", name, time.Since(start).Milliseconds()))
		case errors.As(err, &dns) && dns.IsNotFound:
			f.Grade = max(f.Grade, Warn)
			parts, f.Next = append(parts, "there is no name "+name), "look at the spelling of "+name+" in the configuration"
		default:
			f.Grade = Fail
			parts, f.Next = append(parts, name+" is not resolved"), "look at the name servers in /etc/resolv.conf; 1.1.1.1 there tells whether the provider's are at fault"
		}
	}
	if f.Found = list(parts); len(parts) == 0 {
		f.Found = "no name is needed: brokers are named by address and probe.dns_name is empty"
	}
	k.tell(f)
}

// hosts are the names that the configuration needs.
func (k *checkup) hosts() (names []string) {
	if k.c.Probe.DNSName != "" {
		names = append(names, k.c.Probe.DNSName)
	}
	for _, b := range k.c.Brokers {
		if u, err := url.Parse(b); err == nil && net.ParseIP(u.Hostname()) == nil && !strings.HasSuffix(u.Hostname(), "localhost") {
			names = append(names, u.Hostname())
		}
	}
	return names
}

// fewAnchors is how many an agent should have: when one is dead the others still outvote a chance.
const fewAnchors = 3

func (k *checkup) internet(ctx context.Context) {
	f := Finding{Matter: "internet"}
	if k.net == nil {
		return
	}
	if len(k.c.Probe.Anchors) == 0 {
		f.Grade, f.Found, f.Next = Warn, "probe.anchors is empty", "name three addresses, or outages are known by evidence alone"
		k.tell(f)
		return
	}
	var parts []string
	silent := 0
	for _, text := range k.c.Probe.Anchors {
		t, err := probe.ParseTarget(text)
		if err != nil {
			continue // Validate has refused it
		}
		s := k.ask(ctx, t)
		if !s.Answered() {
			silent++
		}
		parts = append(parts, text+" "+answered(s))
	}
	f.Found = list(parts)
	switch {
	case silent == len(parts):
		f.Grade, f.Next = Fail, "with the gateway answering it is the provider's line: call them; else mend what is above"
		if !k.way.Up {
			f.Next = "mend the interface first"
		}
	case silent > 0:
		f.Grade, f.Next = Warn, "one dead anchor is no outage, but name another in probe.anchors"
	case len(parts) < fewAnchors:
		f.Grade, f.Next = Warn, "name at least three in probe.anchors, of different operators: with fewer, one that is dead or far looks like the village's own outage"
	}
	k.up = silent < len(parts)
	k.tell(f)
}

// ask probes one address.
func (k *checkup) ask(ctx context.Context, to probe.Target) probe.Sample {
	return k.net.Ask(ctx, []probe.Target{to}, pings, k.c.Probe.Timeout.Std())[0]
}

// answered is a sample in words.
func answered(s probe.Sample) string {
	if !s.Answered() {
		return "is silent"
	}
	best := s.RTTs[0]
	for _, d := range s.RTTs {
		best = min(best, d)
	}
	text := fmt.Sprintf("answers in %.1f ms", float64(best)/float64(time.Millisecond))
	if s.Lost > 0 {
		text += fmt.Sprintf(", %d of %d lost", s.Lost, s.Sent)
	}
	return text
}
