package ndt7

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestTestsAtOnceAreBounded(t *testing.T) {
	w := open(t, Config{AtOnce: 2, Time: 13 * time.Second})
	first, second, third := w.token("router", "one"), w.token("kiosk", "two"), w.token("third", "three")
	a, b := w.begin(up, first), w.begin(up, second)
	w.refused(up, third, 503, "all 2 places")
	status, body, head := w.ask("chitral/third", "three")
	if status != 503 || head.Get("Retry-After") == "" || !strings.Contains(body, "places for speed tests are taken") {
		t.Errorf("a token beyond the places: %d %q", status, body)
	}
	if n := w.atWork(); n != 2 {
		t.Errorf("%d tests under way, want 2", n)
	}
	b.Close()
	w.count("tests_total", 1, "upload", endClient)
	w.places(1)                // a test is counted before it gives its place back
	w.begin(up, third).Close() // refused for want of a place, it was not used up
	a.Close()
	w.count("tests_total", 3, "upload", endClient)
	w.count("refused_total", 1, whyFull)
}

func TestAnAgentHasOneTestAtATime(t *testing.T) {
	w := open(t, Config{Time: 13 * time.Second})
	token := w.token("router", "one")
	ws := w.begin(up, token)
	w.refused(down, token, 503, "of this agent is under way")
	w.count("refused_total", 1, whyTwice)
	done := make(chan struct{})
	go func() { // one that comes while the other ends gets its turn
		defer close(done)
		d := websocket.Dialer{Subprotocols: []string{Protocol}}
		again, _, err := d.DialContext(t.Context(), "ws"+strings.TrimPrefix(w.http.URL, "http")+down+"?access_token="+token, nil)
		if err != nil {
			t.Error(err)
			return
		}
		again.Close()
	}()
	ws.Close()
	<-done
}

func TestATestEndsAtItsBytes(t *testing.T) {
	w := open(t, Config{Bytes: 1 << 20})
	token := w.token("router", "one")
	if err := drain(w.begin(down, token)); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Errorf("download: %v", err)
	}
	w.count("tests_total", 1, "download", endBytes)
	ws := w.begin(up, token)
	heard := make(chan error, 1)
	go func() { heard <- drain(ws) }()
	b := make([]byte, 1<<16)
	for ws.WriteMessage(websocket.BinaryMessage, b) == nil {
	}
	if err := <-heard; !closed(err) {
		t.Errorf("upload: %v", err)
	}
	w.count("tests_total", 1, "upload", endBytes)
	if n := w.metric("bytes_total", "download"); n < 1<<20 || n > 1<<21 {
		t.Errorf("%v bytes went down, the limit is %d", n, 1<<20)
	}
}

func TestAnUploadEndsAtItsTime(t *testing.T) {
	w := open(t, Config{Time: 300 * time.Millisecond, Bytes: 1 << 40})
	ws := w.begin(up, w.token("router", "one"))
	heard := make(chan error, 1)
	go func() { heard <- drain(ws) }()
	b := make([]byte, 1<<16)
	for ws.WriteMessage(websocket.BinaryMessage, b) == nil {
	}
	<-heard
	w.count("tests_total", 1, "upload", endTime)
}

func TestMeasurementsAreNoWayRoundTheBytesOfATest(t *testing.T) {
	w := open(t, Config{Bytes: 1 << 20, Time: 13 * time.Second})
	for i, path := range []string{down, up} {
		ws := w.begin(path, w.token([]string{"router", "kiosk"}[i], []string{"one", "two"}[i]))
		heard := make(chan error, 1)
		go func() { heard <- drain(ws) }()
		b := make([]byte, 1<<16)
		sent := 0
		for ws.WriteMessage(websocket.TextMessage, b) == nil && sent < 64<<20 {
			sent += len(b)
		}
		if sent == 64<<20 {
			t.Errorf("%s: %d bytes of text were taken", path, sent)
		}
		<-heard
	}
}

func TestAClientThatSendsNothingIsCutOff(t *testing.T) {
	w := open(t, Config{MaxIdle: 50 * time.Millisecond})
	if err := drain(w.begin(up, w.token("router", "one"))); !closed(err) {
		t.Error(err)
	}
	w.count("tests_total", 1, "upload", endFault)
}

// A link that breaks in a download leaves a client that reads nothing: it must not hold its place until TCP gives up.
func TestAClientThatReadsNothingIsCutOff(t *testing.T) {
	w := open(t, Config{MaxIdle: 50 * time.Millisecond, Time: 13 * time.Second})
	w.begin(down, w.token("router", "one"))
	w.count("tests_total", 1, "download", endFault)
	w.places(0)
}

func TestTheEndOfTheCollectorEndsADownloadThatNobodyReads(t *testing.T) {
	w := open(t, Config{MaxIdle: time.Hour, Time: 13 * time.Second})
	w.begin(down, w.token("router", "one"))
	w.places(1)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.count("tests_total", 1, "download", endStop)
}

func TestTheEndOfTheCollectorEndsTests(t *testing.T) {
	w := open(t, Config{Time: 13 * time.Second})
	a, b := w.begin(down, w.token("router", "one")), w.begin(up, w.token("kiosk", "two"))
	ended := make(chan error, 2)
	for _, ws := range []*websocket.Conn{a, b} {
		go func() { ended <- drain(ws) }()
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-ended; err == nil {
			t.Error("no error")
		}
	}
	w.count("tests_total", 1, "download", endStop)
	w.count("tests_total", 1, "upload", endStop)
	if why := w.enter(t.Context(), address("third")); why != whyClosing {
		t.Errorf("a new test may begin: %q", why)
	}
}

func TestABinaryMessageInADownloadEndsIt(t *testing.T) {
	w := open(t, Config{Time: 13 * time.Second})
	ws := w.begin(down, w.token("router", "one"))
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte{1}); err != nil {
		t.Fatal(err)
	}
	if err := drain(ws); err == nil {
		t.Error("no error")
	}
	w.count("tests_total", 1, "download", endFault)
}

func TestARequestThatIsNoNdt7IsRefused(t *testing.T) {
	w := open(t, Config{})
	token := w.token("router", "one")
	upgrade := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"DOdm+5/Cm3WwvhfcAlhJoQ=="}}
	with := func(key, value string) http.Header {
		h := upgrade.Clone()
		h.Set(key, value)
		return h
	}
	for name, c := range map[string]struct {
		query  string
		head   http.Header
		status int
	}{
		"no subprotocol":      {"access_token=" + token, upgrade, 400},
		"another subprotocol": {"access_token=" + token, with("Sec-Websocket-Protocol", "mqtt"), 400},
		"a query too long":    {"access_token=" + token + "&x=" + strings.Repeat("x", 4096), with("Sec-Websocket-Protocol", Protocol), 400},
		"a broken query":      {"access_token=%zz", with("Sec-Websocket-Protocol", Protocol), 400},
		"no WebSocket":        {"access_token=" + token, http.Header{"Sec-Websocket-Protocol": {Protocol}}, 400},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.http.URL+down+"?"+c.query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = c.head
		res, err := w.http.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", name, res.StatusCode, c.status)
		}
	}
}
