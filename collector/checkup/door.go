package checkup

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/smartvillage/nabz/collector/authority"
	"github.com/smartvillage/nabz/telemetry"
)

// enrolment looks at where routers enrol, as one that has a token does.
func (k *checkup) enrolment(ctx context.Context) {
	f := Finding{Matter: "enrolment"}
	switch {
	case k.intakeOnly():
		return
	case k.c.Agents.Listen == "" || k.c.Agents.URL == "":
		k.tell(Finding{Matter: f.Matter, Grade: Warn, Found: "agents.listen or agents.url is not set: no router can enrol by itself", Next: "nabz-collector init --host noc.example.org tells what to put into the configuration"})
		return
	case k.runs == nil:
		k.free(f.Matter, "agents.listen", k.c.Agents.Listen)
		return
	}
	address := addressOf(k.c.Agents.Listen)
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+telemetry.EnrolPath, nil)
	if err != nil {
		k.tell(Finding{Matter: f.Matter, Grade: Fail, Found: err.Error(), Next: "mend agents.listen"})
		return
	}
	roots, err := k.roots()
	if err != nil {
		k.tell(Finding{Matter: f.Matter, Grade: Fail, Found: err.Error(), Next: "mend the authority first"})
		return
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: hostOf(k.c.Agents.URL), Time: k.Now, MinVersion: tls.VersionTLS12}}}
	res, err := client.Do(req)
	if err != nil {
		f.Grade, f.Found, f.Next = Fail, address+" does not answer: "+err.Error(), "systemctl restart nabz-collector"
		var trust *tls.CertificateVerificationError
		if errors.As(err, &trust) {
			f.Next = "mend the certificate first; a router would not enrol here"
		}
		k.tell(f)
		return
	}
	res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed { // routers POST, and are told so
		f.Grade, f.Found, f.Next = Fail, fmt.Sprintf("%s answers %s; is it another program's?", address, res.Status), "ss -ltnp shows who listens there; agents.listen changes the address"
	} else if !k.leads(res.TLS.PeerCertificates) {
		f.Grade, f.Found, f.Next = Fail, address+" does not show the authority that tokens name ("+k.c.Agents.CAFile+")", "systemctl restart nabz-collector, so that it shows the file that is there now"
	} else {
		f.Found = fmt.Sprintf("%s answers with %s; tokens lead to %s", k.c.Agents.Listen, tls.VersionName(res.TLS.Version), k.c.Agents.URL)
	}
	k.tell(f)
}

// leads tells whether what is shown contains the authority, by which a router knows that it is here.
func (k *checkup) leads(shown []*x509.Certificate) bool {
	if k.c.Agents.CAFile == "" {
		return true
	}
	want, _, err := authority.Fingerprint(k.c.Agents.CAFile)
	for _, c := range shown {
		if err == nil && sha256.Sum256(c.Raw) == want {
			return true
		}
	}
	return false
}

// names asks whether the names that agents are told lead anywhere.
func (k *checkup) names(ctx context.Context) {
	if k.intakeOnly() {
		return
	}
	var bad, good []string
	for _, h := range k.told() {
		ctx, cancel := context.WithTimeout(ctx, answerWait)
		to, err := net.DefaultResolver.LookupHost(ctx, h)
		cancel()
		if err != nil {
			bad = append(bad, h)
		} else {
			good = append(good, h+" is "+strings.Join(to, ", "))
		}
	}
	switch {
	case len(bad) > 0:
		k.tell(Finding{Matter: "names", Grade: Warn, Found: "this machine finds no address for " + strings.Join(bad, ", "), Next: "put it into the DNS that the villages ask; agents are told to come there (agents.url, agents.brokers)"})
	case len(good) > 0:
		k.pass("names", "%s; whether the villages' way leads there, nabz-agent check tells on a router", strings.Join(good, "; "))
	}
}

// board looks whether people are asked who they are.
func (k *checkup) board(ctx context.Context) {
	f := Finding{Matter: "board"}
	switch {
	case k.intakeOnly():
		return
	case k.runs == nil:
		k.free(f.Matter, "web.listen", k.c.Web.Listen)
		return
	}
	status, _, err := k.runs.get(ctx, "/api/v1/me")
	switch {
	case errors.Is(err, syscall.ECONNREFUSED) || err != nil:
		f.Grade, f.Found, f.Next = Fail, k.runs.url+" does not answer: "+err.Error(), "systemctl restart nabz-collector"
	case status == http.StatusUnauthorized:
		f.Found = k.runs.url + " answers, and asks who comes"
		if k.c.Web.TLSCert == "" && k.c.Web.Insecure {
			f.Grade, f.Next = Warn, "web.insecure: passwords go in clear over whatever is between; see that something else protects them"
		}
	case k.c.Web.Open:
		f.Grade, f.Found, f.Next = Warn, k.runs.url+" answers, and lets in everybody who is on this machine", "web.open = false, where anybody else can sign in to this machine"
	default:
		f.Grade, f.Found, f.Next = Fail, fmt.Sprintf("%s does not ask who comes (%d): the collector runs with another configuration", k.runs.url, status), "systemctl restart nabz-collector"
	}
	k.tell(f)
}
