package enrol

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/smartvillage/nabz/agent/clock"
	"github.com/smartvillage/nabz/agent/uplink"
)

// errStranger is a server that is not the programme's.
var errStranger = errors.New("its certificate does not come from the authority that the token names")

// trust believes a server whose certificate comes from the token's authority and has the right name. Its dates are not judged: a router does
// not know the time before it has enrolled, and the token is good for a day only. Without an authority in the token the system's are believed, and
// dates are judged by a clock that was set.
func (q *asking) trust(host string) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if q.e.CA == ([sha256.Size]byte{}) {
		return uplink.Dated(c, func() (time.Time, bool) { return q.now(), !q.now().Before(clock.Floor()) })
	}
	c.InsecureSkipVerify = true // what follows is in its place
	c.VerifyConnection = func(s tls.ConnectionState) error {
		for _, cert := range s.PeerCertificates {
			if sha256.Sum256(cert.Raw) != q.e.CA {
				continue
			}
			roots := x509.NewCertPool()
			roots.AddCert(cert)
			return uplink.Dated(&tls.Config{RootCAs: roots, ServerName: host}, func() (time.Time, bool) { return clock.Floor(), false }).VerifyConnection(s)
		}
		return errStranger
	}
	return c
}

// untrusted says why the server that answered is not believed; nil where the error is another. There is no use in another try at once.
func (q *asking) untrusted(err error, host string) error {
	var name x509.HostnameError
	var dates x509.CertificateInvalidError
	var authority x509.UnknownAuthorityError
	var system x509.SystemRootsError
	var plain tls.RecordHeaderError
	const stranger = "it may be the log-in page of a hotspot, or somebody in between; open a web page and log in there, or try over another link. If it is so over each link, the NOC's authority is another now: have a new token made"
	switch {
	case errors.Is(err, errStranger):
		return fmt.Errorf("what answers at %s is not the programme's collector: %w; %s", host, errStranger, stranger)
	case errors.As(err, &plain):
		return fmt.Errorf("what answers at %s is not the programme's collector: it does not speak TLS; %s", host, stranger)
	case errors.As(err, &name):
		return fmt.Errorf("the collector at %s has a certificate for another name: %w; have the NOC run nabz-collector init --host with this one, then run this again with the same token", host, name)
	case errors.As(err, &dates) && dates.Reason == x509.Expired:
		return fmt.Errorf("the certificate at %s is not good by this machine's clock, which says %s; set the clock where that is wrong (date -s, or ntpd), else have the NOC renew the certificate; then run this again with the same token",
			host, q.now().UTC().Format("2006-01-02 15:04 MST"))
	case errors.As(err, &authority), errors.As(err, &system):
		return fmt.Errorf("what answers at %s is signed by nobody whom this machine trusts; install the list of authorities (ca-bundle or ca-certificates) where there is none. Else %s", host, stranger)
	case errors.As(err, &dates):
		return fmt.Errorf("the collector's certificate at %s cannot be used: %w; have the NOC run nabz-collector init anew, then run this again with the same token", host, dates)
	}
	return nil
}

// unreached is a try that has not come through, with what to do about it.
type unreached struct {
	cause, next string
	err         error
}

func (u *unreached) Error() string { return u.cause }
func (u *unreached) Unwrap() error { return u.err }

// unreachedBy says in the words of the field why there is no connection.
func unreachedBy(err error, host string) error {
	u := &unreached{err: err}
	var dns *net.DNSError
	name, _, _ := net.SplitHostPort(host)
	var timeout net.Error
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		u.cause, u.next = name+" is not known to the name servers here", "look at the link and at /etc/resolv.conf (nslookup "+name+"); where other names are found, call the NOC"
	case errors.As(err, &dns):
		u.cause, u.next = name+" cannot be looked up: no name server answers", "look at the link and at /etc/resolv.conf (nslookup "+name+")"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		u.cause, u.next = "there is no way to "+host, "plug in or configure the uplink (ip route shows a line that begins with default when it works)"
	case errors.Is(err, syscall.ECONNREFUSED):
		u.cause, u.next = host+" refuses the connection", "try over another link, as a firewall may do that; else call the NOC: the collector may not run"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		u.cause, u.next = fmt.Sprintf("%s does not answer within %d s", host, int(oneTry.Seconds())), "look at the link, or try over another, as a firewall may hold it back; else call the NOC"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		u.cause, u.next = "the connection to "+host+" is cut off at once", "try over another link, as a firewall may do that; else call the NOC"
	default:
		u.cause, u.next = fmt.Sprintf("%s cannot be reached: %v", host, err), "look at the link"
	}
	return u
}

// cutOff is a request that was sent and whose answer has not come whole. The collector may have heard it.
func cutOff(err error, host string) error {
	return &unreached{cause: "the answer of " + host + " was cut off on the way", next: "look at the link", err: err}
}
