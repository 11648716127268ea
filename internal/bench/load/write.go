package load

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// bodyLines is how many lines one request of the tight writer has.
const bodyLines = 5000

// body is one request.
type body struct {
	database string
	text     []byte
	points   int64
}

// write is the yardstick: the same lines, stamped beforehand, on four connections and nothing else.
func write(ctx context.Context, p Plan, begin <-chan struct{}, r *reporter) error {
	var all []body
	var ledger, detail body
	flush := func(b *body, database string, least int) {
		if n := bytes.Count(b.text, []byte{'\n'}); n >= least && n > 0 {
			b.database = database
			all = append(all, *b)
			*b = body{}
		}
	}
	for k := range p.Batches {
		for a := range p.Agents {
			ledger.text = p.points(ledger.text, a, k, true)
			ledger.points += Lines
			detail.text = p.header(detail.text, a, k, true)
			if ledger.points == bodyLines {
				flush(&ledger, p.Database[0], 1)
			}
			if (k*p.Agents+a+1)%bodyLines == 0 {
				flush(&detail, p.Database[1], 1)
			}
		}
	}
	flush(&ledger, p.Database[0], 1)
	flush(&detail, p.Database[1], 1)
	r.tell(Status{Ready: true})
	select {
	case <-begin:
	case <-ctx.Done():
		return nil
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4, DisableCompression: true}, Timeout: time.Minute}
	var next, acked atomic.Int64
	g, gctx := errgroup.WithContext(ctx)
	for range 4 {
		g.Go(func() error {
			for {
				n := int(next.Add(1)) - 1
				if n >= len(all) {
					return nil
				}
				req, err := http.NewRequestWithContext(gctx, http.MethodPost, p.Addr+"/write?precision=ms&db="+all[n].database, bytes.NewReader(all[n].text))
				if err != nil {
					return err
				}
				res, err := client.Do(req)
				if err != nil {
					return err
				}
				said, _ := io.ReadAll(res.Body)
				res.Body.Close()
				if res.StatusCode != http.StatusNoContent {
					return fmt.Errorf("InfluxDB answers %s: %.300s", res.Status, said)
				}
				acked.Add(all[n].points)
			}
		})
	}
	done := make(chan error, 1)
	go func() { done <- g.Wait() }()
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			s := Status{Ready: true, Done: err == nil, Acked: acked.Load() / Lines}
			if err != nil {
				s.Fault = err.Error()
			}
			r.tell(s)
			<-ctx.Done()
			return err
		case <-tick.C:
			r.tell(Status{Ready: true, Acked: acked.Load() / Lines})
		}
	}
}
