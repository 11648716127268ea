package telemetry

import (
	"fmt"
	"strings"
)

// MaxIDLen is the longest site or agent id, in bytes.
const MaxIDLen = 63

// CheckID reports what is wrong with a site or agent id: a lower-case letter or digit, then up to 62
// of a-z, 0-9 and "-". What names the id in the error ("site", "agent").
func CheckID(what, id string) error {
	ok := id != "" && len(id) <= MaxIDLen && id[0] != '-'
	for i := 0; ok && i < len(id); i++ {
		c := id[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-'
	}
	if ok {
		return nil
	}
	if len(id) > MaxIDLen {
		return fmt.Errorf("%s id of %d bytes: at most %d are allowed", what, len(id), MaxIDLen)
	}
	return fmt.Errorf("%s id %q: use a-z, 0-9 and \"-\", beginning with a letter or a digit, at most %d characters", what, id, MaxIDLen)
}

// Address names one agent at one site. The broker checks it against the agent's credentials; the collector
// takes both tags of every stored line from it.
type Address struct{ Site, Agent string }

// ParseAddress reads "site/agent", the form that is also the MQTT user name.
func ParseAddress(s string) (Address, error) {
	site, agent, ok := strings.Cut(s, "/")
	if !ok {
		return Address{}, fmt.Errorf("address %.140q: write it as site/agent", s)
	}
	a := Address{Site: site, Agent: agent}
	return a, a.Check()
}

// Check reports the first id of the address that is not well formed.
func (a Address) Check() error {
	if err := CheckID("site", a.Site); err != nil {
		return err
	}
	return CheckID("agent", a.Agent)
}

// String is "site/agent".
func (a Address) String() string { return a.Site + "/" + a.Agent }

// Kind is the last part of a topic: what the message is.
type Kind string

// The kinds of message. Data, presence and result come from the agent; ack and command go to it.
const (
	KindData     Kind = "data"
	KindAck      Kind = "ack"
	KindPresence Kind = "presence"
	KindCommand  Kind = "command"
	KindResult   Kind = "result"
)

// FromAgent tells whether an agent publishes messages of this kind; it subscribes to the others.
func (k Kind) FromAgent() bool { return k == KindData || k == KindPresence || k == KindResult }

const topicRoot = "nabz/v1/"

// Topic is nabz/v1/<site>/<agent>/<kind>.
func (a Address) Topic(k Kind) string {
	return topicRoot + a.Site + "/" + a.Agent + "/" + string(k)
}

// Filter is the subscription that catches one kind of message from all agents.
func Filter(k Kind) string { return topicRoot + "+/+/" + string(k) }

// ParseTopic takes a topic apart. Anything but nabz/v1/<site>/<agent>/<known kind> is an error.
func ParseTopic(topic string) (Address, Kind, error) {
	rest, ok := strings.CutPrefix(topic, topicRoot)
	if !ok {
		return Address{}, "", fmt.Errorf("topic %.140q does not begin with %s", topic, topicRoot)
	}
	site, rest, ok1 := strings.Cut(rest, "/")
	agent, kind, ok2 := strings.Cut(rest, "/")
	if !ok1 || !ok2 {
		return Address{}, "", fmt.Errorf("topic %.140q is not %s<site>/<agent>/<kind>", topic, topicRoot)
	}
	a := Address{Site: site, Agent: agent}
	if err := a.Check(); err != nil {
		return Address{}, "", fmt.Errorf("topic %.140q: %w", topic, err)
	}
	switch k := Kind(kind); k {
	case KindData, KindAck, KindPresence, KindCommand, KindResult:
		return a, k, nil
	}
	return Address{}, "", fmt.Errorf("topic %.140q: kind %.40q is none of data, ack, presence, command, result", topic, kind)
}
