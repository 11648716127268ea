package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	// caYears is as long as the authority lasts: agents hold its certificate, and giving each a new one is the work of a programme.
	caYears = 20
	// serverDays is as long as a server certificate lasts; RenewWithin is when the next one is made.
	serverDays  = 825
	RenewWithin = 60 * 24 * time.Hour
	// early is how far a certificate reaches back: a router's clock may be behind.
	early = 48 * time.Hour
)

// Files are where an authority and a server's certificate are kept.
type Files struct{ CA, CAKey, Cert, Key string }

// In names them in a folder.
func In(dir string) Files {
	return Files{filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key"), filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")}
}

// Ensure makes what is missing, and renews a server certificate that this authority signed when it ends within RenewWithin, or when it lacks one of the
// names (host names or IP addresses; none: those it has). What is there and good stays. It returns in words what it has made.
func Ensure(f Files, programme string, names []string, now time.Time) (made []string, err error) {
	ca, key, err := readCA(f)
	if errors.Is(err, fs.ErrNotExist) {
		if ca, key, err = makeCA(f, programme, now); err == nil {
			made = append(made, fmt.Sprintf("authority %q, %s and %s, good until %s", ca.Subject.CommonName, f.CA, f.CAKey, day(ca.NotAfter)))
		}
	}
	if err != nil {
		return made, err
	}
	old, err := readCert(f.Cert)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if len(names) == 0 {
			return made, fmt.Errorf("%s is missing, and no name to make it for is known; name how agents reach this collector: nabz-collector init --host noc.example.org", f.Cert)
		}
	case err != nil:
		return made, err
	case old.CheckSignatureFrom(ca) != nil:
		return made, fmt.Errorf("%s was not signed by %s; move one of them away to have it made anew", f.Cert, f.CA)
	default:
		missing := slices.ContainsFunc(names, func(n string) bool { return old.VerifyHostname(n) != nil })
		if !missing && now.Add(RenewWithin).Before(old.NotAfter) {
			return made, nil
		}
		for _, n := range append(old.DNSNames, ipTexts(old.IPAddresses)...) {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	cert, err := makeServer(f, ca, key, names, now)
	if err != nil {
		return made, err
	}
	return append(made, fmt.Sprintf("certificate %s for %v, good until %s", f.Cert, names, day(cert.NotAfter))), nil
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }

func ipTexts(ips []net.IP) (texts []string) {
	for _, ip := range ips {
		texts = append(texts, ip.String())
	}
	return texts
}

// Fingerprint is the SHA-256 of an authority's certificate, by which an enrolment token names it.
func Fingerprint(caFile string) (sum [sha256.Size]byte, text string, err error) {
	b, err := os.ReadFile(caFile)
	if err != nil {
		return sum, "", fmt.Errorf("read the authority's certificate: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" {
		return sum, "", fmt.Errorf("read the authority's certificate: %s holds none (PEM)", caFile)
	}
	return sha256.Sum256(block.Bytes), string(pem.EncodeToMemory(block)), nil
}

// End is when the certificate of an authority ends.
func End(caFile string) (time.Time, error) {
	c, err := readCert(caFile)
	if err != nil {
		return time.Time{}, err
	}
	return c.NotAfter, nil
}

func readCA(f Files) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	cert, err := readCert(f.CA)
	if err != nil {
		return nil, nil, err
	}
	b, err := os.ReadFile(f.CAKey)
	if errors.Is(err, fs.ErrNotExist) { // not the same as no authority: agents trust the one that there is
		return nil, nil, fmt.Errorf("%s is there but its key is not (%s); bring the key back, or move the certificate away and enrol all agents anew", f.CA, f.CAKey)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the authority's key: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, nil, fmt.Errorf("read the authority's key: %s holds none (PEM)", f.CAKey)
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := any.(*ecdsa.PrivateKey)
	if err != nil || !ok || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, nil, fmt.Errorf("%s is not the key of %s", f.CAKey, f.CA)
	}
	return cert, key, nil
}

func readCert(file string) (*x509.Certificate, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("read certificate: %s holds none (PEM)", file)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read certificate %s: %w", file, err)
	}
	return cert, nil
}

// makeCA makes an authority. ECDSA on P-256: short on the wire, and quick to verify on a router.
func makeCA(f Files, programme string, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make the authority's key: %w", err)
	}
	t := &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: programme}, NotBefore: now.Add(-early), NotAfter: now.AddDate(caYears, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	cert, err := sign(t, t, key.Public(), key)
	if err == nil {
		err = writeKey(f.CAKey, key)
	}
	if err == nil {
		err = write(f.CA, 0o644, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	}
	return cert, key, err
}

// makeServer makes a server's key and certificate. The authority's own is not in its file: agents have it, and need not pay for it at each connection.
func makeServer(f Files, ca *x509.Certificate, caKey *ecdsa.PrivateKey, names []string, now time.Time) (*x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the server's key: %w", err)
	}
	end := now.AddDate(0, 0, serverDays)
	if end.After(ca.NotAfter) {
		end = ca.NotAfter
	}
	t := &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: names[0]}, NotBefore: now.Add(-early), NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	cert, err := sign(t, ca, key.Public(), caKey)
	if err == nil {
		err = writeKey(f.Key, key)
	}
	if err == nil {
		err = write(f.Cert, 0o644, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	}
	return cert, err
}

func serial() *big.Int {
	n, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) // never fails, by its documentation
	return n
}

func sign(t, by *x509.Certificate, public crypto.PublicKey, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, by, public, key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of %q: %w", t.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

func writeKey(file string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	return write(file, 0o600, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
