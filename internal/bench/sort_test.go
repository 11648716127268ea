package bench

import (
	"encoding/binary"
	"testing"
	"time"
)

const (
	agentPort = 40000
	port      = 8883
)

// frame is an Ethernet frame with one IPv4 packet.
func frame(proto byte, body []byte) []byte {
	f := make([]byte, etherLen+20, etherLen+20+len(body))
	binary.BigEndian.PutUint16(f[12:], etherIPv4)
	ip := f[etherLen:]
	ip[0], ip[9] = 0x45, proto
	binary.BigEndian.PutUint16(ip[2:], uint16(20+len(body)))
	return append(f, body...)
}

// tcp is a segment of the connection to the broker, with timestamps as Linux sends them.
func tcp(outgoing bool, seq uint32, flags byte, data []byte) []byte {
	from, to := uint16(agentPort), uint16(port)
	if !outgoing {
		from, to = to, from
	}
	h := make([]byte, 32, 32+len(data))
	binary.BigEndian.PutUint16(h, from)
	binary.BigEndian.PutUint16(h[2:], to)
	binary.BigEndian.PutUint32(h[4:], seq)
	h[12], h[13] = 8<<4, flags
	return frame(protoTCP, append(h, data...))
}

// sealed is a TLS 1.3 record around so many plain bytes.
func sealed(plain int) []byte {
	r := make([]byte, recordHead+plain+seal13)
	r[0], r[1], r[2] = typeData, 3, 3
	binary.BigEndian.PutUint16(r[3:], uint16(plain+seal13))
	return r
}

func hello(n int) []byte {
	r := make([]byte, recordHead+n)
	r[0] = 22
	binary.BigEndian.PutUint16(r[3:], uint16(n))
	return r
}

type step struct {
	name     string
	frame    []byte
	outgoing bool
	want     Bytes
}

// steps are a connection from its first packet to its last, each at the sequence number that follows.
func steps() []step {
	var all []step
	seq := map[bool]uint32{true: 1000, false: 9000}
	add := func(name string, outgoing bool, flags byte, data []byte, want func(b *Bytes, whole int64)) {
		f := tcp(outgoing, seq[outgoing], flags, data)
		seq[outgoing] += uint32(len(data))
		if flags&flagSYN != 0 {
			seq[outgoing]++
		}
		var b Bytes
		want(&b, int64(len(f)))
		all = append(all, step{name, f, outgoing, b})
	}
	is := func(k Kind) func(*Bytes, int64) { return func(b *Bytes, whole int64) { b[k] = whole } }
	add("SYN", true, flagSYN, nil, is(Handshake))
	add("SYN and ACK", false, flagSYN|0x10, nil, is(Handshake))
	add("ACK of the handshake", true, 0x10, nil, is(Handshake))
	add("ClientHello", true, 0x10, hello(1500), is(Handshake))
	add("ServerHello and what it seals", false, 0x10, append(hello(1200), sealed(800)...), is(Handshake))
	add("Finished", true, 0x10, sealed(36), is(Handshake))
	add("CONNECT", true, 0x10, sealed(90), is(SignIn))
	add("CONNACK", false, 0x10, sealed(4), is(SignIn))
	add("presence", true, 0x10, sealed(60), is(SignIn))
	add("SUBSCRIBE", true, 0x10, sealed(40), is(SignIn))
	add("PUBACK and SUBACK", false, 0x10, append(sealed(4), sealed(5)...), is(SignIn))
	add("a batch", true, 0x10, sealed(150), is(Data))
	add("bare ACK", false, 0x10, nil, is(TCP))
	add("acknowledgement of the collector", false, 0x10, sealed(70), is(Ack))
	add("PUBACK and a ping in one segment", true, 0x10, append(sealed(4), sealed(2)...), func(b *Bytes, whole int64) {
		b[Keepalive] = 5 + 17 + 2
		b[PubAck] = whole - b[Keepalive]
	})
	add("ping's answer", false, 0x10, sealed(2), is(Keepalive))
	long := sealed(2000)
	add("first half of a long batch", true, 0x10, long[:1000], is(Data))
	add("second half", true, 0x10, long[1000:], is(Data))
	again := tcp(true, seq[true]-100, 0x10, make([]byte, 100))
	var b Bytes
	b[TCP] = int64(len(again))
	all = append(all, step{"sent again", again, true, b})
	alive := tcp(true, seq[true]-1, 0x10, nil)
	b = Bytes{}
	b[TCPAlive] = int64(len(alive))
	all = append(all, step{"keepalive of TCP", alive, true, b})
	add("its answer", false, 0x10, nil, is(TCPAlive))
	add("FIN", true, flagFIN|0x10, nil, is(Handshake))
	return all
}

func TestEachPacketIsToldByLengthsDirectionAndOrderAlone(t *testing.T) {
	s := NewSorter(port)
	for _, row := range steps() {
		var got Bytes
		for _, p := range s.Sort(row.frame, len(row.frame), row.outgoing) {
			got[p.Kind] += int64(p.Bytes)
		}
		if got != row.want {
			t.Errorf("%s: got %v, want %v", row.name, got, row.want)
		}
	}
	arp := make([]byte, 42)
	binary.BigEndian.PutUint16(arp[12:], etherARP)
	for _, row := range []struct {
		name  string
		frame []byte
		want  Kind
	}{
		{"echo request", frame(protoICMP, []byte{8, 0, 0, 0, 0, 0, 0, 0}), Probe},
		{"unreachable", frame(protoICMP, []byte{3, 0, 0, 0, 0, 0, 0, 0}), Other},
		{"a question for a name", frame(protoUDP, []byte{0x99, 0x99, 0, 53, 0, 8, 0, 0}), DNS},
		{"another connection", frame(protoTCP, append([]byte{0x99, 0x99, 0, 53}, make([]byte, 16)...)), Probe},
		{"neighbours", arp, ARP},
		{"something short", arp[:5], Other},
	} {
		got := s.Sort(row.frame, len(row.frame), true)
		if len(got) != 1 || got[0] != (Part{row.want, len(row.frame)}) {
			t.Errorf("%s: got %v, want all of it as %v", row.name, got, row.want)
		}
	}
}

func FuzzSort(f *testing.F) {
	for _, s := range steps() {
		f.Add(s.frame, s.outgoing)
	}
	f.Fuzz(func(t *testing.T, frame []byte, outgoing bool) {
		s := NewSorter(port)
		for range 2 {
			n := 0
			for _, p := range s.Sort(frame, len(frame), outgoing) {
				n += p.Bytes
			}
			if n != len(frame) {
				t.Fatalf("the parts add up to %d B of %d", n, len(frame))
			}
		}
	})
}

// every is one packet of a kind again and again, from begin on.
func every(k Kind, begin time.Time, gap time.Duration, bytes int, until time.Time) (out []event) {
	for at := begin; at.Before(until); at = at.Add(gap) {
		out = append(out, event{at, []Part{{k, bytes}}})
	}
	return out
}

func TestAMonthIsMadeOfWholeCycles(t *testing.T) {
	start := time.Date(2026, 1, 1, 10, 5, 0, 0, time.UTC)
	minutes := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
	for _, row := range []struct {
		name     string
		from, to time.Time
		gap      time.Duration
		want     int64 // exchanges a month
	}{
		{"each minute, in a window of no whole number of them", minutes(1), minutes(11).Add(30 * time.Second), time.Minute, 43200},
		{"each 5 minutes", minutes(1), minutes(12), 5 * time.Minute, 8640},
		{"each 15 minutes, once in the window", minutes(1), minutes(29), 15 * time.Minute, 2880},
		{"each 15 minutes, none in the window: as often as the window allows", minutes(1), minutes(12), 15 * time.Minute, 3600},
		{"once only, at the start", minutes(1), minutes(30), time.Hour, 1440},
		{"a whole hour is a plain sum", minutes(1), minutes(61), 20 * time.Minute, 2160},
	} {
		t.Run(row.name, func(t *testing.T) {
			e := estimate(every(Data, start, row.gap, 100, row.to), row.from, row.to, 0)
			if got := e.Month[Data]; got < row.want*100*999/1000 || got > row.want*100*1001/1000 {
				t.Errorf("a month has %d B, want %d", got, row.want*100)
			}
			if e.Hours != 0 {
				t.Errorf("%v B for closings of the hour, want none", e.Hours)
			}
		})
	}
}

func TestTheClosingOfTheHourIsCountedApart(t *testing.T) {
	turn := time.Date(2026, 1, 1, 11, 0, 0, 0, time.UTC)
	from, to := turn.Add(-10*time.Minute), turn.Add(10*time.Minute)
	all := every(Data, from.Add(30*time.Second), time.Minute, 100, to)
	closing := event{turn.Add(time.Second), []Part{{Data, 500}}}
	for i, e := range all {
		if e.at.After(turn) {
			all = append(all[:i:i], append([]event{closing}, all[i:]...)...)
			break
		}
	}
	e := estimate(all, from, to, 12345)
	if e.Hours != 500*720 {
		t.Errorf("closings are %v B a month, want %d", e.Hours, 500*720)
	}
	if want := int64(43200 * 100); e.Month[Data] < want*99/100 || e.Month[Data] > want*101/100 {
		t.Errorf("data is %d B a month, want %d", e.Month[Data], want)
	}
	from, to = from.Add(20*time.Minute), to.Add(20*time.Minute)
	if e := estimate(every(Data, from, time.Minute, 100, to), from, to, 600); e.Hours != 600*720 {
		t.Errorf("without a turn in the window closings are %v B a month, want the last words, %d", e.Hours, 600*720)
	}
}
