package collector

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestStrangersCannotUseUpAllConnections(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "a test")
		conn.Close()
	}))
	bound := atMost(2)
	former := s.Config.ConnState
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		bound(c, state)
		if former != nil {
			former(c, state)
		}
	}
	s.Start()
	defer s.Close()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	ask := func(c net.Conn) string {
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: noc\r\n\r\n") // a connection that was closed says so below
		b, _ := io.ReadAll(c)
		return string(b)
	}
	first := dial()
	second := dial()
	if got := ask(dial()); got != "" {
		t.Errorf("the third of two is answered %q", got)
	}
	for _, open := range []func() net.Conn{func() net.Conn { return first }, func() net.Conn { return second }, dial} { // each becomes a test, and counts no longer
		if got := ask(open()); got != "a test" {
			t.Errorf("got %q", got)
		}
	}
}
