package alert

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/smartvillage/nabz/internal/testneed"
)

// alertmanager runs the real one on loopback and returns its address.
func alertmanager(t *testing.T) string {
	t.Helper()
	program := testneed.Program(t, "prometheus-alertmanager", "apt-get install prometheus-alertmanager")
	dir := t.TempDir()
	conf := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(conf, []byte("route:\n  receiver: none\nreceivers:\n- name: none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	log := &bytes.Buffer{}
	cmd := exec.Command(program, "--config.file="+conf, "--storage.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--cluster.listen-address=")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("alertmanager:\n%s", log)
		}
	})
	until(t, "Alertmanager is ready", func() bool {
		_, err := get("http://" + address + "/-/ready")
		return err == nil
	})
	return "http://" + address
}

func get(address string) (string, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(address)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, b)
	}
	return string(b), err
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick, late := time.NewTicker(20*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("it never came to pass that %s", what)
		}
	}
}

// shown is an alert as Alertmanager's API gives it.
type shown struct {
	Labels, Annotations map[string]string
	StartsAt, EndsAt    time.Time
}

func shownBy(t *testing.T, address string) map[string]shown {
	t.Helper()
	text, err := get(address + "/api/v2/alerts")
	if err != nil {
		t.Fatal(err)
	}
	var all []shown
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	by := map[string]shown{}
	for _, s := range all {
		if _, twice := by[s.Labels["alert"]]; twice {
			t.Errorf("Alertmanager shows %v twice", s.Labels)
		}
		by[s.Labels["alert"]] = s
	}
	return by
}

func TestARealAlertmanagerShowsWhatGoesOnOnceAndNoMoreWhenItIsOver(t *testing.T) {
	address := alertmanager(t)
	ch, err := NewAlertmanager("alertmanager", address, Info)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, Defaults(), ch)
	w.now = time.Now().Add(-time.Hour) // Alertmanager goes by the clock on the wall
	w.begin()
	w.add("passu", "misgar", "sost", "gulmit")
	w.pass(w.Grace)
	w.out("passu", "misgar", "sost")
	w.pass(6 * time.Minute)
	active := w.engine.Active()
	if len(active) != 1 {
		t.Fatalf("%d alerts, want one: %+v", len(active), active)
	}
	a := active[0]
	w.deliver()
	w.deliver() // again, as each minute
	all := shownBy(t, address)
	s, ok := all[a.ID]
	if len(all) != 1 || !ok || s.Labels["alertname"] != "NabzUnreachable" || s.Labels["severity"] != "critical" || s.Labels["district"] != "Hunza" || s.Labels["operator"] != "Karakoram Link" ||
		s.Annotations["summary"] != "3 of 4 sites of Karakoram Link in Hunza are unreachable" || s.Annotations["sites"] != "passu misgar sost" && s.Annotations["sites"] != "misgar passu sost" {
		t.Errorf("Alertmanager shows %+v, want %s once", all, a.ID)
	}
	// A collector that is killed, and comes back within the hour, changes nothing there.
	w.restart()
	w.engine.deliver(t.Context(), ch, new(time.Time))
	if all := shownBy(t, address); len(all) != 1 {
		t.Errorf("Alertmanager shows %+v after a restart, want the same one", all)
	}
	w.pass(w.Grace)
	w.up("passu", "misgar", "sost")
	w.pass(3 * time.Minute)
	w.deliver()
	until(t, "Alertmanager takes it for over", func() bool { return len(shownBy(t, address)) == 0 })
	if sent, answer, err := Test(t.Context(), ch, "", time.Now()); err != nil || answer != "200 OK" || !strings.Contains(sent, "test") {
		t.Errorf("test gives %q %q %v", sent, answer, err)
	}
	until(t, "the test is shown", func() bool {
		for _, s := range shownBy(t, address) {
			if s.Labels["alertname"] == "NabzTest" {
				return true
			}
		}
		return false
	})
}

// mailbox is an SMTP server that keeps what it gets.
type mailbox struct {
	mu    sync.Mutex
	mails []*mail.Message
	text  []string
	fail  int // so many more are refused
}

func (b *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &mailSession{b}, nil }

type mailSession struct{ b *mailbox }

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }
func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "nabz" || password != "s3cret-password" {
			return errors.New("wrong password s3cret-password")
		}
		return nil
	}), nil
}
func (s *mailSession) Mail(string, *smtp.MailOptions) error {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	if s.b.fail > 0 {
		s.b.fail--
		return &smtp.SMTPError{Code: 451, Message: "greylisted: s3cret-password, come again"}
	}
	return nil
}
func (s *mailSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s *mailSession) Data(r io.Reader) error {
	m, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(m.Body)
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.mails, s.b.text = append(s.b.mails, m), append(s.b.text, string(text))
	return err
}
func (s *mailSession) Reset()        {}
func (s *mailSession) Logout() error { return nil }

func (b *mailbox) got() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string{}, b.text...)
}

func mailServer(t *testing.T) (*mailbox, string) {
	b := &mailbox{}
	s := smtp.NewServer(b)
	s.AllowInsecureAuth, s.Domain = true, "localhost"
	s.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = s.Serve(l); close(done) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return b, l.Addr().String()
}

func TestPeopleGetAMailAWebhookAndATelegramAndNoSecretIsInALogOrAnError(t *testing.T) {
	box, smtpAddress := mailServer(t)
	var mu sync.Mutex
	hooks := []string{}
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		hooks = append(hooks, r.URL.String()+" "+string(b))
	}))
	defer hook.Close()
	telegrams := []string{}
	telegram := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		telegrams = append(telegrams, r.Host+r.URL.Path+" "+string(b))
		n := len(telegrams)
		mu.Unlock()
		if n == 1 {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"ok":false,"error_code":401,"description":"Unauthorized %s"}`, r.URL.Path)
			return
		}
		fmt.Fprint(w, `{"ok":true,"result":{}}`)
	}))
	defer telegram.Close()
	real := http.DefaultTransport
	http.DefaultTransport = &http.Transport{DisableKeepAlives: true, DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		return (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, network, telegram.Listener.Addr().String())
	}}
	defer func() { http.DefaultTransport = real }()

	file := filepath.Join(t.TempDir(), "urls")
	lines := fmt.Sprintf("mail critical smtp://nabz:s3cret-password@%s/?from=nabz@example.org&to=oncall@example.org&auth=Plain&usestarttls=no\n"+
		"hook generic+%s/in/h00k-t0ken?template=json\nphone telegram://110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw@telegram?chats=-1001234\n", smtpAddress, hook.URL)
	if err := os.WriteFile(file, []byte(lines), 0o640); err != nil {
		t.Fatal(err)
	}
	ways, err := ReadWays(file)
	if err != nil {
		t.Fatal(err)
	}
	box.fail = 1
	log := &bytes.Buffer{}
	w := newWorld(t, Defaults(), ways.Channels...)
	w.log = slog.New(slog.NewTextHandler(log, nil))
	w.link = "https://noc.example.org"
	w.begin()
	w.add("passu")
	w.sites["passu"].Site.Name = "Pâssu\r\nBcc: everybody@example.org"
	w.pass(w.Grace)
	w.out("passu")
	w.set("passu", func(s *site) { s.battery(12, false) })
	w.pass(6 * time.Minute)
	w.deliver()
	w.pass(time.Minute)
	w.deliver()
	w.up("passu")
	w.pass(3 * time.Minute)
	w.deliver()

	mails := box.got()
	if len(mails) != 2 || !strings.Contains(mails[0], "is unreachable") || !strings.Contains(mails[0], "battery 12 %, not charging") || !strings.Contains(mails[0], "https://noc.example.org/alerts") || !strings.Contains(mails[1], "✓ over after") {
		t.Errorf("mails are %q, want one that raises and one that says that it is over", mails)
	}
	if h := box.mails[0].Header; h.Get("Bcc") != "" || h.Get("To") != "oncall@example.org" || !strings.HasPrefix(h.Get("Subject"), "=?utf-8?q?nabz:_") {
		t.Errorf("header of the mail is %v", h)
	}
	mu.Lock()
	defer mu.Unlock()
	// The battery is a warning, which the webhook and the telegram want and the mail does not.
	if all := strings.Join(hooks, "\n"); !strings.Contains(all, "is unreachable") || !strings.Contains(all, `"title":"nabz: `) || !strings.Contains(all, "/in/h00k-t0ken") {
		t.Errorf("the webhook got %s", all)
	}
	if n := len(telegrams); n < 3 || !strings.Contains(telegrams[n-1], "✓ over") || !strings.HasPrefix(telegrams[0], "api.telegram.org/bot110201543:") {
		t.Errorf("telegrams are %q", telegrams)
	}
	told := log.String()
	failures := 0
	for _, d := range w.engine.Deliveries(100) {
		told += d.Err
		if d.Err != "" {
			failures++
			if d.Next.IsZero() || d.Attempt != 1 {
				t.Errorf("failure %+v is not tried again", d)
			}
		}
	}
	if failures < 2 {
		t.Errorf("%d failures are in the log of deliveries, want that of the mail and of the telegram", failures)
	}
	for _, secret := range []string{"s3cret-password", "h00k-t0ken", "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"} {
		if strings.Contains(told, secret) {
			t.Errorf("%q is in what is logged or shown: %s", secret, told)
		}
	}
}

func TestTheHeartbeatGoesOutWhileAllIsWellAndNotOtherwise(t *testing.T) {
	beats := make(chan string, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { beats <- r.URL.Path }))
	defer s.Close()
	sink := &tape{name: "tape"}
	w := newWorld(t, Defaults(), sink)
	var fault error
	w.heartbeat = Heartbeat{URL: s.URL + "/ping/0123-4567", Every: time.Minute, Well: func(context.Context) error { return fault }}
	w.begin()
	w.add("passu")
	beat := func() bool {
		w.engine.beatOnce(t.Context())
		select {
		case <-beats:
			return true
		default:
			return false
		}
	}
	w.pass(w.Grace)
	if !beat() {
		t.Error("no heartbeat while all is well")
	}
	if fault = errors.New("InfluxDB does not take a point"); beat() {
		t.Error("a heartbeat while nothing can be stored")
	}
	if d := w.engine.Deliveries(1); len(d) != 1 || d[0].Channel != HeartbeatName || !strings.Contains(d[0].Err, "does not take") {
		t.Errorf("deliveries say %+v", d)
	}
	fault = nil
	if !beat() {
		t.Error("no heartbeat after the fault")
	}
	sink.fail = errors.New("mail server is gone")
	w.out("passu")
	w.pass(6 * time.Minute)
	w.deliver()
	if !beat() {
		t.Error("no heartbeat while news wait for some minutes")
	}
	w.pass(undelivered)
	if beat() {
		t.Error("a heartbeat while nobody can be told of anything")
	}
	sink.fail = nil
	w.deliver()
	if !beat() {
		t.Error("no heartbeat after people could be told again")
	}
	w.now = w.now.Add(2 * time.Minute) // and nobody looks
	if beat() {
		t.Error("a heartbeat while alerts are not looked at")
	}
}

func TestAlertmanagerHasAnAlertThatIsAlwaysThereWhileTheCollectorIsWell(t *testing.T) {
	var mu sync.Mutex
	var posted []map[string]any
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		posted = nil
		if err := json.NewDecoder(r.Body).Decode(&posted); err != nil {
			t.Error(err)
		}
	}))
	defer s.Close()
	ch, err := NewAlertmanager("alertmanager", s.URL, Info)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, Defaults(), ch)
	w.heartbeat = Heartbeat{Every: time.Minute, Well: func(context.Context) error { return nil }}
	w.begin()
	w.add("passu")
	w.pass(time.Minute)
	w.engine.beatOnce(t.Context())
	w.engine.deliver(t.Context(), ch, new(time.Time))
	mu.Lock()
	defer mu.Unlock()
	if len(posted) != 1 || fmt.Sprint(posted[0]["labels"]) != "map[alertname:NabzHeartbeat severity:info]" || posted[0]["endsAt"] != w.now.Add(3*time.Minute).Format(time.RFC3339Nano) {
		t.Errorf("posted %v, want a heartbeat that ends in three minutes", posted)
	}
}
