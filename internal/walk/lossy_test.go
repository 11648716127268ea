package walk

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// lossy stands between agents and broker and behaves as a broker that keeps its promises badly: of the messages that
// cross it, either way, it takes some and loses them although it says that it has them, and brings some twice.
type lossy struct {
	listener net.Listener
	target   string
	loss     float64 // share of messages lost
	twice    float64 // share of messages brought twice

	mu  sync.Mutex
	rng *rand.Rand

	lost, doubled, passed atomic.Int64
}

// newLossy listens on loopback until the test ends.
func newLossy(t *testing.T, target string, loss, twice float64) *lossy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &lossy{listener: l, target: target, loss: loss, twice: twice, rng: rand.New(rand.NewPCG(10, 10))}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.serve(ctx, c) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		wg.Wait()
	})
	return p
}

func (p *lossy) url() string { return "tcp://" + p.listener.Addr().String() }

func (p *lossy) serve(ctx context.Context, agent net.Conn) {
	defer agent.Close()
	broker, err := new(net.Dialer).DialContext(ctx, "tcp", p.target)
	if err != nil {
		return
	}
	defer broker.Close()
	stop := context.AfterFunc(ctx, func() { agent.Close(); broker.Close() })
	defer stop()
	var wg sync.WaitGroup
	var toAgent, toBroker sync.Mutex
	one := func(from, to net.Conn, there, back *sync.Mutex) {
		defer agent.Close() // either end gone: both gone
		defer broker.Close()
		r := bufio.NewReader(from)
		for {
			packet, err := readPacket(r)
			if err != nil {
				return
			}
			if err := p.pass(packet, from, to, there, back); err != nil {
				return
			}
		}
	}
	wg.Go(func() { one(agent, broker, &toBroker, &toAgent) })
	wg.Go(func() { one(broker, agent, &toAgent, &toBroker) })
	wg.Wait()
}

const (
	publish = 3
	puback  = 4
)

// pass decides what becomes of one packet.
func (p *lossy) pass(packet []byte, from, to net.Conn, there, back *sync.Mutex) error {
	send := func(b []byte, c net.Conn, mu *sync.Mutex) error {
		mu.Lock()
		defer mu.Unlock()
		_, err := c.Write(b)
		return err
	}
	if packet[0]>>4 != publish {
		return send(packet, to, there)
	}
	p.mu.Lock()
	dice := p.rng.Float64()
	p.mu.Unlock()
	switch {
	case dice < p.loss:
		p.lost.Add(1)
		if id := packetID(packet); id != nil { // "I have it", says the broker, and has not
			return send(append([]byte{puback << 4, 2}, id...), from, back)
		}
		return nil
	case dice < p.loss+p.twice:
		p.doubled.Add(1)
		return send(append(append([]byte{}, packet...), packet...), to, there)
	}
	p.passed.Add(1)
	return send(packet, to, there)
}

// readPacket reads one MQTT packet whole: MQTT 3.1.1, section 2.2.
func readPacket(r *bufio.Reader) ([]byte, error) {
	first, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	if n > 2<<20 {
		return nil, fmt.Errorf("packet of %d bytes", n)
	}
	packet := binary.AppendUvarint([]byte{first}, n)
	head := len(packet)
	packet = append(packet, make([]byte, n)...)
	if _, err := io.ReadFull(r, packet[head:]); err != nil {
		return nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	return packet, nil
}

// packetID returns the two bytes that an acknowledgement has to repeat, nil for QoS 0.
func packetID(packet []byte) []byte {
	if packet[0]>>1&3 == 0 {
		return nil
	}
	_, n := binary.Uvarint(packet[1:])
	body := packet[1+n:]
	topic := int(binary.BigEndian.Uint16(body))
	return body[2+topic : 4+topic]
}
