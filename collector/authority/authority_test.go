package authority

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func ensure(t *testing.T, f Files, now time.Time, names ...string) []string {
	t.Helper()
	made, err := Ensure(f, "Gokina programme", names, now)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func contents(t *testing.T, f Files) (all string) {
	t.Helper()
	for _, file := range []string{f.CA, f.CAKey, f.Cert, f.Key} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all += string(b)
	}
	return all
}

func TestWhatIsThereAndGoodStays(t *testing.T) {
	f := In(filepath.Join(t.TempDir(), "tls"))
	if made := ensure(t, f, noon, "noc.example.org", "192.0.2.7"); len(made) != 2 {
		t.Errorf("made %q, want an authority and a certificate", made)
	}
	before := contents(t, f)
	for what, names := range map[string][]string{"the same": {"noc.example.org"}, "none": nil} {
		if made := ensure(t, f, noon.AddDate(1, 0, 0), names...); len(made) != 0 || contents(t, f) != before {
			t.Errorf("again, with %s names: made %q", what, made)
		}
	}
	for _, key := range []string{f.CAKey, f.Key} {
		if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (%v), want 0600", key, info.Mode(), err)
		}
	}
}

func TestACertificateIsRenewedInTimeUnderTheSameAuthority(t *testing.T) {
	f := In(t.TempDir())
	ensure(t, f, noon, "noc.example.org", "192.0.2.7")
	ca, err := os.ReadFile(f.CA)
	if err != nil {
		t.Fatal(err)
	}
	end := noon.AddDate(0, 0, serverDays)
	if made := ensure(t, f, end.Add(-RenewWithin-time.Hour)); len(made) != 0 {
		t.Errorf("renewed too early: %q", made)
	}
	if made := ensure(t, f, end.Add(-RenewWithin+time.Hour)); len(made) != 1 {
		t.Errorf("made %q, want a certificate", made)
	}
	if made := ensure(t, f, end, "second.example.org"); len(made) != 1 {
		t.Errorf("with another name: made %q, want a certificate", made)
	}
	cert, err := readCert(f.Cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatal("the authority cannot be read")
	}
	for _, name := range []string{"noc.example.org", "192.0.2.7", "second.example.org"} {
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: end.AddDate(1, 0, 0)}); err != nil {
			t.Errorf("agents that have the authority do not trust the renewed certificate: %v", err)
		}
	}
	if after, _ := os.ReadFile(f.CA); !bytes.Equal(after, ca) {
		t.Error("the authority has changed")
	}
}

func TestAnAuthorityIsNeverReplacedInSilence(t *testing.T) {
	broken := func(change func(f Files)) error {
		f := In(t.TempDir())
		ensure(t, f, noon, "noc.example.org")
		change(f)
		before, _ := os.ReadFile(f.CA)
		_, err := Ensure(f, "x", []string{"noc.example.org"}, noon)
		if after, _ := os.ReadFile(f.CA); !bytes.Equal(after, before) {
			t.Error("the authority has changed")
		}
		if err != nil {
			return fmt.Errorf("%s", strings.ReplaceAll(err.Error(), filepath.Dir(f.CA)+"/", ""))
		}
		return nil
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	rows := []struct {
		what   string
		change func(f Files)
		want   string
	}{
		{"key lost", func(f Files) { must(os.Remove(f.CAKey)) }, "ca.pem is there but its key is not (ca.key); bring the key back, or move the certificate away and enrol all agents anew"},
		{"another key", func(f Files) { must(os.Rename(f.Key, f.CAKey)) }, "ca.key is not the key of ca.pem"},
		{"no PEM", func(f Files) { must(os.WriteFile(f.CA, []byte("x"), 0o600)) }, "read certificate: ca.pem holds none (PEM)"},
		{"somebody else's certificate", func(f Files) {
			other := In(t.TempDir())
			ensure(t, other, noon, "noc.example.org")
			must(os.Rename(other.Cert, f.Cert))
		}, "server.pem was not signed by ca.pem; move one of them away to have it made anew"},
	}
	for _, r := range rows {
		if err := broken(r.change); err == nil || err.Error() != r.want {
			t.Errorf("%s:\n got %v\nwant %s", r.what, err, r.want)
		}
	}
}

// shake makes a connection and returns the certificates that the server sends.
func shake(t *testing.T, server *tls.Config) []*x509.Certificate {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go func() { _ = tls.Server(a, server).Handshake() }() // the client tells how it went
	c := tls.Client(b, &tls.Config{InsecureSkipVerify: true, ServerName: "noc.example.org"})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState().PeerCertificates
}

func TestARenewedCertificateIsShownWithoutARestart(t *testing.T) {
	f := In(t.TempDir())
	ensure(t, f, noon, "noc.example.org")
	var said strings.Builder
	s, err := Show(f.Cert, f.Key, f.CA, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	clock := time.Now()
	s.now = func() time.Time { clock = clock.Add(lookEvery); return clock }
	first := shake(t, s.Config())
	if len(first) != 1 {
		t.Errorf("agents are sent %d certificates, want 1: they have the authority's", len(first))
	}
	ca, _, err := readCA(f)
	if err != nil {
		t.Fatal(err)
	}
	if whole := shake(t, s.WholeConfig()); len(whole) != 2 || !whole[1].Equal(ca) {
		t.Errorf("an agent that enrols is sent %d certificates, want 2, the second the authority's", len(whole))
	}
	key, err := os.ReadFile(f.Key)
	if err != nil {
		t.Fatal(err)
	}
	ensure(t, f, noon.AddDate(0, 0, serverDays-10))
	second, err := os.ReadFile(f.Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.Key, key, 0o600); err != nil { // the new certificate with the old key, as if it were being copied
		t.Fatal(err)
	}
	for range 3 {
		if got := shake(t, s.Config()); !got[0].Equal(first[0]) {
			t.Error("a pair that does not fit was taken in")
		}
	}
	if n := strings.Count(said.String(), "is not taken in"); n != 1 {
		t.Errorf("told %d times, want once:\n%s", n, said.String())
	}
	if err := os.WriteFile(f.Key, second, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := shake(t, s.Config()); got[0].Equal(first[0]) || !s.End().Equal(got[0].NotAfter) {
		t.Error("the renewed certificate is not in use")
	}
}

func TestAFingerprintNamesTheAuthority(t *testing.T) {
	f, other := In(t.TempDir()), In(t.TempDir())
	ensure(t, f, noon, "noc.example.org")
	ensure(t, other, noon, "noc.example.org")
	a, text, err := Fingerprint(f.CA)
	if err != nil || !strings.HasPrefix(text, "-----BEGIN CERTIFICATE-----") {
		t.Errorf("got %q (%v)", text, err)
	}
	if b, _, _ := Fingerprint(other.CA); a == b || a == [32]byte{} {
		t.Errorf("two authorities have the fingerprints %x and %x", a, b)
	}
	if _, err := Show(f.Cert, f.Key, other.CA, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "no agent would trust it") {
		t.Errorf("a certificate of another authority: got %v", err)
	}
}
