package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
	"github.com/influxdata/influxdb-client-go/v2/api"

	"github.com/smartvillage/nabz/telemetry"
)

// Config says where InfluxDB is. Only URL is required.
type Config struct {
	URL             string        // such as http://127.0.0.1:8086
	Token           string        // 2.x: an API token; 1.8: "user:password"; "" where it asks for none
	Org             string        // 2.x only
	DetailBucket    string        // database or bucket of the detail tier; "" is nabz
	LedgerBucket    string        // the same of the ledger tier; "" is nabz_ledger
	DetailRetention time.Duration // how long a detail bucket that Ensure makes keeps lines; 0 is for ever
	Timeout         time.Duration // bounds one request; 0 is 20 s
	MaxResponse     int64         // bounds the answer to one query, in bytes; 0 is 64 MiB
	Gzip            bool          // compress both ways: for an InfluxDB that is not on the same machine
}

// ErrUnauthorized is in the error when InfluxDB does not accept the token, or the token may not do this.
var ErrUnauthorized = errors.New("InfluxDB does not let this token do it; check influx.token (2.x: an API token made in influx.org; 1.8: \"user:password\") and that it may read and write both buckets; nabz-collector init makes one that may")

// ErrTooLarge is in the error of a query whose answer is over Config.MaxResponse.
var ErrTooLarge = errors.New("answer is over the limit; ask for a shorter period or a wider GROUP BY time()")

// ErrNoOrg is in the error when a configuration made for 1.8 meets a 2.x.
var ErrNoOrg = errors.New("InfluxDB 2.x wants an organisation; set influx.org")

// ErrNoBucket is in the error of a query where InfluxDB has no such bucket, or does not show it to the token.
var ErrNoBucket = errors.New("InfluxDB has no such bucket for this token; it is made at the next write where the token may, else by nabz-collector init")

// Store talks to one InfluxDB. It is safe for concurrent use.
type Store struct {
	c       Config
	log     *slog.Logger
	client  influxdb2.Client
	http    *http.Client // for queries; the library has its own with a smaller bound
	base    *http.Transport
	buckets map[telemetry.Tier]string
	writers map[telemetry.Tier]api.WriteAPIBlocking
	ensure  sync.Mutex // one Ensure at a time
	hold    hold       // writes, where InfluxDB has asked for it
}

// maxWords bounds what InfluxDB may answer to a write, in bytes: it repeats the lines that it refuses.
const maxWords = 1 << 20

// Open checks the configuration. It sends nothing; Ensure and Ping do.
func Open(c Config, log *slog.Logger) (*Store, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("InfluxDB URL %q: want http://host:port or https://host:port", c.URL)
	}
	if c.DetailBucket == "" {
		c.DetailBucket = "nabz"
	}
	if c.LedgerBucket == "" {
		c.LedgerBucket = "nabz_ledger"
	}
	if c.DetailBucket == c.LedgerBucket {
		return nil, fmt.Errorf("detail and ledger bucket are both %q: they keep lines for different times, so give them different names", c.DetailBucket)
	}
	if c.Timeout == 0 {
		c.Timeout = 20 * time.Second
	}
	if c.MaxResponse == 0 {
		c.MaxResponse = 64 << 20
	}
	s := &Store{c: c, log: log, buckets: map[telemetry.Tier]string{telemetry.Detail: c.DetailBucket, telemetry.Ledger: c.LedgerBucket}}
	s.base = &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  !c.Gzip,
	}
	s.http = &http.Client{Transport: bounded{s.base, c.MaxResponse}, Timeout: c.Timeout}
	options := influxdb2.DefaultOptions().SetApplicationName("nabz-collector").SetPrecision(time.Millisecond).SetUseGZip(c.Gzip).
		SetHTTPClient(&http.Client{Transport: bounded{s.base, maxWords}, Timeout: c.Timeout})
	s.client = influxdb2.NewClientWithOptions(c.URL, c.Token, options)
	s.writers = map[telemetry.Tier]api.WriteAPIBlocking{}
	for tier, bucket := range s.buckets {
		s.writers[tier] = s.client.WriteAPIBlocking(c.Org, bucket)
	}
	return s, nil
}

// Close gives back the connections. Requests that are under way go on to their end.
func (s *Store) Close() {
	s.client.Close()
	s.base.CloseIdleConnections()
}

// Ping asks whether InfluxDB is there. It says nothing about the token.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.ping(ctx)
	return err
}

// ping returns the headers, which tell the version.
func (s *Store) ping(ctx context.Context) (http.Header, error) {
	req, err := s.request(ctx, http.MethodGet, "/ping", nil)
	if err != nil {
		return nil, err
	}
	res, err := s.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask InfluxDB: %w; check influx.url, and that InfluxDB runs", err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body) // so that the connection is used again
	if res.StatusCode/100 != 2 {
		return nil, fmt.Errorf("ask InfluxDB at %s: it answers %s; check influx.url, and that InfluxDB runs", s.c.URL, res.Status)
	}
	return res.Header, nil
}

func (s *Store) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(s.c.URL, "/")+path, body)
	if err != nil {
		return nil, err
	}
	if s.c.Token != "" {
		req.Header.Set("Authorization", "Token "+s.c.Token)
	}
	return req, nil
}

// bounded cuts off an answer that is larger than it may be.
type bounded struct {
	next http.RoundTripper
	max  int64
}

// RoundTrip passes the request on.
func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := b.next.RoundTrip(req)
	if err == nil {
		res.Body = &boundedBody{res.Body, b.max}
	}
	return res, err
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

// Read ends with ErrTooLarge where the answer goes on behind its bound.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 { // an answer that fits to the last byte still has to show its end
		if n, err := b.ReadCloser.Read(make([]byte, 1)); n == 0 {
			return 0, err
		}
		return 0, ErrTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
