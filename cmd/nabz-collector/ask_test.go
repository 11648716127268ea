package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/internal/testca"
)

// TestAskTrustsTheVeryCertificateThatTheBoardHas and no other of the same authority: the password goes to nobody else on this machine.
func TestAskTrustsTheVeryCertificateThatTheBoardHas(t *testing.T) {
	ca := testca.New(t)
	cert, key := ca.Files(net.IPv4(127, 0, 0, 1), 24*time.Hour)
	other, otherKey := ca.Files(net.IPv4(127, 0, 0, 1), 24*time.Hour)
	for name, tt := range map[string]struct{ cert, key, want string }{
		"the board":     {cert, key, ""},
		"somebody else": {other, otherKey, "certificate signed by unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			pair, err := tls.LoadX509KeyPair(tt.cert, tt.key)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				user, password, _ := r.BasicAuth()
				got = user + " " + password
				fmt.Fprint(w, `{"id":"9f3a11c24f2a9c1b","state":"done","ended":true}`)
			}))
			s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
			s.StartTLS()
			defer s.Close()
			var c collector.Config
			c.Web.Listen, c.Web.TLSCert = s.Listener.Addr().String(), cert
			b, err := new(agentAsk).reach(c)
			if err != nil {
				t.Fatal(err)
			}
			defer b.http.CloseIdleConnections()
			b.user, b.password = "aisha", "secret"
			var one asked
			err = b.ask(t.Context(), http.MethodPost, nil, &one)
			if tt.want == "" && (err != nil || one.State != "done" || got != "aisha secret") {
				t.Errorf("got %+v (%v), heard %q", one, err, got)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || got != "") {
				t.Errorf("got %v, want %q; heard %q", err, tt.want, got)
			}
		})
	}
}

func TestAskSaysThatACommandGoesOnThoughTheBoardDoesNotAnswer(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	b := &board{http: s.Client(), url: s.URL}
	defer b.http.CloseIdleConnections()
	err := b.follow(t.Context(), asked{ID: "9f3a11c24f2a9c1b", State: "sent"}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "404") || !strings.HasSuffix(err.Error(), "; the command goes on, and the site's page shows its end") {
		t.Errorf("got %v", err)
	}
}
