package checkup

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/smartvillage/nabz/collector/authority"
)

// certificates looks at the authority, and at what agents and people are shown.
func (k *checkup) certificates(context.Context) {
	if k.c.MQTT.TLSCert == "" {
		f := Finding{Matter: "certificate", Found: "mqtt.tls_cert is not set: agents of this machine alone can connect"}
		if k.c.MQTT.Broker == "" {
			f.Grade, f.Next = Warn, "nabz-collector init --host noc.example.org, with the name by which routers reach this machine"
		}
		k.tell(f)
	} else {
		k.authority()
		k.pair("certificate", k.c.MQTT.TLSCert, k.c.MQTT.TLSKey, k.told(), true)
	}
	if w := k.c.Web; w.TLSCert != "" && w.TLSCert != k.c.MQTT.TLSCert {
		k.pair("board's cert.", w.TLSCert, w.TLSKey, nil, false)
	}
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }

func (k *checkup) authority() {
	if k.c.Agents.CAFile == "" {
		k.pass("authority", "agents.ca_file is not set: agents trust the authorities that their systems trust")
		return
	}
	f := Finding{Matter: "authority"}
	end, err := authority.End(k.c.Agents.CAFile)
	key := filepath.Join(filepath.Dir(k.c.Agents.CAFile), "ca.key")
	switch info, keyErr := os.Stat(key); {
	case err != nil:
		f.Grade, f.Found, f.Next = Fail, err.Error(), "bring the file back from your copy: all agents trust this authority and no other"
	case k.Now().After(end):
		f.Grade, f.Found, f.Next = Fail, k.c.Agents.CAFile+" has ended on "+day(end), "move "+filepath.Dir(key)+" away, run nabz-collector init, and enrol all agents anew"
	case errors.Is(keyErr, fs.ErrNotExist):
		f.Grade, f.Found = Warn, fmt.Sprintf("%s, good until %s; its key is not here (%s)", k.c.Agents.CAFile, day(end), key)
		f.Next = "bring the key back for as long as nabz-collector renew takes, two months before the certificate ends"
	case keyErr != nil:
		f.Grade, f.Found, f.Next = Warn, keyErr.Error(), "check as root"
	case info.Mode().Perm()&0o077 != 0:
		f.Grade, f.Found, f.Next = Fail, fmt.Sprintf("%s may be read by others than root (%v)", key, info.Mode().Perm()), fmt.Sprintf("chown root:root %s; chmod 600 %s", key, key)
	default:
		f.Found = fmt.Sprintf("%s, good until %s; its key is kept to root. Have a copy of it elsewhere", k.c.Agents.CAFile, day(end))
	}
	k.tell(f)
}

// pair looks at a certificate and its key. Ours are those that "renew" makes.
func (k *checkup) pair(matter, cert, key string, hosts []string, ours bool) {
	f := Finding{Matter: matter}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		f.Grade, f.Found, f.Next = Fail, cert+" and "+key+": "+err.Error(), "nabz-collector init makes a pair; a pair of your own needs both files, and the key has to be the certificate's"
		if errors.Is(err, fs.ErrPermission) {
			f.Next = "check as root, or as the collector's user"
		}
		k.tell(f)
		return
	}
	if err := k.readable(key); err != nil {
		f.Grade, f.Found, f.Next = Fail, k.who()+" may not read it: "+err.Error(), fmt.Sprintf("chown root:%s %s; chmod 640 %s", k.Service, key, key)
		k.tell(f)
		return
	}
	leaf, now := pair.Leaf, k.Now()
	renew := "renew it where it came from"
	if ours {
		renew = "nabz-collector renew; then see why the timer has not: systemctl status nabz-collector-renew.timer"
	}
	f.Found = fmt.Sprintf("%s for %v, good until %s", cert, append(leaf.DNSNames, texts(leaf)...), day(leaf.NotAfter))
	switch fault, next := k.untrusted(&pair, ours); {
	case now.After(leaf.NotAfter):
		f.Grade, f.Found, f.Next = Fail, f.Found+": it has ended, and nobody can connect", renew
	case now.Before(leaf.NotBefore):
		f.Grade, f.Found, f.Next = Fail, f.Found+": by this machine's clock it is not good yet", "look at the clock first"
	case fault != "":
		f.Grade, f.Found, f.Next = Fail, f.Found+": "+fault, next
	case leaf.NotAfter.Sub(now) < authority.RenewWithin-7*24*time.Hour: // the timer has had its week
		f.Grade, f.Next = Warn, renew
	}
	for _, h := range hosts {
		if err := leaf.VerifyHostname(h); err != nil && f.Grade != Fail {
			f.Grade, f.Found, f.Next = Fail, fmt.Sprintf("%s; agents are told to come to %s, for which it is not", f.Found, h), "nabz-collector init --host "+h+" makes one that is for it too"
		}
	}
	k.tell(f)
}

// untrusted tells why no agent would trust a pair, and what to do.
func (k *checkup) untrusted(pair *tls.Certificate, ours bool) (fault, next string) {
	if !ours || k.c.Agents.CAFile == "" {
		return "", ""
	}
	roots, err := k.roots()
	if err != nil {
		return "", "" // told with the authority
	}
	between := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: pair.Leaf.NotBefore.Add(time.Second)}); err != nil {
		return "it was not signed by " + k.c.Agents.CAFile + ", so no agent trusts it", "bring the right pair back, or move " + k.c.MQTT.TLSCert + " away and run nabz-collector init"
	}
	return "", ""
}

// roots trusts the programme's authority.
func (k *checkup) roots() (*x509.CertPool, error) {
	file := k.c.Agents.CAFile
	if k.c.MQTT.Broker != "" && k.c.MQTT.CAFile != "" {
		file = k.c.MQTT.CAFile
	}
	if file == "" {
		return x509.SystemCertPool()
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if block, _ := pem.Decode(b); block == nil || !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s holds no certificate (PEM)", file)
	}
	return pool, nil
}

func texts(c *x509.Certificate) (out []string) {
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	return out
}
