package enrol

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartvillage/nabz/internal/testca"
	"github.com/smartvillage/nabz/telemetry"
)

var clinic = telemetry.Address{Site: "gokina", Agent: "main"}

// noc answers requests to enrol over TLS, as the test says. The real one is met in internal/walk.
type noc struct {
	*httptest.Server
	ca     [sha256.Size]byte
	caText string

	mu    sync.Mutex
	asked []telemetry.EnrolRequest
}

// open starts one whose certificate ended ten hours ago, as it seems to a router whose clock is wrong.
func open(t *testing.T, answer func(n int, w http.ResponseWriter)) *noc {
	t.Helper()
	authority := testca.New(t)
	text, err := os.ReadFile(authority.File())
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	n := &noc{ca: sha256.Sum256(block.Bytes), caText: string(text)}
	n.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q telemetry.EnrolRequest
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || r.URL.Path != telemetry.EnrolPath || r.Method != http.MethodPost {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		n.mu.Lock()
		n.asked = append(n.asked, q)
		count := len(n.asked)
		n.mu.Unlock()
		answer(count, w)
	}))
	pair := authority.Sign(net.IPv4(127, 0, 0, 1), -10*time.Hour)
	pair.Certificate = append(pair.Certificate, block.Bytes)
	n.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	n.Config.ErrorLog = log.New(io.Discard, "", 0)
	n.StartTLS()
	t.Cleanup(n.Close)
	return n
}

func (n *noc) say(w http.ResponseWriter, config string) {
	_ = json.NewEncoder(w).Encode(telemetry.EnrolAnswer{Config: config, CA: n.caText}) // who is gone needs no answer
}

const good = "site = \"gokina\"\nagent = \"main\"\nbrokers = [\"mqtts://127.0.0.1:8883\"]\nprofile = \"metered\"\n[probe]\nanchors = [\"192.0.2.1\"]\n"

// world is a router's folder.
type world struct {
	dir string
	out strings.Builder
}

func (w *world) options(t *testing.T, n *noc) Options {
	t.Helper()
	e, err := telemetry.NewEnrolment(clinic, n.URL, n.ca)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Token: e.String(), ConfigFile: filepath.Join(w.dir, "agent.toml"), SecretFile: filepath.Join(w.dir, "secret"), DataDir: filepath.Join(w.dir, "data"), Out: &w.out, Now: time.Now}
}

func (w *world) read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func newWorld(t *testing.T) *world {
	w := &world{dir: t.TempDir()}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(w.out.String())
		}
	})
	return w
}

func TestARouterEnrolsWithOneTokenThoughItsClockIsWrong(t *testing.T) {
	var n *noc
	n = open(t, func(_ int, w http.ResponseWriter) { n.say(w, good) })
	w := newWorld(t)
	if err := Run(t.Context(), w.options(t, n)); err != nil {
		t.Fatal(err)
	}
	secret := strings.TrimSpace(w.read(t, "secret"))
	if len(secret) != 52 {
		t.Errorf("secret %q, want 52 letters and digits", secret)
	}
	if want := fmt.Sprintf("%x", sha256.Sum256([]byte(secret))); n.asked[0].Secret != want || n.asked[0].Address != "gokina/main" {
		t.Errorf("asked %+v, want the hash %s of the secret", n.asked[0], want)
	}
	if strings.Contains(fmt.Sprint(n.asked)+w.out.String(), secret) {
		t.Error("the secret was told")
	}
	if info, err := os.Stat(filepath.Join(w.dir, "secret")); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("mode of the secret %v (%v): all may read it", info.Mode(), err)
	}
	if got := w.read(t, "ca.pem"); got != n.caText {
		t.Errorf("authority %q, want %q", got, n.caText)
	}
	for _, want := range []string{`ca_file = "` + w.dir + `/ca.pem"`, `secret_file = "` + w.dir + `/secret"`, `data_dir = "` + w.dir + `/data"`, good} {
		if got := w.read(t, "agent.toml"); !strings.Contains(got, want) {
			t.Errorf("configuration lacks %q:\n%s", want, got)
		}
	}
}

func TestWhatBreaksOffGoesOnWithTheSameTokenAndTheSameSecret(t *testing.T) {
	var n *noc
	n = open(t, func(count int, w http.ResponseWriter) {
		switch count {
		case 1: // the answer is lost
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = c.Close()
			}
		case 2:
			w.Header().Set("Retry-After", "0")
			http.Error(w, "too many tries; wait, then try again", http.StatusTooManyRequests)
		default:
			n.say(w, good)
		}
	})
	w := newWorld(t)
	o := w.options(t, n)
	ctx, cancel := context.WithCancel(t.Context())
	o.Out = &stopAfter{&w.out, "next try", cancel}
	if err := Run(ctx, o); err == nil || err.Error() != "stopped; run this again with the same token" {
		t.Errorf("got %v", err)
	}
	o.Out = &w.out
	if err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for _, q := range n.asked {
		if q != n.asked[0] {
			t.Errorf("asked %+v, want what was asked first, %+v", q, n.asked[0])
		}
	}
	if left, _ := filepath.Glob(filepath.Join(w.dir, "*.enrolling")); len(n.asked) != 3 || len(left) != 0 {
		t.Errorf("%d requests, left over: %v", len(n.asked), left)
	}
}

// stopAfter ends the context once a word was written, as Ctrl-C would.
type stopAfter struct {
	to     *strings.Builder
	word   string
	cancel context.CancelFunc
}

func (s *stopAfter) Write(p []byte) (int, error) {
	if strings.Contains(string(p), s.word) {
		s.cancel()
	}
	return s.to.Write(p)
}

func TestAStrangerInBetweenGetsNothingAndIsTold(t *testing.T) {
	n := open(t, func(int, http.ResponseWriter) { t.Error("a stranger was asked") })
	for what, change := range map[string]func(*telemetry.Enrolment){
		"another authority": func(e *telemetry.Enrolment) { e.CA = [32]byte{1} },
		"another name":      func(e *telemetry.Enrolment) { e.URL = strings.Replace(e.URL, "127.0.0.1", "localhost", 1) },
	} {
		w := newWorld(t)
		o := w.options(t, n)
		e, err := telemetry.ParseEnrolment(o.Token)
		if err != nil {
			t.Fatal(err)
		}
		change(&e)
		o.Token = e.String()
		err = Run(t.Context(), o)
		want := map[string]string{"another authority": "is not the programme's collector", "another name": "has a certificate for another name"}[what]
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", what, err, want)
		}
		if _, err := os.Stat(filepath.Join(w.dir, "agent.toml")); err == nil {
			t.Errorf("%s: a configuration was written", what)
		}
	}
}

func TestWhatTheCollectorRefusesIsNotAskedAgain(t *testing.T) {
	rows := []struct {
		status       int
		text, config string
		want         string
	}{
		{status: 410, text: "this token has expired; have the NOC make a new one", want: "the collector refuses: this token has expired; have the NOC make a new one (status 410)"},
		{status: 404, text: "<html>no such page", want: "answers, but not as a collector does: no word of explanation (status 404); have the NOC look whether agents.url is right, then run this again with the same token"},
		{status: 200, config: "site = \"gokina\"\nbrokrs = []\n", want: "the configuration that the collector sends:5: unknown key \"brokrs\"; did you mean \"brokers\"?\nnothing was written; at the NOC mend the file that agents.config_file names, then run this again"},
		{status: 200, want: "answers, but not as a collector does; have the NOC look whether agents.url is right, then run this again with the same token"},
	}
	for _, r := range rows {
		var n *noc
		n = open(t, func(_ int, w http.ResponseWriter) {
			if r.status != 200 {
				http.Error(w, r.text, r.status)
				return
			}
			n.say(w, r.config)
		})
		w := newWorld(t)
		o := w.options(t, n)
		o.SecretFile, o.DataDir = filepath.Join(w.dir, "secret"), ""
		err := Run(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), r.want) || len(n.asked) != 1 {
			t.Errorf("asked %d times, got %v\nwant once, and %s", len(n.asked), err, r.want)
		}
		if _, err := os.Stat(filepath.Join(w.dir, "agent.toml")); err == nil {
			t.Errorf("%s: a configuration was written", r.want)
		}
	}
}

func TestAConfigurationThatIsThereIsKeptUnlessItIsToGo(t *testing.T) {
	var n *noc
	n = open(t, func(_ int, w http.ResponseWriter) { n.say(w, good) })
	own := "# by hand\nsite = \"gokina\"\nca_file = \"/etc/own.pem\"\n"
	rows := []struct {
		what, text string
		overwrite  bool
		want       string // of the error
		after      string // of the file
	}{
		{"of the same agent", strings.ReplaceAll(own, "/etc/own.pem", "own.pem"), false, "", "# by hand"},
		{"of another agent", "site = \"saidpur\"\n", false, "is the configuration of saidpur/main, and the token is for gokina/main; replace it with --overwrite, or use the right token", "saidpur"},
		{"of another agent, to be replaced", "site = \"saidpur\"\n", true, "", "gokina"},
		{"broken", "site = \n", false, "the configuration that is there cannot be read", "site = \n"},
		{"broken, to be replaced", "site = \n", true, "", "gokina"},
	}
	for _, r := range rows {
		w := newWorld(t)
		t.Chdir(w.dir) // ca_file of the first is a name without a folder
		o := w.options(t, n)
		o.Overwrite = r.overwrite
		if err := os.WriteFile(o.ConfigFile, []byte(r.text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := Run(t.Context(), o)
		if (err == nil) != (r.want == "") || err != nil && !strings.Contains(err.Error(), r.want) {
			t.Errorf("%s: got %v, want %q", r.what, err, r.want)
		}
		if got := w.read(t, "agent.toml"); !strings.Contains(got, r.after) {
			t.Errorf("%s: the file holds %q, want %q in it", r.what, got, r.after)
		}
		if r.overwrite && w.read(t, "agent.toml.old") != r.text {
			t.Errorf("%s: the old one is not kept", r.what)
		}
	}
}

func TestATokenWithoutAnAuthorityTrustsThoseOfTheSystem(t *testing.T) {
	n := open(t, func(int, http.ResponseWriter) { t.Error("a stranger was asked") })
	w := newWorld(t)
	o := w.options(t, n)
	e, err := telemetry.ParseEnrolment(o.Token)
	if err != nil {
		t.Fatal(err)
	}
	e.CA = [32]byte{}
	o.Token = e.String()
	for _, r := range []struct {
		now  time.Time
		want string
	}{
		{time.Unix(0, 0), "is signed by nobody whom this machine trusts"}, // no clock: dates are not judged
		{time.Date(2040, 1, 2, 3, 4, 0, 0, time.UTC), "is not good by this machine's clock, which says 2040-01-02 03:04 UTC; set the clock"},
	} {
		o.Now = func() time.Time { return r.now }
		if err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), r.want) {
			t.Errorf("got %v, want %s", err, r.want)
		}
	}
}
