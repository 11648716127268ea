//go:build unix

package influxd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/internal/testneed"
)

// ForTest gives a test a real InfluxDB: the one named by INFLUX_URL, INFLUX_TOKEN and INFLUX_ORG, else a 1.8 as a child
// of its own, stopped at the end of the test. Where there is none to be had, the test is skipped, or fails with
// CI=true. Use Database for names, since a server that is not ours may hold data of others.
func ForTest(t testing.TB) *Server {
	t.Helper()
	if s := named(); s != nil {
		return s
	}
	return ChildForTest(t)
}

// named is the server that the environment names, nil for none.
func named() *Server {
	u := os.Getenv("INFLUX_URL")
	if u == "" {
		return nil
	}
	return &Server{URL: strings.TrimSuffix(u, "/"), Token: os.Getenv("INFLUX_TOKEN"), Org: os.Getenv("INFLUX_ORG")}
}

// ChildForTest is ForTest for a test that kills the server: it is always a child.
func ChildForTest(t testing.TB) *Server {
	t.Helper()
	return child(t, Options{Path: findOne(t)})
}

// SignInForTest is a 1.8 of the test's own that asks for a password. Its token is that of an admin.
func SignInForTest(t testing.TB) *Server {
	t.Helper()
	s := child(t, Options{Path: findOne(t), SignIn: true})
	password := rand.Text()
	if err := s.call(http.MethodPost, "/query", url.Values{"q": {"CREATE USER admin WITH PASSWORD '" + password + "' WITH ALL PRIVILEGES"}}, nil); err != nil {
		t.Fatal(err)
	}
	s.Token = "admin:" + password
	return s
}

// TwoForTest is a 2.7 of the test's own, set up. Where none is built the test is skipped by name, with CI=true too, as a
// build takes many minutes and cannot be had everywhere.
func TwoForTest(t testing.TB) *Server {
	t.Helper()
	path, err := FindTwo(t.Context())
	if err != nil {
		t.Skipf("needs InfluxDB %s, which this machine lacks (%v)", VersionTwo, err)
	}
	return child(t, Options{Path: path, Two: true})
}

// Each runs a test on each InfluxDB there is, as sub-tests: a 1.8 and a 2.7 of their own, or the server alone that the
// environment names.
func Each(t *testing.T, test func(t *testing.T, s *Server)) {
	t.Helper()
	if s := named(); s != nil {
		t.Run("INFLUX_URL", func(t *testing.T) { test(t, s) })
		return
	}
	EachChild(t, test)
}

// EachChild is Each for a test that kills the server: it is always a child.
func EachChild(t *testing.T, test func(t *testing.T, s *Server)) {
	t.Helper()
	t.Run("InfluxDB 1.8", func(t *testing.T) { test(t, ChildForTest(t)) })
	t.Run("InfluxDB 2.7", func(t *testing.T) { test(t, TwoForTest(t)) })
}

func findOne(t testing.TB) string {
	t.Helper()
	path, err := Find(t.Context(), os.Stderr)
	if err != nil {
		testneed.Missing(t, "InfluxDB", err.Error())
	}
	return path
}

// child runs a server in a folder of its own until the end of the test.
func child(t testing.TB, o Options) *Server {
	t.Helper()
	o.Dir, o.Log, o.NoFlux = t.TempDir(), t.Output(), true // nothing of ours asks in Flux
	s, err := Start(t.Context(), o)
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
	o := s.options
	o.HTTPAddr, o.Log = s.Addr, t.Output()
	next, err := Start(t.Context(), o)
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
			if err := s.drop(name); err != nil {
				t.Logf("database %s is left on %s; drop it by hand (%v)", name, s.URL, err)
			}
		})
	}
	return name
}

// drop removes a database of 1.x, or a bucket of 2.x, which InfluxQL cannot drop.
func (s *Server) drop(name string) error {
	var answer struct{ Results []struct{ Error string } }
	err := s.call(http.MethodPost, "/query", url.Values{"q": {`DROP DATABASE "` + name + `"`}}, &answer)
	if err != nil || len(answer.Results) == 0 || answer.Results[0].Error == "" {
		return err
	}
	if fault := answer.Results[0].Error; !strings.HasPrefix(fault, "not implemented") {
		return errors.New(fault)
	}
	var found struct{ Buckets []struct{ ID string } }
	if err := s.call(http.MethodGet, "/api/v2/buckets", url.Values{"org": {s.Org}, "name": {name}}, &found); err != nil {
		return err
	}
	for _, b := range found.Buckets {
		if err := s.call(http.MethodDelete, "/api/v2/buckets/"+b.ID, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// call sends one request and keeps no connection.
func (s *Server) call(method, path string, query url.Values, answer any) error {
	req, err := http.NewRequestWithContext(context.Background(), method, s.URL+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	req.Close = true
	if s.Token != "" {
		req.Header.Set("Authorization", "Token "+s.Token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	switch {
	case err != nil:
		return err
	case res.StatusCode == http.StatusNotFound: // the test has not come to create it
		return nil
	case res.StatusCode/100 != 2:
		return fmt.Errorf("%s %s: %s %s", method, path, res.Status, body)
	case answer == nil:
		return nil
	}
	return json.Unmarshal(body, answer)
}
