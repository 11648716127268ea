package enrol

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
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

	"github.com/smartvillage/nabz/agent/clock"
	"github.com/smartvillage/nabz/agent/uplink"
	"github.com/smartvillage/nabz/telemetry"
)

const (
	tries     = 8 // some three minutes on a link that is not there
	oneTry    = 30 * time.Second
	firstWait = time.Second
	mostWait  = time.Minute
)

// errStranger is a server that is not the programme's.
var errStranger = errors.New("its certificate does not come from the authority that the token names")

// errRefused is a collector's word that no other try will change.
var errRefused = errors.New("the collector refuses")

// ask sends the request until it is answered. It may be sent again and again: the same token and the same secret get the same answer.
func ask(ctx context.Context, e telemetry.Enrolment, secret string, out io.Writer) (telemetry.EnrolAnswer, error) {
	body, err := json.Marshal(e.Request(secret))
	if err != nil {
		return telemetry.EnrolAnswer{}, err
	}
	for try, wait := 1, firstWait; ; try, wait = try+1, min(2*wait, mostWait) {
		answer, after, err := post(ctx, e, body)
		if err == nil {
			return answer, nil
		}
		switch {
		case ctx.Err() != nil:
			return answer, errors.New("stopped; run this again with the same token")
		case errors.Is(err, errStranger):
			return answer, fmt.Errorf("what answers at %s is not the programme's collector: %w; it may be the log-in page of a hotspot, or somebody in between; try over another link, or have a new token made", e.URL, errStranger)
		case after < 0:
			return answer, err
		case try == tries:
			return answer, fmt.Errorf("%w\nno answer in %d tries; look at the link, then run this again with the same token", err, tries)
		}
		pause := max(after, wait/2+rand.N(wait/2+1)) // all villages may be at it after an outage
		fmt.Fprintf(out, "%v; next try in %d s, Ctrl-C stops\n", err, int(pause.Seconds()+0.5))
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
func post(ctx context.Context, e telemetry.Enrolment, body []byte) (answer telemetry.EnrolAnswer, after time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, oneTry)
	defer cancel()
	u, err := url.Parse(e.URL + telemetry.EnrolPath)
	if err != nil {
		return answer, -1, err
	}
	d := tls.Dialer{Config: trust(e, u.Hostname())}
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443")))
	if err != nil {
		return answer, 0, fmt.Errorf("reach the collector: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // whatever hangs on it returns
	defer stop()
	q := &http.Request{Method: http.MethodPost, URL: u, Host: u.Host, Header: http.Header{"Content-Type": {"application/json"}}, Close: true,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body))}
	if err := q.Write(conn); err != nil {
		return answer, 0, fmt.Errorf("ask the collector: %w", err)
	}
	r, err := http.ReadResponse(bufio.NewReader(conn), q)
	if err != nil {
		return answer, 0, fmt.Errorf("hear the collector: %w", err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(io.LimitReader(r.Body, telemetry.MaxEnrolBytes))
	if err != nil {
		return answer, 0, fmt.Errorf("hear the collector out: %w", err)
	}
	if r.StatusCode == http.StatusOK {
		if err := json.Unmarshal(b, &answer); err != nil || answer.Config == "" {
			return answer, -1, fmt.Errorf("%s answers, but not as a collector does; is the address of the token right?", e.URL)
		}
		return answer, 0, nil
	}
	said := strings.TrimSpace(string(b[:min(len(b), 500)]))
	if strings.ContainsFunc(said, func(r rune) bool { return r < ' ' && r != '\n' }) || strings.HasPrefix(said, "<") || said == "" {
		said = "no word of explanation"
	}
	if r.StatusCode != http.StatusTooManyRequests && r.StatusCode < 500 {
		return answer, -1, fmt.Errorf("%w: %s (status %d)", errRefused, said, r.StatusCode)
	}
	err = fmt.Errorf("the collector says: %s (status %d)", said, r.StatusCode)
	seconds, _ := strconv.Atoi(r.Header.Get("Retry-After")) // without one: 0
	return answer, min(time.Duration(max(0, seconds))*time.Second, 5*time.Minute), err
}

// trust believes a server whose certificate comes from the token's authority and has the right name. Its dates are not judged: a router does
// not know the time before it has enrolled, and the token is good for a day only. Without an authority in the token the system's are believed.
func trust(e telemetry.Enrolment, host string) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if e.CA == ([sha256.Size]byte{}) {
		return c
	}
	c.InsecureSkipVerify = true // what follows is in its place
	c.VerifyConnection = func(s tls.ConnectionState) error {
		for _, cert := range s.PeerCertificates {
			if sha256.Sum256(cert.Raw) != e.CA {
				continue
			}
			roots := x509.NewCertPool()
			roots.AddCert(cert)
			undated := uplink.Dated(&tls.Config{RootCAs: roots, ServerName: host}, func() (time.Time, bool) { return clock.Floor(), false })
			if err := undated.VerifyConnection(s); err != nil {
				return fmt.Errorf("%w: %w", errStranger, err)
			}
			return nil
		}
		return errStranger
	}
	return c
}
