//go:build unix

package influxd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/internal/testneed"
)

// ForTest gives a test a real InfluxDB: the one named by INFLUX_URL, INFLUX_TOKEN and INFLUX_ORG, else a child
// of its own, stopped at the end of the test. Where there is none to be had, the test is skipped, or fails with
// CI=true. A start takes two seconds, so ask once in a test with subtests. Use Database for names, since a server that is not ours may hold data of others.
func ForTest(t testing.TB) *Server {
	t.Helper()
	if u := os.Getenv("INFLUX_URL"); u != "" {
		return &Server{URL: strings.TrimSuffix(u, "/"), Token: os.Getenv("INFLUX_TOKEN"), Org: os.Getenv("INFLUX_ORG")}
	}
	return ChildForTest(t)
}

// ChildForTest is ForTest for a test that kills the server: it is always a child.
func ChildForTest(t testing.TB) *Server {
	t.Helper()
	path, err := Find(t.Context(), os.Stderr)
	if err != nil {
		testneed.Missing(t, "InfluxDB", err.Error())
	}
	s, err := Start(t.Context(), Options{Path: path, Dir: t.TempDir(), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stop influxd: %v", err)
		}
	})
	return s
}

// Restart starts a child that was killed or stopped, on the same folder and address, until the end of the test.
func (s *Server) Restart(t testing.TB) *Server {
	t.Helper()
	next, err := Start(t.Context(), Options{Path: s.Path, Dir: s.Dir, HTTPAddr: s.Addr, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = next.Kill() })
	return next
}

// Database returns a name that nobody else uses, base and eight hex digits. It is for the test to create it; on
// a server that is not ours it is dropped at the end of the test.
func (s *Server) Database(t testing.TB, base string) string {
	t.Helper()
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails, by its documentation
	name := base + "_" + hex.EncodeToString(b[:])
	if s.process == nil {
		t.Cleanup(func() {
			if body, err := s.drop(name); err != nil || strings.Contains(body, `"error"`) {
				t.Logf("database %s is left on %s; drop it by hand (%v %s)", name, s.URL, err, body)
			}
		})
	}
	return name
}

func (s *Server) drop(database string) (string, error) {
	form := url.Values{"q": {`DROP DATABASE "` + database + `"`}}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.URL+"/query", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if s.Token != "" {
		req.Header.Set("Authorization", "Token "+s.Token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	return string(body), err
}
