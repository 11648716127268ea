package broker

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/smartvillage/nabz/telemetry"
)

// rules is the hook through which the broker asks who may do what. The client id of a client that has signed in
// is "<site>.<agent>#<n>", with another n for each connection.
type rules struct {
	mqtt.HookBase
	b *Broker

	mu      sync.Mutex
	n       uint64
	current map[telemetry.Address]*mqtt.Client

	ready chan *guest  // to a writer that waits
	idle  atomic.Int32 // writers that wait
}

// ID names the hook.
func (*rules) ID() string { return "nabz-rules" }

// Provides names the questions that are answered here.
func (*rules) Provides(question byte) bool {
	switch question {
	case mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnPacketRead, mqtt.OnPublish, mqtt.OnWill, mqtt.OnSessionEstablish, mqtt.OnSessionEstablished, mqtt.OnDisconnect, mqtt.OnPublishDropped:
		return true
	}
	return false
}

// clientID is how an agent names its connection.
func clientID(a telemetry.Address) string { return a.Site + "." + a.Agent }

// addressOf is the agent behind a client that has signed in.
func addressOf(cl *mqtt.Client) telemetry.Address {
	id, _, _ := strings.Cut(cl.ID, "#")
	site, agent, _ := strings.Cut(id, ".") // ids hold no dot
	return telemetry.Address{Site: site, Agent: agent}
}

// OnConnectAuthenticate lets an agent in that names itself twice and knows its secret. The broker asks nobody about
// a last will when it comes to be sent, so the will is held against the rules here.
func (r *rules) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	a, err := telemetry.ParseAddress(string(pk.Connect.Username))
	will := pk.Connect
	reason := ""
	switch {
	case err != nil:
		reason = "user_name"
	case cl.ID != clientID(a):
		reason = "client_id"
	case !r.b.p.Auth.Authenticate(a, string(pk.Connect.Password)):
		reason = "secret"
	case will.WillFlag && (will.WillTopic != a.Topic(telemetry.KindPresence) || len(will.WillPayload) > maxPresence):
		reason = "will"
	default:
		if c, ok := cl.Net.Conn.(*guest); ok {
			c.secret.Store(string(pk.Connect.Password))
		}
		return true
	}
	r.b.m.rejected.WithLabelValues(reason).Inc()
	r.b.m.limit(func(more int64) {
		r.b.p.Log.Warn("MQTT sign-in is refused", "reason", reason, "user", short(string(pk.Connect.Username)),
			"client_id", short(cl.ID), "remote", cl.Net.Remote, "others_not_logged", more)
	})
	return false
}

// OnSessionEstablish gives the connection a name that no other ever had, and ends the agent's older one. Under one name
// for both, the broker's clean-up of the older can run after the newer was set up and take away its subscriptions: it
// would go on sending and hear no acknowledgement. No session outlives its connection: agents ask anew for all they need.
func (r *rules) OnSessionEstablish(cl *mqtt.Client, _ packets.Packet) {
	a := addressOf(cl)
	cl.Properties.Clean = true
	cl.Properties.Props.SessionExpiryInterval = 0
	r.mu.Lock()
	r.n++
	cl.ID = clientID(a) + "#" + strconv.FormatUint(r.n, 10)
	older := r.current[a]
	r.current[a] = cl
	r.mu.Unlock()
	if older != nil {
		end(older)
	}
}

// OnPacketRead holds each publication against the rules before the broker does anything with it. Whoever breaks
// one is disconnected, whatever the quality of service.
func (r *rules) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	a := addressOf(cl)
	if pk.FixedHeader.Type != packets.Connect {
		r.b.slow(cl, a, pk.FixedHeader.Remaining)
	}
	if pk.FixedHeader.Type != packets.Publish {
		return pk, nil
	}
	reason := forbidden(a, pk)
	if reason == "" && !r.stillValid(cl, a) {
		reason = "revoked"
	}
	if reason == "" {
		return pk, nil
	}
	r.refuse(cl, reason, pk.TopicName)
	return pk, packets.ErrRejectPacket
}

// stillValid tells whether the agent could sign in now as it did then: one that was revoked, or got another secret, must not go on for as long
// as its connection lasts. It is asked for each message, and the register only where its credentials have changed since.
func (r *rules) stillValid(cl *mqtt.Client, a telemetry.Address) bool {
	c, ok := cl.Net.Conn.(*guest)
	if !ok {
		return false
	}
	revision := r.b.p.Auth.AgentsRevision()
	if c.valid.Load() == revision {
		return true
	}
	secret, ok := c.secret.Load().(string)
	if !ok || !r.b.p.Auth.Authenticate(a, secret) {
		return false
	}
	c.valid.Store(revision)
	return true
}

// endRevoked ends the connections of agents that may sign in no longer.
func (r *rules) endRevoked() {
	r.mu.Lock()
	all := slices.Collect(maps.Values(r.current))
	r.mu.Unlock()
	for _, cl := range all {
		if a := addressOf(cl); !r.stillValid(cl, a) {
			r.refuse(cl, "revoked", "")
			end(cl)
		}
	}
}

// end has the reader of a connection come to its end, which sends the agent's last will. A client that is stopped while its reader is between two packets
// counts as one that said goodbye, and its will is lost.
func end(cl *mqtt.Client) { _ = cl.Net.Conn.Close() }

// forbidden is the rule that a publication breaks, or "".
func forbidden(a telemetry.Address, pk packets.Packet) string {
	to, kind, err := telemetry.ParseTopic(pk.TopicName)
	switch {
	case err != nil || to != a || !kind.FromAgent():
		return "publish"
	case kind == telemetry.KindPresence:
		if len(pk.Payload) > maxPresence {
			return "presence"
		}
	case pk.FixedHeader.Retain:
		return "retain"
	case kind == telemetry.KindResult && len(pk.Payload) > telemetry.MaxResult:
		return "result"
	}
	return ""
}

// OnACLCheck lets an agent hear its own acknowledgements and commands, by their exact names. What it may publish
// was decided when its packet was read.
func (r *rules) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	a := addressOf(cl)
	if write {
		to, k, err := telemetry.ParseTopic(topic)
		return err == nil && to == a && k.FromAgent()
	}
	if topic == a.Topic(telemetry.KindAck) || topic == a.Topic(telemetry.KindCommand) {
		return true
	}
	r.refuse(cl, "subscribe", topic)
	return false
}

func (r *rules) refuse(cl *mqtt.Client, reason, topic string) {
	r.b.m.forbidden.WithLabelValues(reason).Inc()
	r.b.m.limit(func(more int64) {
		r.b.p.Log.Warn("MQTT message or subscription is refused", "reason", reason, "agent", addressOf(cl).String(),
			"topic", short(topic), "remote", cl.Net.Remote, "others_not_logged", more)
	})
}

// OnSessionEstablished counts a sign-in. An agent that was revoked just while it signed in goes at once.
func (r *rules) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	r.b.m.accepted.Inc()
	if a := addressOf(cl); !r.stillValid(cl, a) {
		r.refuse(cl, "revoked", "")
		cl.Stop(packets.ErrNotAuthorized)
	}
}

// OnDisconnect forgets the connection, and counts those who sent too much at once.
func (r *rules) OnDisconnect(cl *mqtt.Client, err error, _ bool) {
	r.mu.Lock()
	if a := addressOf(cl); r.current[a] == cl {
		delete(r.current, a)
	}
	r.mu.Unlock()
	if errors.Is(err, packets.ErrPacketTooLarge) {
		r.b.m.oversize.Inc()
		r.b.p.Log.Warn("MQTT message over the limit; its sender is disconnected", "agent", addressOf(cl).String(), "limit_bytes", maxPacket)
	}
}

// OnPublishDropped counts what a slow client did not take.
func (r *rules) OnPublishDropped(*mqtt.Client, packets.Packet) { r.b.m.unsent.Inc() }

// short makes foreign text fit for a log.
func short(s string) string { return strings.ToValidUTF8(s[:min(len(s), 140)], "?") }
