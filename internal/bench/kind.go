package bench

// Kind is what a packet, or a part of one, was for.
type Kind int

// The kinds, in the order in which they are printed.
const (
	Probe     Kind = iota // ICMP echo, or a TCP connection to an anchor
	DNS                   // names
	Handshake             // TCP and TLS set-up and end of the connection to the broker
	SignIn                // MQTT connect, subscribe, presence: what comes before the first batch
	Keepalive             // MQTT pings, both ways
	TCPAlive              // TCP's own keepalive, both ways
	Data                  // batches
	Ack                   // the collector's acknowledgements
	PubAck                // MQTT's acknowledgements, both ways
	TCP                   // acknowledgements without content, and what was sent again
	ARP                   // neighbours
	Other                 // all else
	kinds
)

// String is the name in a figure.
func (k Kind) String() string {
	return [...]string{"probe", "dns", "handshake", "signin", "keepalive", "tcp_keepalive", "data", "ack", "puback", "tcp_ack", "arp", "other"}[k]
}

// Bytes is traffic by kind, Ethernet headers included.
type Bytes [kinds]int64

// Total is the sum over all kinds.
func (b *Bytes) Total() int64 {
	var n int64
	for _, v := range b {
		n += v
	}
	return n
}
