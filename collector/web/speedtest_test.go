package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/ndt7"
	"github.com/smartvillage/nabz/telemetry"
)

// TestSpeedTestsRunBesideThePages asks as a browser does, which takes gzip: what packs pages must leave a WebSocket alone.
func TestSpeedTestsRunBesideThePages(t *testing.T) {
	dir := t.TempDir()
	reg, err := fleet.OpenRegistry(filepath.Join(dir, "sites.toml"), filepath.Join(dir, "agents.toml"))
	if err != nil {
		t.Fatal(err)
	}
	a := telemetry.Address{Site: "chitral", Agent: "router"}
	if err := reg.AddSite(fleet.Site{ID: a.Site}); err != nil {
		t.Fatal(err)
	}
	secret, err := reg.AddAgent(a)
	if err != nil {
		t.Fatal(err)
	}
	tests, err := ndt7.New(ndt7.Config{Time: 100 * time.Millisecond}, ndt7.Parts{Auth: reg})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := New(Config{Registry: reg, Live: fleet.NewLive(reg, fleet.LiveOptions{Now: time.Now}), Store: nothing{}, Now: time.Now, Speedtest: tests, SpeedtestPaths: ndt7.Paths()})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(pages)
	t.Cleanup(func() { _ = tests.Close(); s.Close() })

	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/v1/speedtest/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(a.String(), secret)
	res, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	_, token, ok := strings.Cut(string(body), `"access_token":"`)
	if res.StatusCode != 200 || !ok {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	token, _, _ = strings.Cut(token, `"`)
	d := websocket.Dialer{Subprotocols: []string{ndt7.Protocol}}
	ws, _, err := d.DialContext(t.Context(), "ws"+strings.TrimPrefix(s.URL, "http")+"/ndt/v7/download?access_token="+token, http.Header{"Accept-Encoding": {"gzip"}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	for err == nil {
		var r io.Reader
		if _, r, err = ws.NextReader(); err == nil {
			_, err = io.Copy(io.Discard, r)
		}
	}
	if !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Errorf("the test ended by %v", err)
	}
	for path, status := range map[string]int{"/": 200, "/healthz": 200, "/api/v1/nothing": 404, "/ndt/v7/nothing": 404} {
		res, err := s.Client().Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != status {
			t.Errorf("%s answers %d, want %d", path, res.StatusCode, status)
		}
	}
}
