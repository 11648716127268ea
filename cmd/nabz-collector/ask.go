package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/internal/command"
	"github.com/smartvillage/nabz/telemetry"
)

type agentAsk struct {
	Address string `arg:"" placeholder:"SITE/AGENT" help:"The agent, as site/agent."`
	What    string `arg:"" placeholder:"speedtest|diagnostics" help:"speedtest or diagnostics."`
	As      string `placeholder:"USER" required:"" help:"The operator who asks; the password is asked for, or read from standard input."`
	Board   string `placeholder:"URL" help:"Address of the board. Default: where web.listen says."`
	fileFlag
}

// asked is a command as the board tells it.
type asked struct {
	ID    string `json:"id"`
	State string `json:"state"`
	Ended bool   `json:"ended"`
	Text  string `json:"text"`
	Data  string `json:"data"`
	Error string `json:"error"`
	Do    string `json:"do"`
}

const (
	askEvery  = time.Second
	maxAnswer = 4 << 20 // bytes
)

// do asks the collector that runs, by its board, and waits for the end. It is who asks that the audit log names, not who types.
func (a *agentAsk) do(ctx context.Context, stdin *os.File, stdout, stderr io.Writer) error {
	to, err := telemetry.ParseAddress(a.Address)
	if err != nil {
		return command.Usage(err)
	}
	c, _, err := a.read()
	if err != nil {
		return err
	}
	board, err := a.reach(c)
	if err != nil {
		return err
	}
	defer board.http.CloseIdleConnections()
	if board.password, err = passwordOf(ctx, stdin, stderr); err != nil {
		return err
	}
	board.user, board.url = a.As, board.url+"/api/v1/sites/"+to.Site+"/commands"
	var one asked
	if err := board.ask(ctx, http.MethodPost, url.Values{"kind": {a.What}, "agent": {to.Agent}}, &one); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "%s of %s is sent, id %s\n", a.What, to, one.ID)
	return board.follow(ctx, one, stdout, stderr)
}

// passwordOf reads a password: from a terminal without showing it, else the first line of a pipe or file.
func passwordOf(ctx context.Context, stdin *os.File, stderr io.Writer) (string, error) {
	if term.IsTerminal(int(stdin.Fd())) {
		return ask(ctx, stdin, stderr, "Password: ")
	}
	line, err := bufio.NewReader(io.LimitReader(stdin, 4096)).ReadString('\n')
	if password := strings.TrimRight(line, "\r\n"); password != "" {
		return password, nil
	}
	return "", errors.Join(errors.New("no password came on standard input; type it at a terminal, or write it there"), ignoreEOF(err))
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// board is the way to a board.
type board struct {
	http           *http.Client
	url            string
	user, password string
}

// reach finds the board: another machine's by its name, or this one's where the configuration says that it listens, which is trusted by the very certificate
// that it is to show.
func (a *agentAsk) reach(c collector.Config) (*board, error) {
	b := &board{url: strings.TrimSuffix(a.Board, "/"), http: &http.Client{Timeout: 30 * time.Second}}
	if b.url != "" {
		u, err := url.Parse(b.url)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
			return nil, command.Usage(fmt.Errorf("--board %q is no address; write it as https://noc.example.org", a.Board))
		}
		if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return nil, command.Usage(fmt.Errorf("--board %q is on another machine, and without TLS the password could be read on the way; use https://", a.Board))
		}
		return b, nil
	}
	host, port, err := net.SplitHostPort(c.Web.Listen)
	if err != nil {
		return nil, fmt.Errorf("web.listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	b.url = "http://" + net.JoinHostPort(host, port)
	if c.Web.TLSCert == "" {
		return b, nil
	}
	text, err := os.ReadFile(c.Web.TLSCert)
	if err != nil {
		return nil, fmt.Errorf("web.tls_cert: %w; or name the board with --board", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("web.tls_cert: %s holds no certificate; name the board with --board", c.Web.TLSCert)
	}
	own, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("web.tls_cert: %w; name the board with --board", err)
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	trust.RootCAs.AddCert(own)
	if len(own.DNSNames) > 0 {
		trust.ServerName = own.DNSNames[0]
	} else if len(own.IPAddresses) > 0 {
		trust.ServerName = own.IPAddresses[0].String()
	}
	b.http.Transport = &http.Transport{TLSClientConfig: trust}
	b.url = "https" + strings.TrimPrefix(b.url, "http")
	return b, nil
}

// ask asks the board; what it refuses is an error with its own words.
func (b *board) ask(ctx context.Context, method string, form url.Values, to any) error {
	req, err := http.NewRequestWithContext(ctx, method, b.url, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.SetBasicAuth(b.user, b.password)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := b.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the board: %w; does the collector run, and is that its address? --board names another", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("ask the board: %w", err)
	}
	if res.StatusCode/100 != 2 {
		var no asked
		if json.Unmarshal(body, &no) != nil || no.Error == "" {
			return fmt.Errorf("the board at %s answers %s", b.url, res.Status)
		}
		return fmt.Errorf("%s; next: %s", no.Error, no.Do)
	}
	if err := json.Unmarshal(body, to); err != nil {
		return fmt.Errorf("the board's answer cannot be read: %w; is it of another version?", err)
	}
	return nil
}

// goesOn is what becomes of a command whose end is not waited for.
const goesOn = "the command goes on, and the site's page shows its end"

// follow waits for the end of a command, and prints it.
func (b *board) follow(ctx context.Context, one asked, stdout, stderr io.Writer) error {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for last := one.State; !one.Ended; last = one.State {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("stopped; %s", goesOn)
		}
		var all struct{ Commands []asked }
		if err := b.ask(ctx, http.MethodGet, nil, &all); err != nil {
			return fmt.Errorf("%w; %s", err, goesOn)
		}
		id := one.ID
		one = asked{}
		for _, o := range all.Commands {
			if o.ID == id {
				one = o
			}
		}
		if one.ID == "" {
			return errors.New("the board does not know the command any more")
		}
		if one.State != last && !one.Ended {
			fmt.Fprintln(stderr, one.State)
		}
	}
	if one.State != "done" {
		return fmt.Errorf("%s: %s", one.State, one.Text)
	}
	_, err := fmt.Fprintf(stdout, "%s\n%s", one.Text, one.Data)
	return err
}
