package alert

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

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
