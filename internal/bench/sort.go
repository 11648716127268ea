package bench

import (
	"encoding/binary"
	"slices"
)

const (
	etherLen   = 14
	etherIPv4  = 0x0800
	etherARP   = 0x0806
	protoICMP  = 1
	protoTCP   = 6
	protoUDP   = 17
	flagFIN    = 1
	flagSYN    = 2
	flagRST    = 4
	recordHead = 5
	typeData   = 23 // application data, and in TLS 1.3 all that is encrypted
	// seal13 is what TLS 1.3 adds inside a record: the real type and the tag of AES-GCM or ChaCha20-Poly1305 (RFC 8446, 5.2).
	seal13 = 17
	// The plain lengths of the MQTT 3.1.1 messages that are told by their length: PINGREQ and PINGRESP, PUBACK.
	pingLen, pubackLen = 2, 4
)

// Sorter tells for what each packet of one interface was. It sees every packet once, in order, and nothing of what TLS
// hides: lengths, directions and order are enough. It is for one goroutine.
type Sorter struct {
	brokerPort uint16
	flows      map[uint16]*flow // connections to the broker, by the agent's port
}

// NewSorter knows the broker by its TCP port.
func NewSorter(brokerPort uint16) *Sorter {
	return &Sorter{brokerPort: brokerPort, flows: map[uint16]*flow{}}
}

// flow is one connection to the broker.
type flow struct {
	out, in half
	sealed  int  // application-data records of the agent's so far: the first ends the TLS handshake
	signed  bool // a batch has gone out: the sign-in is over
	alive   bool // TCP's keepalive has asked
}

// half is one direction of a connection.
type half struct {
	next  uint32 // sequence number that comes next
	known bool
	head  []byte // of a record, until it is whole
	left  int    // bytes of the present record still to come
	kind  Kind   // of the present record
}

// Part is a share of a packet.
type Part struct {
	Kind  Kind
	Bytes int
}

// Sort takes one frame as it was on the wire, or its beginning, and its whole length. Outgoing means from the agent. The parts
// add up to length.
func (s *Sorter) Sort(frame []byte, length int, outgoing bool) []Part {
	whole := func(k Kind) []Part { return []Part{{k, length}} }
	if len(frame) < etherLen {
		return whole(Other)
	}
	switch binary.BigEndian.Uint16(frame[12:]) {
	case etherARP:
		return whole(ARP)
	case etherIPv4:
	default:
		return whole(Other)
	}
	ip := frame[etherLen:]
	if len(ip) < 20 || int(ip[0]&15)*4 > len(ip) {
		return whole(Other)
	}
	size := min(int(binary.BigEndian.Uint16(ip[2:])), len(ip))
	head := int(ip[0]&15) * 4
	if size < head+8 {
		return whole(Other)
	}
	proto, body := ip[9], ip[head:size]
	far := binary.BigEndian.Uint16(body[2:])
	near := binary.BigEndian.Uint16(body)
	if !outgoing {
		far, near = near, far
	}
	switch {
	case proto == protoICMP && (body[0] == 8 || body[0] == 0):
		return whole(Probe)
	case proto == protoUDP && far == 53:
		return whole(DNS)
	case proto == protoTCP && far == s.brokerPort:
		return s.broker(near, body, length, outgoing)
	case proto == protoTCP:
		return whole(Probe) // the agent opens no other connections than to the broker and to anchors
	}
	return whole(Other)
}

func (s *Sorter) broker(port uint16, tcp []byte, length int, outgoing bool) []Part {
	whole := func(k Kind) []Part { return []Part{{k, length}} }
	if len(tcp) < 20 || int(tcp[12]>>4)*4 > len(tcp) {
		return whole(Other)
	}
	flags, seq, data := tcp[13], binary.BigEndian.Uint32(tcp[4:]), tcp[int(tcp[12]>>4)*4:]
	if flags&flagSYN != 0 && outgoing {
		s.flows[port] = &flow{}
	}
	f := s.flows[port]
	if f == nil { // it began before we looked
		f = &flow{sealed: 2, signed: true}
		s.flows[port] = f
	}
	h := &f.in
	if outgoing {
		h = &f.out
	}
	switch {
	case flags&flagSYN != 0:
		h.next, h.known = seq+1, true
		return whole(Handshake)
	case flags&(flagFIN|flagRST) != 0 && len(data) == 0:
		return whole(Handshake)
	case len(data) == 0 && h.known && seq == h.next-1:
		f.alive = true
		return whole(TCPAlive)
	case len(data) == 0 && f.alive:
		f.alive = false
		return whole(TCPAlive)
	case len(data) == 0 && f.sealed == 0:
		return whole(Handshake)
	case len(data) == 0:
		return whole(TCP)
	case h.known && int32(seq-h.next) < 0: // sent again
		return whole(TCP)
	}
	f.alive = false
	h.next, h.known = seq+uint32(len(data)), true
	parts := f.records(h, data, outgoing)
	// What is not content goes to the largest share: it would not have been sent without it.
	rest := length - len(data)
	largest := slices.MaxFunc(parts, func(a, b Part) int { return a.Bytes - b.Bytes })
	for i := range parts {
		if parts[i] == largest {
			parts[i].Bytes += rest
			break
		}
	}
	return parts
}

// records shares out the bytes of a segment among the TLS records in it.
func (f *flow) records(h *half, data []byte, outgoing bool) (parts []Part) {
	for len(data) > 0 {
		if h.left == 0 {
			n := min(recordHead-len(h.head), len(data))
			h.head = append(h.head, data[:n]...)
			data = data[n:]
			if len(h.head) < recordHead {
				return append(parts, Part{Other, n}) // a head torn between two segments: its kind is not known yet
			}
			h.left = int(binary.BigEndian.Uint16(h.head[3:]))
			h.kind = f.kind(h.head[0], h.left, outgoing)
			h.head = h.head[:0]
			parts = append(parts, Part{h.kind, n})
		} else {
			parts = append(parts, Part{h.kind, 0})
		}
		n := min(h.left, len(data))
		parts[len(parts)-1].Bytes += n
		h.left -= n
		data = data[n:]
	}
	return parts
}

// kind tells for what a record is, by its length.
func (f *flow) kind(recordType byte, length int, outgoing bool) Kind {
	plain := length - seal13
	if recordType != typeData {
		return Handshake
	}
	if outgoing {
		f.sealed++
		if f.sealed == 1 { // TLS 1.3: Finished
			return Handshake
		}
	} else if f.sealed == 0 {
		return Handshake
	}
	switch {
	case plain == pingLen:
		return Keepalive
	case outgoing && f.sealed > firstBatch:
		f.signed = true
	case !f.signed:
		return SignIn
	}
	switch {
	case plain == pubackLen:
		return PubAck
	case outgoing:
		return Data
	}
	return Ack
}

// firstBatch is how many sealed records the agent sends before its first batch: Finished, CONNECT, PUBLISH of its presence, SUBSCRIBE.
const firstBatch = 4
