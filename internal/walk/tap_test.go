package walk

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/smartvillage/nabz/collector/authority"
	"github.com/smartvillage/nabz/telemetry"
)

// tap stands between an agent and its collector, with the collector's own certificate, and notes what either says.
type tap struct {
	t    *testing.T
	mu   sync.Mutex
	said []message
	open map[io.Closer]bool // listeners and connections
	work sync.WaitGroup
}

// message is one thing that was said: of MQTT, or of enrolment.
type message struct {
	kind    string // data, ack, presence, will, command, result; enrol-request, enrol-answer
	payload []byte
}

func newTap(t *testing.T) *tap {
	p := &tap{t: t, open: map[io.Closer]bool{}}
	t.Cleanup(func() {
		p.mu.Lock()
		for c := range p.open {
			c.Close()
		}
		p.open = nil
		p.mu.Unlock()
		p.work.Wait()
	})
	return p
}

// hold keeps what is closed at the end of the test; after that it is closed at once.
func (p *tap) hold(c io.Closer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		c.Close()
		return
	}
	p.open[c] = true
}

func (p *tap) note(kind string, payload []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = append(p.said, message{kind, bytes.Clone(payload)})
}

// heard is what was said of a kind, in order.
func (p *tap) heard(kind string) (all [][]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.said {
		if m.kind == kind {
			all = append(all, m.payload)
		}
	}
	return all
}

// before listens in front of an address of the collector's, until the end of the test, and gives its own port. Follow notes what goes one way.
func (p *tap) before(c *centre, to string, follow func(r io.Reader, fromAgent bool)) int {
	p.t.Helper()
	files := authority.In(filepath.Join(c.dir, "tls"))
	text := map[string][]byte{}
	for _, file := range []string{files.Cert, files.CA, files.Key} {
		var err error
		if text[file], err = os.ReadFile(file); err != nil {
			p.t.Fatal(err)
		}
	}
	pair, err := tls.X509KeyPair(append(text[files.Cert], text[files.CA]...), text[files.Key]) // who enrols looks for the authority in the chain
	if err != nil {
		p.t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		p.t.Fatal(err)
	}
	p.hold(l)
	p.work.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := tls.Dial("tcp", to, &tls.Config{InsecureSkipVerify: true}) // it is not the test of the certificate
			if err != nil {
				near.Close()
				continue
			}
			p.pass(near, far, true, follow)
			p.pass(far, near, false, follow)
		}
	})
	return l.Addr().(*net.TCPAddr).Port
}

// pass carries bytes one way, and shows them to follow.
func (p *tap) pass(from, to net.Conn, fromAgent bool, follow func(io.Reader, bool)) {
	p.hold(from)
	seen, show := io.Pipe()
	p.work.Go(func() {
		follow(seen, fromAgent)
		_, _ = io.Copy(io.Discard, seen) // what it does not care for
	})
	p.work.Go(func() {
		_, _ = io.Copy(io.MultiWriter(to, show), from)
		show.Close()
		from.Close()
		to.Close()
		p.mu.Lock()
		delete(p.open, from)
		p.mu.Unlock()
	})
}

// mqtt notes what is published on an agent's topics, and wills.
func (p *tap) mqtt(r io.Reader, _ bool) {
	in := bufio.NewReader(r)
	for {
		packet, err := packets.ReadPacket(in)
		if err != nil {
			return
		}
		switch m := packet.(type) {
		case *packets.ConnectPacket:
			if m.WillFlag {
				p.note("will", m.WillMessage)
			}
		case *packets.PublishPacket:
			if _, kind, err := telemetry.ParseTopic(m.TopicName); err == nil {
				p.note(string(kind), m.Payload)
			}
		}
	}
}

// enrolment notes a request to enrol and its answer; a speed test on the same port is none of its business.
func (p *tap) enrolment(r io.Reader, fromAgent bool) {
	in := bufio.NewReader(r)
	if fromAgent {
		q, err := http.ReadRequest(in)
		if err != nil || q.URL.Path != telemetry.EnrolPath {
			return
		}
		if body, err := io.ReadAll(q.Body); err == nil {
			p.note("enrol-request", body)
		}
		return
	}
	a, err := http.ReadResponse(in, nil)
	if err != nil || a.Header.Get("Content-Type") != "application/json" || a.StatusCode != http.StatusOK {
		return
	}
	if body, err := io.ReadAll(a.Body); err == nil && bytes.Contains(body, []byte(`"config":`)) { // not a token of a speed test
		p.note("enrol-answer", body)
	}
}
