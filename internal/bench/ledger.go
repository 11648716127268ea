package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
)

// ledger is what a fleet has told in a time: hours with their sums, spans with an irregularity in one hour of twelve, two services in their
// hours, two tests a week. It costs little to make; what the figures come to means nothing.
type ledger struct {
	sites    int
	from, to time.Time // whole days
}

func (l ledger) site(n int) string { return fmt.Sprintf("site-%04d", n) }

// writeSites writes the sites file: forty districts, three operators, targets, and time zones with and without changes of the clock.
func (l ledger) writeSites(file string) error {
	var b []byte
	for n := range l.sites {
		b = fmt.Appendf(b, "[[site]]\nid = %q\nname = \"Village %d\"\ndistrict = \"District %d\"\noperator = \"Operator %d\"\ntechnology = \"4G\"\ntarget_down_mbps = 4.0\ntarget_up_mbps = 1.0\ntime_zone = %q\n",
			l.site(n), n, n%40, n%3, []string{"Asia/Karachi", "Asia/Karachi", "Asia/Kathmandu", "Africa/Casablanca"}[n%4])
	}
	return os.WriteFile(file, b, 0o600)
}

// day appends a site's lines of a day, which begins at an instant in ms.
func (l ledger) day(b []byte, n int, midnight int64) []byte {
	const hour, minute = int64(time.Hour / time.Millisecond), int64(time.Minute / time.Millisecond)
	r := rand.New(rand.NewPCG(uint64(n), uint64(midnight)))
	site := l.site(n)
	span := func(state string, from, to int64) {
		b = fmt.Appendf(b, "span,agent=router,site=%s,state=%s ms=%di,err_ms=%di %d\n", site, state, to-from, r.IntN(2500), from)
	}
	for at := midnight; at < midnight+24*hour; at += hour {
		switch {
		case r.IntN(12) == 0:
			from := at + r.Int64N(40*minute)
			to := from + 1000 + r.Int64N(19*minute)
			span("up", at, from)
			span([]string{"down,cause=backhaul", "off,cause=power", "down,cause=local", "degraded"}[r.IntN(4)], from, to)
			span("up", to, at+hour)
		case r.IntN(100) > 0: // else nothing is known
			span("up", at, at+hour)
		}
		a := 100 + r.IntN(80)
		b = fmt.Appendf(b, "hour,agent=router,site=%s ms=3600000i,rtt_le_25=%di,rtt_le_50=%di,rtt_le_100=%di,rtt_le_150=%di,rtt_le_300=%di,rtt_le_600=%di,rtt_le_1200=%di,rtt_le_inf=%di,sent=%di,lost=%di,rx_bytes=%di,tx_bytes=%di,rx_peak_bps=%di,tx_peak_bps=%di,clients_max=%di %d\n",
			site, a/10, a/2, a-20, a-10, a-5, a-2, a-1, a, a+r.IntN(4), r.IntN(4), r.IntN(1e8), r.IntN(1e7), r.IntN(5e6), r.IntN(1e6), r.IntN(40), at)
		if of := (at - midnight) / hour; of >= 3 && of < 11 {
			for _, service := range []string{"clinic", "school"} {
				b = fmt.Appendf(b, "hour_service,agent=router,service=%s,site=%s ready_ms=%di,window_ms=3600000i %d\n", service, site, hour-r.Int64N(hour/10), at)
			}
		}
	}
	if r.IntN(7) < 2 {
		b = fmt.Appendf(b, "speedtest,agent=router,server=collector,site=%s down_bps=%di,up_bps=%di,min_rtt_ms=%.1f,used_bytes=5000000i %d\n",
			site, 1_000_000+r.IntN(9_000_000), 300_000+r.IntN(3_000_000), 20+80*r.Float64(), midnight+r.Int64N(24*hour))
	}
	return b
}

// request is how much text goes in one request.
const request = 4 << 20

// fill writes all of it into a database of an InfluxDB 1.8, day after day, as it would have come. It tells progress as a share.
func (l ledger) fill(ctx context.Context, influx, database string, progress func(done float64, lines int64)) error {
	if err := post(ctx, influx+"/query?"+url.Values{"q": {`CREATE DATABASE "` + database + `" WITH SHARD DURATION 13w`}}.Encode(), nil); err != nil {
		return err
	}
	to := influx + "/write?" + url.Values{"db": {database}, "precision": {"ms"}}.Encode()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2) // requests under way
	var text []byte
	var lines int64
	flush := func() {
		whole := text
		g.Go(func() error { return post(ctx, to, whole) })
		lines += int64(bytes.Count(whole, []byte{'\n'}))
		text = nil
	}
	days := int(l.to.Sub(l.from).Hours() / 24)
	for d := range days {
		midnight := l.from.Add(time.Duration(d) * 24 * time.Hour).UnixMilli()
		for n := range l.sites {
			if text = l.day(text, n, midnight); len(text) > request {
				flush()
			}
		}
		progress(float64(d+1)/float64(days), lines)
		if ctx.Err() != nil {
			break
		}
	}
	flush()
	return g.Wait()
}

// post sends one request to InfluxDB.
func post(ctx context.Context, to string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(io.LimitReader(res.Body, 1000))
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("InfluxDB answers %s: %s", res.Status, said)
	}
	return err
}
