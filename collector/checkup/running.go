package checkup

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/smartvillage/nabz/collector"
)

// running is a collector that answers at web.listen.
type running struct {
	client       *http.Client
	url          string
	metrics      string // "" where they are not shown
	version      string // "" where it does not tell
	ready        bool
	readyAnswers []string // of /readyz, a line a matter
}

// at is the collector of this configuration, where it runs.
func at(c collector.Config) *running {
	scheme := "http"
	if c.Web.TLSCert != "" {
		scheme = "https"
	}
	return &running{client: local(), url: scheme + "://" + addressOf(c.Web.Listen)}
}

// Ready tells why the collector that runs here is not ready.
func Ready(ctx context.Context, c collector.Config) error {
	status, text, err := at(c).get(ctx, "/readyz")
	switch {
	case err != nil:
		return fmt.Errorf("ask the collector: %w; nabz-collector check says more", err)
	case status != http.StatusOK:
		return fmt.Errorf("the collector is not ready: %s", strings.Join(faultsOf(strings.Split(strings.TrimSpace(text), "\n")), "; "))
	}
	return nil
}

// local asks a listener of this machine. No secret is sent to it, so whoever answers is believed: whether its certificate is right is looked at by itself.
func local() *http.Client {
	return &http.Client{Timeout: answerWait, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
}

func (r *running) get(ctx context.Context, path string) (status int, text string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+path, nil)
	if err != nil {
		return 0, "", err
	}
	res, err := r.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	return res.StatusCode, string(body), err
}

// metric is the value of a series without labels.
func (r *running) metric(name string) (value float64, ok bool) {
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(r.metrics)
	if m == nil {
		return 0, false
	}
	value, err := strconv.ParseFloat(m[1], 64)
	return value, err == nil
}

var buildInfo = regexp.MustCompile(`(?m)^nabz_build_info\{version="([^"]*)"\} 1$`)

// collector looks whether one runs here, and what it says of itself.
func (k *checkup) collector(ctx context.Context) {
	r := at(k.c)
	f := Finding{Matter: "collector"}
	status, text, err := r.get(ctx, "/healthz")
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		k.tell(Finding{Matter: f.Matter, Grade: Warn, Found: "does not run: nobody listens at " + k.c.Web.Listen, Next: "systemctl enable --now nabz-collector nabz-collector-renew.timer; journalctl -u nabz-collector -n 20 says why where it does not start"})
		return
	case err != nil:
		k.tell(Finding{Matter: f.Matter, Grade: Fail, Found: "who listens at " + k.c.Web.Listen + " does not answer: " + err.Error(), Next: "systemctl restart nabz-collector; where web.tls_cert was changed, it is not in use before"})
		return
	case status != http.StatusOK || strings.TrimSpace(text) != "ok":
		k.tell(Finding{Matter: f.Matter, Grade: Fail, Found: fmt.Sprintf("another program listens at %s, and answers %d", k.c.Web.Listen, status), Next: "ss -ltnp shows which; stop it, or change web.listen"})
		return
	}
	k.runs = r
	if status, text, err := r.get(ctx, "/metrics"); err == nil && status == http.StatusOK {
		r.metrics = text
		if m := buildInfo.FindStringSubmatch(text); m != nil {
			r.version = m[1]
		}
	}
	err = r.untilReady(ctx)
	f.Found = "runs"
	if r.version != "" {
		f.Found += ", version " + r.version
	}
	switch {
	case err != nil:
		f.Grade, f.Found, f.Next = Fail, f.Found+", and does not say whether it is ready: "+err.Error(), "journalctl -u nabz-collector -n 20"
	case !r.ready:
		f.Grade, f.Found, f.Next = Fail, f.Found+", and says: "+strings.Join(faultsOf(r.readyAnswers), "; "), "mend what is above first; it goes on by itself then"
	case r.version != "" && r.version != k.Version:
		f.Grade, f.Found, f.Next = Warn, f.Found+"; this program is "+k.Version, "systemctl restart nabz-collector"
	default:
		f.Found += ", ready"
	}
	k.tell(f)
}

// startWait is how long one that has just been started may take to find InfluxDB and its broker.
const startWait = 5 * time.Second

// untilReady asks whether it is ready, for a while.
func (r *running) untilReady(ctx context.Context) error {
	tick, late := time.NewTicker(250*time.Millisecond), time.After(startWait)
	defer tick.Stop()
	for {
		status, text, err := r.get(ctx, "/readyz")
		if err != nil {
			return err
		}
		if r.ready, r.readyAnswers = status == http.StatusOK, strings.Split(strings.TrimSpace(text), "\n"); r.ready {
			return nil
		}
		select {
		case <-tick.C:
		case <-late:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func faultsOf(answers []string) (out []string) {
	for _, a := range answers {
		if fault, ok := strings.CutPrefix(a, "fault "); ok {
			out = append(out, fault)
		}
	}
	return out
}

// free tells of an address that no collector listens at now, whether it could.
func (k *checkup) free(matter, key, listen string) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		f := Finding{Matter: matter, Grade: Fail, Found: fmt.Sprintf("nobody could listen at %s: %v", listen, err), Next: "ss -ltnp shows who has it; stop that, or change " + key}
		if errors.Is(err, syscall.EACCES) {
			f.Grade, f.Found, f.Next = Warn, listen+" is below 1024, so whether it is free only root can tell", "check as root"
		}
		k.tell(f)
		return
	}
	_ = l.Close()
	k.pass(matter, "%s is free for the collector to listen at", listen)
}
