package checkup

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/smartvillage/nabz/telemetry"
)

// broker looks at where agents connect: the embedded listener, or an external broker.
func (k *checkup) broker(ctx context.Context) {
	if k.c.MQTT.Broker != "" {
		k.external(ctx)
		return
	}
	f := Finding{Matter: "broker"}
	if k.runs == nil {
		k.free(f.Matter, "mqtt.listen", k.c.MQTT.Listen)
		return
	}
	name := ""
	if k.c.MQTT.TLSCert != "" {
		name = k.nameFor(k.c.Agents.Brokers)
	}
	how, err := k.anonymous(ctx, addressOf(k.c.MQTT.Listen), name, k.c.MQTT.TLSCert != "")
	k.tell(k.judged(f, k.c.MQTT.Listen, how, err, "the collector listens there when it starts: systemctl restart nabz-collector"))
}

// nameFor is the name that a certificate has to be for: the first that agents are told.
func (k *checkup) nameFor(urls []string) string {
	for _, u := range urls {
		if h := hostOf(u); h != "" {
			return h
		}
	}
	return ""
}

// errOpen is that a broker lets in who shows nothing.
var errOpen = errors.New("it lets everybody in, without a name and a secret")

// anonymous tries to sign in without a name, which has to be refused. It returns how the broker was reached.
func (k *checkup) anonymous(ctx context.Context, address, name string, secure bool) (how string, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	conn, how, err := k.dial(ctx, address, name, secure)
	if err != nil {
		return how, err
	}
	defer conn.Close()
	w, err := connect(ctx, conn, "", "")
	var r refusal
	switch {
	case err == nil:
		w.close()
		return how, errOpen
	case errors.As(err, &r) && r.stranger():
		return how + ", and refuses who shows no name", nil
	case errors.Is(err, errOld):
		return how, nil
	}
	return how, err
}

// dial reaches a listener, and trusts whom agents trust.
func (k *checkup) dial(ctx context.Context, address, name string, secure bool) (net.Conn, string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil || !secure {
		return conn, "answers, without TLS", err
	}
	roots, err := k.roots()
	if err != nil {
		_ = conn.Close()
		return nil, "", err
	}
	t := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: name, Time: k.Now, MinVersion: tls.VersionTLS12, InsecureSkipVerify: name == ""}) // agents that are told no address cannot ask for it
	if err := t.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, "", fmt.Errorf("its certificate is not trusted as agents trust it: %w", err)
	}
	return t, "answers with " + tls.VersionName(t.ConnectionState().Version), nil
}

// judged is the finding about a broker's door.
func (k *checkup) judged(f Finding, address, how string, err error, gone string) Finding {
	var trust *tls.CertificateVerificationError
	switch {
	case errors.Is(err, errOpen):
		f.Grade, f.Found, f.Next = Fail, address+": "+err.Error(), "set allow_anonymous false in the broker, and load the files of nabz-collector broker export"
	case errors.As(err, &trust):
		f.Grade, f.Found, f.Next = Fail, address+": "+err.Error(), "where the files were changed, the running collector takes them in within ten seconds; another broker has to be given them"
	case err != nil:
		f.Grade, f.Found, f.Next = Fail, address+" does not answer as a broker: "+err.Error(), gone
	default:
		f.Found = address + " " + how
	}
	return f
}

// external looks at another broker: its door for collectors, what it lets them do, and its door for agents.
func (k *checkup) external(ctx context.Context) {
	f := Finding{Matter: "broker"}
	u, err := url.Parse(k.c.MQTT.Broker)
	if err != nil {
		return // Validate has refused it
	}
	secret, err := k.brokerSecret()
	if err != nil {
		k.tell(Finding{Matter: f.Matter, Grade: Fail, Found: err.Error(), Next: "nabz-collector broker export --format mosquitto --dir DIR makes it; chown " + k.Service + " " + k.c.MQTT.SecretFile})
		return
	}
	how, err := k.anonymous(ctx, u.Host, u.Hostname(), u.Scheme == "mqtts")
	if f = k.judged(f, u.Host, how, err, "does the broker run? systemctl status mosquitto says so on its machine, and its log why it does not let us in"); f.Grade == Fail {
		k.tell(f)
		return
	}
	k.tell(k.rights(ctx, u, secret))
	for _, text := range k.c.Agents.Brokers {
		if a, err := url.Parse(text); err == nil {
			how, err := k.anonymous(ctx, a.Host, a.Hostname(), a.Scheme == "mqtts")
			k.tell(k.judged(Finding{Matter: "agents' door"}, a.Host, how, err, "agents are told to come there (agents.brokers): look at the broker's listener, its port and the firewall"))
		}
	}
}

func (k *checkup) brokerSecret() (secret string, err error) {
	if k.c.MQTT.SecretFile == "" {
		return "", nil
	}
	err = k.as.do(func() error {
		b, err := os.ReadFile(k.c.MQTT.SecretFile)
		secret = strings.TrimSpace(string(b))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("mqtt.secret_file: %s cannot read it: %w", k.who(), err)
	}
	return secret, nil
}

// presenceWait is how long retained messages may take to come.
const presenceWait = time.Second

// rights signs in as the collector does and tries all that it needs. Whom it acknowledges is nobody: no agent has that name.
func (k *checkup) rights(ctx context.Context, u *url.URL, secret string) Finding {
	f := Finding{Matter: "broker", Next: "have it load what nabz-collector broker export writes, and read it again: systemctl reload mosquitto"}
	fail := func(format string, args ...any) Finding {
		f.Grade, f.Found = Fail, u.Host+": "+fmt.Sprintf(format, args...)
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	conn, how, err := k.dial(ctx, u.Host, u.Hostname(), u.Scheme == "mqtts")
	if err != nil {
		return fail("%v", err)
	}
	defer conn.Close()
	w, err := connect(ctx, conn, k.c.MQTT.User, secret)
	switch {
	case errors.Is(err, errOld):
		f.Grade, f.Found, f.Next = Warn, u.Host+" "+how+", and does not speak MQTT 5: what it lets the collector do cannot be tried", "/readyz of a running collector says whether it is let in"
		return f
	case err != nil:
		return fail("it does not let %q in: %v", k.c.MQTT.User, err)
	}
	defer w.close()
	// A share of its own: what comes meanwhile is a copy, and no batch is taken from an intake.
	filters := []string{"$share/nabz-check/" + telemetry.Filter(telemetry.KindData), telemetry.Filter(telemetry.KindPresence), telemetry.Filter(telemetry.KindResult)}
	granted, err := w.subscribe(filters...)
	if err != nil || len(granted) != len(filters) {
		return fail("it does not answer to a subscription: %v", err)
	}
	for i, code := range granted {
		if code > 2 {
			return fail("%q may not hear %s: %v", k.c.MQTT.User, filters[i], refusal(code))
		}
	}
	nobody := telemetry.Address{Site: "nabz-check", Agent: "nabz-check"}
	for kind, may := range map[telemetry.Kind]bool{telemetry.KindAck: true, telemetry.KindCommand: true, telemetry.KindData: false} {
		code, err := w.publish(nobody.Topic(kind))
		switch {
		case err != nil:
			return fail("%q publishes on %s, and gets no answer: %v", k.c.MQTT.User, nobody.Topic(kind), err)
		case may && code >= 0x80:
			return fail("%q may not publish on %s: %v", k.c.MQTT.User, telemetry.Filter(kind), refusal(code))
		case !may && code != packets.ErrNotAuthorized.Code:
			return fail("it lets %q publish on %s, which agents alone may: its rules count for nobody, or are not loaded", k.c.MQTT.User, telemetry.Filter(kind))
		}
	}
	heard := w.hears(presenceWait)
	f.Found = fmt.Sprintf("%s %s, lets %q in, and lets it hear and acknowledge; %d messages came at once", u.Host, how, k.c.MQTT.User, heard)
	f.Next = ""
	if heard == 0 {
		f.Found += " (no agent has connected yet, or what agents say does not reach it)"
	}
	return f
}
