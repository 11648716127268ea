package ndt7

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// What ends a test.
const (
	endTime   = "time"   // it had the time of a test
	endBytes  = "bytes"  // it reached Config.Bytes
	endClient = "client" // the agent closed: it knew enough, or its own budget was near
	endStop   = "stop"   // the collector ends
	endFault  = "fault"  // the connection broke, or the agent did what the protocol forbids
)

// What an agent does that the protocol does not have.
var (
	errStrange   = errors.New("a binary message came in the direction in which none may")
	errTalkative = errors.New("measurements came that are larger than any need be")
)

// test is one test in one direction, from the request to the end.
func (s *Server) test(w http.ResponseWriter, r *http.Request, d direction) {
	if fault := badRequest(r); fault != "" {
		s.m.refused.WithLabelValues("request").Inc()
		say(w, http.StatusBadRequest, fault)
		return
	}
	a, nonce, expiry, outcome := s.tokens.look(r.URL.Query().Get("access_token"), s.p.Now())
	if outcome != tokenGood {
		s.m.refused.WithLabelValues(outcome).Inc()
		say(w, http.StatusUnauthorized, "access_token is "+outcome+"; get a new one by POST /api/v1/speedtest/token")
		return
	}
	if why := s.enter(r.Context(), a); why != "" {
		s.m.refused.WithLabelValues(why).Inc()
		refuse(w, why, s.c.AtOnce)
		return
	}
	defer s.leave(a)
	if !s.tokens.spend(nonce, expiry, d, s.p.Now()) {
		s.m.refused.WithLabelValues(tokenUsed).Inc()
		say(w, http.StatusUnauthorized, "access_token has been used for "+d.String()+"; get a new one by POST /api/v1/speedtest/token")
		return
	}
	ws, err := s.upgrade.Upgrade(w, r, nil)
	if err != nil { // and has been told
		s.m.refused.WithLabelValues("request").Inc()
		return
	}
	keepFresh(ws.NetConn())
	t := &run{s: s, ws: ws, d: d, start: time.Now()}
	end, err := t.serve(r.Context())
	s.m.tests.WithLabelValues(d.String(), end).Inc()
	s.m.bytes.WithLabelValues(d.String()).Add(float64(t.bytes.Load()))
	s.p.Log.Debug("speed test served", "agent", a.String(), "direction", d.String(), "bytes", t.bytes.Load(), "took", time.Since(t.start), "end", end, "error", err)
}

// badRequest tells what is wrong with a request, as the protocol wants it checked.
func badRequest(r *http.Request) string {
	if len(r.URL.RawQuery) > maxQuery {
		return "the query is longer than 4096 bytes"
	}
	if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
		return "the query cannot be read: " + err.Error()
	}
	if !slices.Contains(websocket.Subprotocols(r), Protocol) {
		return "the WebSocket subprotocol must be " + Protocol
	}
	return ""
}

// run is one test under way.
type run struct {
	s       *Server
	ws      *websocket.Conn
	d       direction
	start   time.Time
	bytes   atomic.Int64  // of binary messages
	stopped atomic.Bool   // by the collector's end
	told    bool          // who both ends are
	done    chan struct{} // the reader has ended
	why     error         // it ended for; after done
}

// serve lets the test run and closes the connection.
func (t *run) serve(ctx context.Context) (end string, err error) {
	defer t.ws.Close()
	t.ws.SetReadLimit(maxMessage)
	last := t.start.Add(t.s.c.Time + graceTime)
	if err := errors.Join(t.ws.SetReadDeadline(last), t.ws.SetWriteDeadline(last)); err != nil { // of each message: the library sets them anew
		return endFault, err
	}
	stop := func() {
		t.stopped.Store(true)
		t.cut()
	}
	defer context.AfterFunc(ctx, stop)()
	defer context.AfterFunc(t.s.ctx, stop)()

	t.done = make(chan struct{})
	go func() { defer close(t.done); t.why = t.read() }()
	if t.d == download {
		sent := make(chan struct{})
		var idle sync.WaitGroup
		idle.Go(func() { t.cutIdle(sent) })
		end, err = t.send()
		close(sent)
		idle.Wait()
	} else {
		end, err = t.watch()
	}
	if err == nil {
		t.sayGoodbye()
	} else {
		_ = t.ws.NetConn().SetReadDeadline(time.Now().Add(time.Second)) // where the client has closed, the reader knows at once
	}
	<-t.done
	switch {
	case t.stopped.Load():
		return endStop, nil
	case err != nil && closed(t.why):
		return endClient, nil
	}
	return end, err
}

// cut ends the connection under whoever reads or writes. A deadline would not: the library sets another with its next message.
func (t *run) cut() {
	conn := t.ws.NetConn()
	if over, ok := conn.(*tls.Conn); ok {
		conn = over.NetConn() // its own Close would wait to say goodbye
	}
	conn.Close()
}

// cutIdle cuts a download off to whose client nothing gets through any more: a write would hang there for as long as TCP tries.
func (t *run) cutIdle(sent <-chan struct{}) {
	tick := time.NewTicker(min(tellEvery, t.s.c.MaxIdle))
	defer tick.Stop()
	last, moved := int64(-1), time.Now()
	for {
		select {
		case <-sent:
			return
		case now := <-tick.C:
			n := t.bytes.Load()
			if info := readTCP(t.ws.NetConn()); info != nil {
				n = info.BytesAcked
			}
			if n != last {
				last, moved = n, now
			} else if now.Sub(moved) >= t.s.c.MaxIdle {
				t.cut()
				return
			}
		}
	}
}

// sayGoodbye closes as the protocol asks: the server's close frame, the client's, and then the server closes TCP first.
func (t *run) sayGoodbye() {
	text := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if t.ws.WriteControl(websocket.CloseMessage, text, time.Now().Add(graceTime)) != nil {
		t.ws.Close()
	}
}

// read takes what the client sends until the connection ends. The error is never nil.
func (t *run) read() error {
	buf := make([]byte, 32<<10)
	told := 0 // bytes of measurements: without a bound they would get round that of a test
	for {
		kind, r, err := t.ws.NextReader()
		if err != nil {
			return err
		}
		if kind == websocket.BinaryMessage && t.d == download {
			t.ws.Close()
			return errStrange
		}
		for err == nil {
			var n int
			n, err = r.Read(buf)
			if kind == websocket.BinaryMessage {
				t.bytes.Add(int64(n))
			} else if told += n; told > maxTold {
				t.ws.Close()
				return errTalkative
			}
		}
		if err != io.EOF {
			return err
		}
	}
}

// send is a download: messages as fast as they go, a measurement between them.
func (t *run) send() (string, error) {
	size, next := firstMessage, time.Now()
	for {
		now := time.Now()
		sent := t.bytes.Load()
		switch {
		case now.Sub(t.start) >= t.s.c.Time:
			return endTime, nil
		case sent >= t.s.c.Bytes:
			return endBytes, nil
		}
		if !now.Before(next) {
			next = now.Add(tellEvery)
			if err := t.tell(); err != nil {
				return endFault, err
			}
		}
		if size < lastMessage && int64(size) < sent/16 {
			size *= 2
		}
		m, err := t.s.prepared(size)
		if err != nil {
			return endFault, err
		}
		if err := t.ws.WritePreparedMessage(m); err != nil {
			return endFault, err
		}
		t.bytes.Add(int64(size))
	}
}

// watch is an upload: the reader counts, and the client is told.
func (t *run) watch() (string, error) {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	last, moved := int64(0), time.Now()
	for {
		select {
		case <-t.done:
			return endFault, t.why
		case now := <-tick.C:
			n := t.bytes.Load()
			if n != last {
				last, moved = n, now
			}
			switch {
			case now.Sub(t.start) >= t.s.c.Time:
				return endTime, t.tell()
			case n >= t.s.c.Bytes:
				return endBytes, t.tell()
			case now.Sub(moved) >= t.s.c.MaxIdle:
				return endFault, errors.New("the client sends nothing")
			}
			if err := t.tell(); err != nil {
				return endFault, err
			}
		}
	}
}

// tell sends a measurement.
func (t *run) tell() error {
	elapsed := time.Since(t.start).Microseconds()
	m := measurement{AppInfo: &appInfo{ElapsedTime: elapsed, NumBytes: t.bytes.Load()}, Origin: "server", Test: t.d.String(), TCPInfo: readTCP(t.ws.NetConn())}
	if m.TCPInfo != nil {
		m.TCPInfo.ElapsedTime = elapsed
	}
	if !t.told {
		t.told = true
		m.ConnectionInfo = &connectionInfo{Client: t.ws.RemoteAddr().String(), Server: t.ws.LocalAddr().String()}
	}
	return t.ws.WriteJSON(m)
}

// closed tells whether the client has closed, in either way: with a close frame, or by ending TCP.
func closed(err error) bool {
	var frame *websocket.CloseError // also made of an end without one
	var broken *net.OpError
	return errors.As(err, &frame) || errors.As(err, &broken) && !broken.Timeout() && !errors.Is(err, net.ErrClosed)
}

// prepared is a message of random bytes, framed once for all tests.
func (s *Server) prepared(size int) (*websocket.PreparedMessage, error) {
	s.load.Lock()
	defer s.load.Unlock()
	if m := s.message[size]; m != nil {
		return m, nil
	}
	b := make([]byte, size)
	_, _ = rand.Read(b) // never fails, by its documentation
	m, err := websocket.NewPreparedMessage(websocket.BinaryMessage, b)
	if err == nil {
		s.message[size] = m
	}
	return m, err
}
