package collector

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/people"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/testca"
)

func TestTheBoardOverTLSAsksWhoComes(t *testing.T) {
	ca := testca.New(t)
	dir := t.TempDir()
	users := filepath.Join(dir, "users.toml")
	db := influxd.ForTest(t)
	s := startWith(t, 0, func(c *Config) {
		c.Influx.URL, c.Influx.Token, c.Influx.Org = db.URL, db.Token, db.Org
		c.Influx.DetailBucket, c.Influx.LedgerBucket = db.Database(t, "nabz"), db.Database(t, "ledger")
		c.Web.Open, c.UsersFile = false, users
		c.Web.TLSCert, c.Web.TLSKey = ca.Files(net.ParseIP("127.0.0.1"), time.Hour)
	})
	if !strings.HasPrefix(s.webURL(), "https://127.0.0.1:") {
		t.Fatalf("the board is at %s", s.webURL())
	}
	command, err := people.Open(users) // nabz-collector user add, while the collector runs
	if err != nil {
		t.Fatal(err)
	}
	const secret = "umbrella glacier ladder apricot"
	if err := command.Add("aisha", people.Operator, secret); err != nil {
		t.Fatal(err)
	}
	jar, _ := cookiejar.New(nil)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, Jar: jar}
	page := func(res *http.Response, err error) (*http.Response, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(body)
	}
	res, body := page(client.Get(s.webURL() + "/"))
	if res.Request.URL.Path != "/sign-in" || res.ProtoMajor != 2 || res.Header.Get("Strict-Transport-Security") == "" || strings.Contains(body, "Gokina") {
		t.Errorf("a stranger is at %s by %s and sees %.300s", res.Request.URL, res.Proto, body)
	}
	waitFor(t, "the new user is known", func() bool {
		res, _ := page(client.PostForm(s.webURL()+"/sign-in", url.Values{"name": {"aisha"}, "password": {secret}}))
		return res.StatusCode == 200 && res.Request.URL.Path == "/"
	})
	if _, body := page(client.Get(s.webURL() + "/")); !strings.Contains(body, "Gokina") || !strings.Contains(body, ">aisha<") {
		t.Errorf("signed in, she sees %.300s", body)
	}
	if res, _ := page(client.Get(s.webURL() + "/metrics")); res.StatusCode != 200 {
		t.Errorf("/metrics answers %d", res.StatusCode)
	}
	events, err := client.Get(s.webURL() + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	if b := make([]byte, 6); events.StatusCode != 200 || events.ProtoMajor != 2 {
		t.Errorf("events answer %d by %s", events.StatusCode, events.Proto)
	} else if _, err := io.ReadFull(events.Body, b); err != nil || string(b) != "retry:" { // at once, so that a browser knows that it is heard
		t.Errorf("events begin with %q, %v", b, err)
	}
	if err := command.Remove("aisha"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, events.Body); err != nil {
		t.Errorf("the stream of a user who is gone ends with %v", err)
	}
	if res, _ := page(client.Get(s.webURL() + "/")); res.Request.URL.Path != "/sign-in" {
		t.Errorf("a user who is gone is at %s", res.Request.URL)
	}
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if res, body := page(plain.Get("http" + strings.TrimPrefix(s.webURL(), "https") + "/")); res.StatusCode != 400 {
		t.Errorf("without TLS it answers %d %s", res.StatusCode, body)
	}
}

func TestACertificateThatIsNoneIsSaid(t *testing.T) {
	c := Defaults()
	dir := t.TempDir()
	c.SitesFile, c.AgentsFile, c.DataDir = filepath.Join(dir, "sites.toml"), filepath.Join(dir, "agents.toml"), dir
	c.MQTT.Listen, c.Web.Listen = "127.0.0.1:0", "127.0.0.1:0"
	c.Web.TLSCert, c.Web.TLSKey = filepath.Join(dir, "none.pem"), filepath.Join(dir, "none.key")
	err := Run(t.Context(), c, slog.New(slog.DiscardHandler))
	if err == nil || !strings.HasPrefix(err.Error(), "web.tls_cert and web.tls_key: ") {
		t.Errorf("got %v", err)
	}
}
