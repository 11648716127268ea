package speedtest

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/smartvillage/nabz/telemetry"
)

const (
	protocol    = "net.measurementlab.ndt.v7"
	dialTimeout = 15 * time.Second // for name, TCP, TLS and the server's answer, over a satellite
	// testTime is what the protocol expects a test to take in one direction, testMax what it allows.
	testTime = 10 * time.Second
	testMax  = 15 * time.Second
)

// Server is where tests go.
type Server struct {
	base  *url.URL
	Open  bool // any ndt7 server, which wants no credentials of ours; what it wants stands in the query
	Plain bool // no TLS
}

// ParseServer reads "https://noc.example.org", the collector's own server, or with open the address of any server that speaks ndt7, whose
// query, such as access_token, is sent along. Without TLS the agent's secret could be read, so that is for loopback only, or with insecure.
func ParseServer(text string, open, insecure bool) (*Server, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Fragment != "" {
		return nil, fmt.Errorf("%.200q is not a server; write it as \"https://host\"", text)
	}
	s := &Server{base: u, Open: open}
	switch u.Scheme {
	case "https", "wss":
		u.Scheme = "https"
	case "http", "ws":
		u.Scheme, s.Plain = "http", true
	default:
		return nil, fmt.Errorf("%.200q is not a server; write it as \"https://host\"", text)
	}
	switch {
	case u.User != nil:
		return nil, errors.New("holds a user; the agent's name and its secret file are what it signs in with")
	case !open && u.RawQuery != "":
		return nil, errors.New("holds a query, which is for a server that is not the collector's")
	case s.Plain && !open && !insecure && !loopback(u.Hostname()):
		return nil, fmt.Errorf("%.200q has no TLS, and the agent's secret goes there; use https", text)
	}
	u.Path = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/ndt/v7/download"), "/ndt/v7/upload")
	return s, nil
}

// Name is the host, with its port where that is not the usual one.
func (s *Server) Name() string {
	usual := ":443"
	if s.Plain {
		usual = ":80"
	}
	return strings.TrimSuffix(s.base.Host, usual)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// url is the address of a path at the server.
func (s *Server) url(path, token string) *url.URL {
	u := *s.base
	u.Path += path
	if token != "" {
		q := u.Query()
		q.Set("access_token", token)
		u.RawQuery = q.Encode()
	}
	return &u
}

// Client runs tests against one server. It holds nothing between them.
type Client struct {
	Server  *Server
	Address telemetry.Address // who signs in for a token
	Secret  string
	TLS     *tls.Config // nil: the system's roots
	Version string      // for the User-Agent
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
}

// ErrBusyServer is a server that has no place for a test now.
var ErrBusyServer = errors.New("the server has no place for a test now")

// Test runs a download and an upload that together cost at most limit bytes, headers included. A result that was measured in part comes with the
// error of the other part. At is for the caller to set.
func (c *Client) Test(ctx context.Context, limit int64) (Result, error) {
	t := &tally{}
	r := Result{Server: c.Server.Name()}
	err := c.test(ctx, t, limit, &r)
	r.UsedBytes = t.used()
	r.bound = t.committed()
	return r, err
}

func (c *Client) test(ctx context.Context, t *tally, limit int64, r *Result) (err error) {
	token := ""
	if !c.Server.Open {
		if token, err = c.token(ctx, t); err != nil {
			return fmt.Errorf("get leave for a speed test at %s: %w", c.Server.Name(), err)
		}
	}
	var faults []error
	// Download may take half of what is there, upload what is left.
	if err := c.one(ctx, t, "download", token, (limit+t.committed())/2, r); err != nil {
		faults = append(faults, fmt.Errorf("download from %s: %w", c.Server.Name(), err))
	}
	if ctx.Err() == nil {
		if err := c.one(ctx, t, "upload", token, limit, r); err != nil {
			faults = append(faults, fmt.Errorf("upload to %s: %w", c.Server.Name(), err))
		}
	}
	return errors.Join(faults...)
}

// one runs the test of one direction, until the whole has cost limit.
func (c *Client) one(ctx context.Context, t *tally, direction, token string, limit int64, r *Result) error {
	if limit-t.committed() < minGrant/4 {
		return ErrSpent
	}
	ws, m, release, err := c.open(ctx, t, direction, token)
	if err != nil {
		return err
	}
	defer m.end(true)
	defer release()
	m.pushed = direction == "download"
	before := t.committed() - m.committed() // what the connections before have cost
	f := &flow{ws: ws, m: m, start: time.Now(), limit: limit - before}
	defer context.AfterFunc(ctx, func() { f.stop.Store(true); m.wake() })()
	var end End
	if direction == "download" {
		end, err = f.download(r)
		r.DownBps, r.DownEnd = f.own.result(), end
	} else {
		end, err = f.upload(r)
		r.UpBps, r.UpEnd = f.sent(), end
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case end == EndFault:
		return err
	}
	return nil
}

// open makes a WebSocket for a test. Release lets go of ctx, which ends whatever waits on the connection.
func (c *Client) open(ctx context.Context, t *tally, direction, token string) (_ *websocket.Conn, m *meter, release func() bool, err error) {
	d := websocket.Dialer{HandshakeTimeout: dialTimeout, TLSClientConfig: c.TLS, Subprotocols: []string{protocol}, ReadBufferSize: 4 << 10, WriteBufferSize: 1 << 10,
		NetDialContext: func(short context.Context, network, address string) (_ net.Conn, err error) {
			if m, err = c.dial(short, t, network, address); err != nil {
				return nil, err
			}
			release = context.AfterFunc(ctx, m.wake)
			return m, nil
		}}
	u := c.Server.url("/ndt/v7/"+direction, token)
	u.Scheme = "ws" + strings.TrimPrefix(u.Scheme, "http")
	ws, resp, err := d.DialContext(ctx, u.String(), http.Header{"User-Agent": {c.agent()}})
	if err == nil && ws.Subprotocol() != protocol {
		err = fmt.Errorf("the server does not speak %s", protocol)
	}
	if resp != nil && errors.Is(err, websocket.ErrBadHandshake) {
		err = refusal(resp)
	}
	if err != nil && m != nil {
		release()
		_ = m.end(true)
	}
	return ws, m, release, err
}

func (c *Client) agent() string { return "nabz-agent/" + c.Version }

// dial connects, and counts.
func (c *Client) dial(ctx context.Context, t *tally, network, address string) (*meter, error) {
	dial := c.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	conn, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	keepFresh(conn)
	m := newMeter(conn)
	t.add(m)
	return m, nil
}

// token signs in for one test. It speaks HTTP on a connection of its own, so that its bytes count like all others.
func (c *Client) token(ctx context.Context, t *tally) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	u := c.Server.url("/api/v1/speedtest/token", "")
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), u.Scheme)
	}
	m, err := c.dial(ctx, t, "tcp", address)
	if err != nil {
		return "", err
	}
	defer m.end(true)
	defer context.AfterFunc(ctx, m.wake)()
	var conn net.Conn = m
	if !c.Server.Plain {
		config := &tls.Config{}
		if c.TLS != nil {
			config = c.TLS.Clone()
		}
		if config.ServerName == "" {
			config.ServerName = u.Hostname()
		}
		conn = tls.Client(m, config)
	}
	req := &http.Request{Method: http.MethodPost, URL: u, Host: u.Host, Header: http.Header{"User-Agent": {c.agent()}}, Close: true}
	req.SetBasicAuth(c.Address.String(), c.Secret)
	if err := req.Write(conn); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 2<<10), req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", refusal(resp)
	}
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxText)).Decode(&answer); err != nil || answer.Token == "" {
		return "", errors.New("the answer holds no token; is this the collector?")
	}
	return answer.Token, nil
}

// refusal is the error of an answer that is not what was asked for, with the text that came along.
func refusal(resp *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 300)) // what came so far tells enough
	err := fmt.Errorf("the server answers %d: %s", resp.StatusCode, strings.TrimSpace(string(b)))
	if resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusTooManyRequests {
		return fmt.Errorf("%w: %w", ErrBusyServer, err)
	}
	return err
}
