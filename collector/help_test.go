package collector

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/internal/conf"
)

// TestAVillageReadsHelpWhereItEnrols starts the listener as init sets it up, and asks it as a phone that knows the authority.
func TestAVillageReadsHelpWhereItEnrols(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "collector.toml")
	var said strings.Builder
	if err := SetUp(t.Context(), Setup{File: file, Hosts: []string{"noc.gokina.example"}, DataDir: dir, Now: time.Now, Out: &said}); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	c := Defaults()
	if _, err := conf.Load(file, &c); err != nil {
		t.Fatal(err)
	}
	c.MQTT.Listen, c.Web.Listen, c.Agents.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	if err := os.Mkdir(Packages(c), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(Packages(c), "nabz-agent_0.7.0_mips.ipk"), []byte("package"), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := build(c, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.serveAgents(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	ca, err := os.ReadFile(c.Agents.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	address := p.agents.Addr().String()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	defer transport.CloseIdleConnections()
	phone := &http.Client{Transport: transport}
	for path, want := range map[string]string{
		"/help":                               "the ten minutes in the village",
		"/help/field-engineer":                "N=https://noc.gokina.example:8443/packages",
		"/help/troubleshooting":               "nabz-agent check",
		"/packages":                           "nabz-agent_0.7.0_mips.ipk",
		"/packages/SHA256SUMS":                "  nabz-agent_0.7.0_mips.ipk",
		"/packages/nabz-agent_0.7.0_mips.ipk": "package",
	} {
		res, err := phone.Get("https://noc.gokina.example" + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s answers %d (%v), and lacks %q:\n%.300s", path, res.StatusCode, err, want, body)
		}
	}
	// The board is elsewhere, and none of it is here.
	for _, path := range []string{"/", "/sign-in", "/api/v1/sites", "/metrics", "/readyz", "/static/", "/packages/../agents.toml"} {
		res, err := phone.Get("https://noc.gokina.example" + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("%s answers %d where agents enrol", path, res.StatusCode)
		}
	}
}

func TestHelpHasAnAddressOnlyWhereItIsServed(t *testing.T) {
	c := Defaults()
	if HelpURL(c) != "" || PackagesURL(c) != "" {
		t.Errorf("nothing is served, and the addresses are %q and %q", HelpURL(c), PackagesURL(c))
	}
	c.Agents.Listen, c.Agents.URL = ":8443", "https://noc.gokina.example:8443"
	if got, want := HelpURL(c), "https://noc.gokina.example:8443/help/field-engineer"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := PackagesURL(c), "https://noc.gokina.example:8443/packages/"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if c.Role = roleIntake; HelpURL(c) != "" {
		t.Error("an intake tells of pages that it does not serve")
	}
}
