package checkup

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"syscall"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/smartvillage/nabz/agent/uplink"
)

const (
	dialWait   = 10 * time.Second
	expirySoon = 14 * 24 * time.Hour // a fortnight is what a programme needs to bring a certificate to its villages
)

// brokers looks at each broker: reached, trusted, let in.
func (k *checkup) brokers(ctx context.Context) {
	secret, err := k.c.Secret()
	if err != nil {
		next := "\"nabz-collector agent add " + k.c.Address().String() + "\" at the NOC makes a token (agent rotate, where it enrolled before); then nabz-agent enroll TOKEN here"
		if errors.Is(err, fs.ErrPermission) {
			next = askAs
		}
		k.tell(Finding{Matter: "credentials", Grade: Fail, Found: err.Error(), Next: next})
		k.bad = true
		return
	}
	trust, err := k.c.Trust()
	if err != nil {
		next := "put the programme's CA certificate there"
		if errors.Is(err, fs.ErrPermission) {
			next = "let the agent's user read it: it is no secret"
		}
		k.tell(Finding{Matter: "broker", Grade: Fail, Found: err.Error(), Next: next})
		k.bad = true
		return
	}
	connected := k.runs != nil && k.runs.Broker.Connected
	if connected {
		defer k.tell(Finding{Matter: "credentials", Found: k.runs.Broker.URL + " has let the running agent in as " + k.c.Address().String()})
	}
	if k.runs != nil && k.runs.Twin != "" {
		a := k.c.Address()
		k.tell(Finding{Matter: "credentials", Grade: Fail,
			Found: "another machine signs in as " + a.String() + " with the same secret; each ends the connection of the other, and what they measure is mixed",
			Next: "a card or a configuration was copied: on the machine that is not to be " + a.String() + " enrol with a token of its own (agent add " + a.Site + "/NAME at the NOC, nabz-agent enroll --overwrite here), or stop it; " +
				"where nobody knows it, agent rotate " + a.String() + " at the NOC and enrol on the right one: the other is refused then"})
	}
	let := 0
	for _, text := range k.c.Brokers {
		u, err := url.Parse(text)
		if err != nil {
			continue // Validate has refused it
		}
		conn, ok := k.reach(ctx, u, trust)
		if !ok {
			continue
		}
		if connected || k.shut { // a second sign-in would push the running agent out
			_ = conn.Close()
			let++
			continue
		}
		if k.signIn(ctx, u, conn, secret) {
			let++
		}
	}
	k.bad = let == 0
}

func secure(u *url.URL) bool { return u.Scheme == "mqtts" || u.Scheme == "tls" || u.Scheme == "ssl" }

// reach connects, with TLS where the URL says so.
func (k *checkup) reach(ctx context.Context, u *url.URL, trust *tls.Config) (net.Conn, bool) {
	f := Finding{Matter: "broker"}
	ctx, cancel := context.WithTimeout(ctx, dialWait)
	defer cancel()
	start := time.Now()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		f.Grade, f.Found, f.Next = Fail, u.Host+" cannot be reached: "+plain(err), k.unreached(err)
		k.tell(f)
		return nil, false
	}
	f.Found = fmt.Sprintf("%s reached in %d ms", u.Host, time.Since(start).Milliseconds())
	if !secure(u) {
		f.Found += ", without TLS"
		if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			f.Grade, f.Next = Warn, "the secret and every line can be read on the way; use mqtts://"
		}
		k.tell(f)
		return conn, true
	}
	trust = trust.Clone()
	trust.ServerName = u.Hostname()
	t := tls.Client(conn, uplink.Dated(trust, k.now)) // as the agent does: while the clock is not set, dates are not judged
	if err := t.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		f.Grade, f.Found, f.Next = Fail, u.Host+" is reached, but not trusted: "+err.Error(), k.untrusted(err, u)
		k.tell(f)
		return nil, false
	}
	state := t.ConnectionState()
	f.Found += ", " + tls.VersionName(state.Version)
	now, set := k.now()
	if !set {
		k.tell(f)
		return t, true
	}
	left := state.PeerCertificates[0].NotAfter.Sub(now)
	f.Found += fmt.Sprintf(", certificate valid for %d days more", int(left.Hours()/24))
	if left < expirySoon {
		f.Grade, f.Next = Warn, "tell the NOC to renew the broker's certificate"
	}
	k.tell(f)
	return t, true
}

func plain(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	return err.Error()
}

// unreached says what to do about a broker that no connection could be made to.
func (k *checkup) unreached(err error) string {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return "mend name resolution, or write the broker's address into brokers"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the machine is there, but no broker listens on that port: look at the port, and whether nabz-collector runs"
	case k.up:
		return "the internet works, so a firewall is in the way or the NOC is down: try another port, call the NOC"
	}
	return "mend the link first"
}

// untrusted says what to do about a certificate.
func (k *checkup) untrusted(err error, u *url.URL) string {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &authority) && k.c.CAFile == "":
		return "its certificate is signed by nobody this machine knows: set ca_file to the programme's CA certificate"
	case errors.As(err, &authority):
		return "it is not signed by the CA in " + k.c.CAFile + ": fetch that of this programme"
	case errors.As(err, &name):
		return "the certificate is not for " + u.Hostname() + ": write the broker by a name that is in it"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "it has expired or is not valid yet by this machine's clock: look at the clock first, then tell the NOC"
	}
	return "does this port speak TLS? mqtt:// is without"
}

// signIn shows name and secret to the broker.
func (k *checkup) signIn(ctx context.Context, u *url.URL, conn net.Conn, secret string) bool {
	f := Finding{Matter: "credentials"}
	a := k.c.Address()
	o := mqtt.NewClientOptions()
	o.Servers = []*url.URL{u}
	o.SetClientID(a.Site + "." + a.Agent)
	o.SetUsername(a.String()).SetPassword(secret)
	o.SetProtocolVersion(4)
	o.SetAutoReconnect(false).SetConnectRetry(false).SetConnectTimeout(dialWait)
	o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return conn, nil })
	client := mqtt.NewClient(o)
	t := client.Connect()
	select {
	case <-t.Done():
	case <-ctx.Done():
		_ = conn.Close()
		<-t.Done()
	}
	err := t.Error()
	client.Disconnect(0)
	_ = conn.Close()
	switch {
	case err == nil:
		f.Found = "the broker lets " + a.String() + " in"
	case errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword), errors.Is(err, packets.ErrorRefusedNotAuthorised):
		f.Grade, f.Found = Fail, u.Host+" refuses the name "+a.String()+" with the secret in "+k.c.SecretFile
		f.Next = "it was revoked, or another machine has enrolled as " + a.String() + " since: \"nabz-collector agent list\" at the NOC shows who may sign in; \"nabz-collector agent rotate " + a.String() + "\" makes a token to enrol anew: nabz-agent enroll TOKEN"
	default:
		f.Grade, f.Found, f.Next = Fail, u.Host+" does not speak MQTT with us: "+err.Error(), "look at the port: 8883 is usual with TLS, 1883 without"
	}
	k.tell(f)
	return err == nil
}
