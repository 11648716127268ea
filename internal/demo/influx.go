//go:build unix

package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/smartvillage/nabz/internal/influxd"
)

// influx is the InfluxDB that the demo works with.
type influx struct {
	url, token, org string
	detail, ledger  string
	server          *influxd.Server
}

// openInflux takes the one that is named, else starts one of our own. On one that may hold the data of others
// the demo uses databases of its own.
func openInflux(ctx context.Context, c *Config, f folder, warn io.Writer) (influx, error) {
	if c.InfluxURL != "" {
		db := influx{url: strings.TrimSuffix(c.InfluxURL, "/"), token: c.InfluxToken, org: c.InfluxOrg, detail: "nabz_demo", ledger: "nabz_demo_ledger"}
		if err := ping(ctx, db.url); err != nil {
			return db, fmt.Errorf("INFLUX_URL %s does not answer: %w; unset INFLUX_URL to let the demo run its own InfluxDB", db.url, err)
		}
		return db, nil
	}
	path, err := influxd.Find(ctx, warn)
	if err != nil {
		return influx{}, err
	}
	server, err := influxd.Start(ctx, influxd.Options{Path: path, Dir: f.file("influxdb-data"), HTTPAddr: port{number: c.InfluxPort}.address(), Log: warn})
	if err != nil {
		return influx{}, err
	}
	return influx{url: server.URL, detail: "nabz", ledger: "nabz_ledger", server: server}, nil
}

func ping(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	code, err := get(ctx, url+"/ping")
	if err == nil && code/100 != 2 {
		err = fmt.Errorf("/ping says %s", http.StatusText(code))
	}
	return err
}

// get fetches a page and tells its status.
func get(ctx context.Context, url string) (code int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	req.Close = true // no connection is kept: the other side is about to be stopped
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20))
	return r.StatusCode, err
}
