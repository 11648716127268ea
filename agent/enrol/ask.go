package enrol

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

const (
	tries     = 8 // a minute and a half where each fails at once, five and more where each waits for its end
	oneTry    = 30 * time.Second
	firstWait = time.Second
	mostWait  = time.Minute
)

// errVoid is a collector's word that the token is good for nothing any more.
var errVoid = errors.New("the collector refuses")

// used is a token that is void because somebody has used it.
type used struct{ error }

func (u *used) Unwrap() error { return u.error }

// asking is one request to enrol, which may be sent again and again: the same token and the same secret get the same answer.
type asking struct {
	e    telemetry.Enrolment
	out  io.Writer
	now  func() time.Time // the system's clock
	sent bool             // something of a request went out: the collector may have heard of the secret
}

// ask sends the request until it is answered.
func (q *asking) ask(ctx context.Context, secret string) (telemetry.EnrolAnswer, error) {
	body, err := json.Marshal(q.e.Request(secret))
	if err != nil {
		return telemetry.EnrolAnswer{}, err
	}
	for try, wait := 1, firstWait; ; try, wait = try+1, min(2*wait, mostWait) {
		answer, after, err := q.post(ctx, body)
		if err == nil {
			return answer, nil
		}
		var u *unreached
		reached := !errors.As(err, &u)
		switch {
		case ctx.Err() != nil:
			return answer, errors.New("stopped; run this again with the same token")
		case after < 0:
			return answer, err
		case try == tries && reached:
			return answer, fmt.Errorf("%w\nno better answer in %d tries; tell the NOC, and run this again with the same token when that is mended", err, tries)
		case try == tries:
			return answer, fmt.Errorf("%w\nno answer in %d tries; %s, then run this again with the same token", err, tries, u.next)
		}
		pause := max(after, wait/2+rand.N(wait/2+1)) // all villages may be at it after an outage
		fmt.Fprintf(q.out, "%v; next try in %d s, Ctrl-C stops\n", err, int(pause.Seconds()+0.5))
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
}

// post tries once. After is how long to wait at least before the next try; negative: there is no use in one. It writes the request on a connection
// of its own: http.Client would be 0.4 MB more of a router's binary.
func (q *asking) post(ctx context.Context, body []byte) (answer telemetry.EnrolAnswer, after time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, oneTry)
	defer cancel()
	u, err := url.Parse(q.e.URL + telemetry.EnrolPath)
	if err != nil {
		return answer, -1, err
	}
	host := net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443"))
	d := tls.Dialer{Config: q.trust(u.Hostname())}
	conn, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		if err := q.untrusted(err, host); err != nil {
			return answer, -1, err
		}
		return answer, 0, unreachedBy(err, host)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // whatever hangs on it returns
	defer stop()
	r := &http.Request{Method: http.MethodPost, URL: u, Host: u.Host, Header: http.Header{"Content-Type": {"application/json"}}, Close: true,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body))}
	q.sent = true
	if err := r.Write(conn); err != nil {
		return answer, 0, cutOff(err, host)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), r)
	if err != nil {
		return answer, 0, cutOff(err, host)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, telemetry.MaxEnrolBytes))
	if err != nil {
		return answer, 0, cutOff(err, host)
	}
	return q.heard(res, b)
}

// heard reads an answer that came whole.
func (q *asking) heard(r *http.Response, b []byte) (answer telemetry.EnrolAnswer, after time.Duration, err error) {
	if r.StatusCode == http.StatusOK {
		if err := json.Unmarshal(b, &answer); err != nil || answer.Config == "" {
			return answer, -1, fmt.Errorf("%s answers, but not as a collector does; have the NOC look whether agents.url is right, then run this again with the same token", q.e.URL)
		}
		return answer, 0, nil
	}
	said := strings.TrimSpace(string(b[:min(len(b), 500)]))
	if strings.ContainsFunc(said, func(r rune) bool { return r < ' ' && r != '\n' }) || strings.HasPrefix(said, "<") || said == "" {
		said = "no word of explanation"
	}
	switch {
	case r.StatusCode == http.StatusConflict:
		return answer, -1, &used{fmt.Errorf("%w: %s (status %d)", errVoid, said, r.StatusCode)}
	case r.StatusCode == http.StatusUnauthorized, r.StatusCode == http.StatusForbidden, r.StatusCode == http.StatusGone:
		return answer, -1, fmt.Errorf("%w: %s (status %d)", errVoid, said, r.StatusCode)
	case r.StatusCode != http.StatusTooManyRequests && r.StatusCode < 500:
		return answer, -1, fmt.Errorf("%s answers, but not as a collector does: %s (status %d); have the NOC look whether agents.url is right, then run this again with the same token", q.e.URL, said, r.StatusCode)
	}
	err = fmt.Errorf("the collector says: %s (status %d)", said, r.StatusCode)
	seconds, _ := strconv.Atoi(r.Header.Get("Retry-After")) // without one: 0
	return answer, min(time.Duration(max(0, seconds))*time.Second, 5*time.Minute), err
}
