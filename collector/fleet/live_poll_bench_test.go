package fleet

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

// BenchmarkABoardOfFiveThousandSitesPolls has two hours of a batch a minute of each behind it. The far poll comes once a minute, the near ones
// between, every third with readings. The ledger has a span an hour of each, of the last day.
func BenchmarkABoardOfFiveThousandSitesPolls(b *testing.B) {
	const sites, minutes = 5000, 120
	db := influxd.ForTest(b)
	s, err := store.Open(store.Config{URL: db.URL, Token: db.Token, Org: db.Org, DetailBucket: db.Database(b, "detail"), LedgerBucket: db.Database(b, "ledger"), Timeout: 5 * time.Minute}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	if err := s.Ensure(b.Context()); err != nil {
		b.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Second)
	r := &village{}
	var text []byte
	flush := func(tier telemetry.Tier) {
		if err := s.Write(b.Context(), tier, text); err != nil {
			b.Fatal(err)
		}
		text = text[:0]
	}
	for n := range sites {
		r.sites = append(r.sites, Site{ID: fmt.Sprintf("site-%04d", n)})
		r.agents = append(r.agents, telemetry.Address{Site: fmt.Sprintf("site-%04d", n), Agent: "main"})
	}
	for m := range minutes {
		at := now.Add(time.Duration(m-minutes) * time.Minute).UnixMilli()
		for n := range sites {
			tags := fmt.Sprintf("agent=main,site=site-%04d", n)
			text = fmt.Appendf(text, "batch,%s seq=%di,boot=\"0123abcd\",open_state=\"up\",open_ms=60000i,clock=\"synced\",next_s=60i %d\n", tags, m+1, at)
			text = fmt.Appendf(text, "link,%s,target=internet sent=10i,lost=0i,rtt_avg_ms=40.5 %d\n", tags, at)
			text = fmt.Appendf(text, "link,%s,target=collector sent=10i,lost=0i,rtt_avg_ms=80.5 %d\n", tags, at)
			text = fmt.Appendf(text, "traffic,%s,iface=wan rx_bytes=600000i,tx_bytes=60000i %d\n", tags, at)
			if n%1000 == 999 {
				flush(telemetry.Detail)
			}
		}
	}
	for h := range 24 {
		for n := range sites {
			text = fmt.Appendf(text, "span,agent=main,site=site-%04d,state=up ms=3600000i,err_ms=10i %d\n", n, now.Add(-time.Duration(h+1)*time.Hour).UnixMilli())
		}
		flush(telemetry.Ledger)
	}
	live := NewLive(r, LiveOptions{Now: func() time.Time { return now }})
	if err := live.Restore(b.Context(), s); err != nil {
		b.Fatal(err)
	}
	p := NewPoller(live, s)
	for _, kind := range []string{"states", "states and readings", "far", "whole day"} {
		b.Run(kind, func(b *testing.B) {
			for b.Loop() {
				p.slow, p.far, p.whole = now, now, now
				switch kind {
				case "states and readings":
					p.slow = time.Time{}
				case "far":
					p.far = time.Time{}
				case "whole day":
					p.far, p.whole = time.Time{}, time.Time{}
				}
				if err := p.Poll(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
