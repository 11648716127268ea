package authority

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// lookEvery is how often the files are looked at for a change, at most.
const lookEvery = 10 * time.Second

// warnWithin is when a certificate should have been renewed long since.
const warnWithin = 30 * 24 * time.Hour

// Shown is the certificate that listeners show. It is read again when its file has changed, so that a renewed one needs no restart, which would
// send all villages through a new handshake at once. Safe for concurrent use.
type Shown struct {
	cert, key, ca string
	names         string // of the keys of the configuration
	log           *slog.Logger
	now           func() time.Time

	mu     sync.Mutex
	pair   *tls.Certificate
	whole  *tls.Certificate // the same with the authority's certificate behind it
	seen   [2]os.FileInfo
	looked time.Time
	fault  bool // told
}

// Show reads the pair. CA is the file of the authority that signed it, or "".
func Show(cert, key, ca string, log *slog.Logger) (*Shown, error) {
	return show("mqtt.tls_cert and mqtt.tls_key", cert, key, ca, log)
}

// ShowPeople is Show for a pair that only the board has.
func ShowPeople(cert, key string, log *slog.Logger) (*Shown, error) {
	return show("web.tls_cert and web.tls_key", cert, key, "", log)
}

func show(names, cert, key, ca string, log *slog.Logger) (*Shown, error) {
	s := &Shown{names: names, cert: cert, key: key, ca: ca, log: log, now: time.Now}
	if err := s.read(); err != nil {
		return nil, err
	}
	s.looked = s.now()
	return s, nil
}

// Config is for a listener whose clients have the authority's certificate.
func (s *Shown) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		pair, _ := s.current()
		return pair, nil
	}}
}

// WholeConfig is for a listener where agents enrol: they know the authority by its fingerprint, and are shown its certificate.
func (s *Shown) WholeConfig() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		_, whole := s.current()
		return whole, nil
	}}
}

// End is when the certificate in use ends.
func (s *Shown) End() time.Time {
	pair, _ := s.current()
	return pair.Leaf.NotAfter
}

// Metric tells when the certificate in use ends.
func (s *Shown) Metric() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "nabz_tls_certificate_end_seconds", Help: "When the certificate that agents are shown ends, in seconds since 1970."},
		func() float64 { return float64(s.End().Unix()) })
}

// Watch tells each day that the certificate ends soon, until ctx ends.
func (s *Shown) Watch(ctx context.Context) {
	tick := time.NewTicker(24 * time.Hour)
	defer tick.Stop()
	for {
		if left := s.End().Sub(s.now()); left < warnWithin {
			s.log.Error("certificate ends soon, and then no agent can connect any more; run nabz-collector renew", "file", s.cert, "days_left", int(left.Hours()/24))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// current is the pair as it is now. A pair that does not fit stays out, and is told once: the certificate may be there before its key.
func (s *Shown) current() (pair, whole *tls.Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); now.Sub(s.looked) >= lookEvery {
		s.looked = now
		if s.changed() {
			switch err := s.read(); {
			case err == nil:
				s.fault = false
				s.log.Info("renewed certificate is in use", "file", s.cert, "until", s.pair.Leaf.NotAfter)
			case !s.fault:
				s.fault = true
				s.log.Error("changed certificate is not taken in; the one before stays in use", "error", err)
			}
		}
	}
	return s.pair, s.whole
}

func (s *Shown) changed() bool {
	for i, file := range []string{s.cert, s.key} {
		info, err := os.Stat(file)
		if err != nil {
			return false // it is being replaced, or gone; what is in use serves on
		}
		if was := s.seen[i]; !os.SameFile(was, info) || was.Size() != info.Size() || !was.ModTime().Equal(info.ModTime()) {
			return true
		}
	}
	return false
}

func (s *Shown) read() error {
	var seen [2]os.FileInfo
	for i, file := range []string{s.cert, s.key} {
		info, err := os.Stat(file)
		if err != nil {
			return fmt.Errorf("%s: %w; \"nabz-collector init\" makes a pair", s.names, err)
		}
		seen[i] = info
	}
	pair, err := tls.LoadX509KeyPair(s.cert, s.key)
	if err != nil {
		return fmt.Errorf("%s: %w", s.names, err)
	}
	whole := pair
	if s.ca != "" {
		ca, err := readCert(s.ca)
		if err != nil {
			return fmt.Errorf("agents.ca_file: %w", err)
		}
		if whole.Certificate, err = complete(pair, ca); err != nil {
			return err
		}
	}
	s.pair, s.whole, s.seen = &pair, &whole, seen
	return nil
}

// complete is the chain with the authority's certificate at its end.
func complete(pair tls.Certificate, ca *x509.Certificate) ([][]byte, error) {
	between := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("mqtt.tls_cert: %w", err)
		}
		if c.Equal(ca) {
			return pair.Certificate, nil
		}
		between.AddCert(c)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: pair.Leaf.NotBefore}); err != nil {
		return nil, fmt.Errorf("mqtt.tls_cert does not come from agents.ca_file, so no agent would trust it: %w", err)
	}
	return append(slices.Clone(pair.Certificate), ca.Raw), nil
}
