package checkup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

// clocksApart is how far InfluxDB's clock may be off before people wonder about what they see.
const clocksApart = 10 * time.Second

// influx looks at the database: reached, let in, what it keeps and for how long.
func (k *checkup) influx(ctx context.Context) {
	f := Finding{Matter: "InfluxDB"}
	s, err := collector.OpenStore(k.c)
	if err != nil { // Validate has refused it
		k.tell(Finding{Matter: f.Matter, Grade: Fail, Found: err.Error(), Next: "mend influx.url"})
		k.noStore = true
		return
	}
	defer s.Close()
	was := time.Now()
	at, err := s.Inspect(ctx)
	if err != nil {
		k.noStore = true
		f.Grade, f.Found, f.Next = Fail, err.Error(), "systemctl status influxdb says whether it runs; until it does nothing is acknowledged, and the agents keep what they have"
		if errors.Is(err, store.ErrNoOrg) {
			f.Next = "set influx.org in [influx] to the name of the organisation"
		}
		k.tell(f)
		return
	}
	f.Found = fmt.Sprintf("%s answers, version %s, in %d ms", k.c.Influx.URL, at.Version, time.Since(was).Milliseconds())
	if off := at.Clock.Sub(k.Now()); !at.Clock.IsZero() && off.Abs() > clocksApart {
		f.Grade, f.Found = Warn, fmt.Sprintf("%s; its clock is %s off from this machine's", f.Found, off.Abs().Round(time.Second))
		f.Next = "let NTP set both machines' clocks: detail is kept by InfluxDB's clock"
	}
	k.tell(f)
	for _, b := range at.Buckets {
		k.bucket(at, b)
	}
}

// bucket looks at one tier.
func (k *checkup) bucket(at store.Condition, b store.Bucket) {
	f := Finding{Matter: b.Tier.String(), Found: fmt.Sprintf("%q may be read and written, and keeps lines %s", b.Name, store.Span(b.Keep))}
	init := "INFLUX_TOKEN in the environment of nabz-collector init (2.x: an operator's token; 1.8: \"user:password\" of an admin) lets it make what is missing"
	switch {
	case errors.Is(b.Read, store.ErrNoBucket) || errors.Is(b.Write, store.ErrNoBucket):
		f.Grade, f.Found, f.Next = Fail, fmt.Sprintf("there is no %q for this credential", b.Name), init
		k.noStore = true
	case b.Read != nil:
		f.Grade, f.Found, f.Next = Fail, fmt.Sprintf("%q may not be read: %v", b.Name, b.Read), init
		k.noStore = true
	case b.Write != nil:
		f.Grade, f.Found, f.Next = Fail, fmt.Sprintf("%q may not be written: %v", b.Name, b.Write), init
		k.noStore = true
	case at.Major == 3:
		f.Found = fmt.Sprintf("%q may be read and written", b.Name)
	case b.Kept != nil:
		f.Grade, f.Found, f.Next = Warn, fmt.Sprintf("%q may be read and written; how long it keeps lines is not known: %v", b.Name, b.Kept), "ask InfluxDB as its admin"
	case b.Mend != "":
		f.Grade, f.Next = Warn, k.mend(at, b)
		switch {
		case b.Tier == telemetry.Ledger && b.Keep > 0:
			f.Grade, f.Found = Fail, f.Found+": after that no figure can be made any more"
		case b.Keep != b.WantKeep:
			f.Found += fmt.Sprintf("; influx.detail_retention says %s", store.Span(b.WantKeep))
		default:
			f.Found += fmt.Sprintf("; one file of it holds %s, with which reports take twice as long as with %s", weeks(b.Shard), weeks(b.MinShard))
		}
	case b.MinShard > 0 && b.Shard > 0:
		f.Found += ", " + weeks(b.Shard) + " a file"
	}
	k.tell(f)
}

// mend is how to have the statement done, which the collector's own credential may not.
func (k *checkup) mend(at store.Condition, b store.Bucket) string {
	if at.Major == 2 {
		return "as InfluxDB's admin: " + b.Mend
	}
	return fmt.Sprintf("as InfluxDB's admin: curl -u ADMIN %s/query --data-urlencode 'q=%s'", strings.TrimSuffix(k.c.Influx.URL, "/"), b.Mend)
}

func weeks(d time.Duration) string {
	if week := 7 * 24 * time.Hour; d%week == 0 && d > week {
		return fmt.Sprintf("%d weeks", d/week)
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

// testLine is the measurement of test lines: no figure, page or dashboard asks for it.
const testLine = "nabz_check"

// line writes a test line into each bucket and reads it back.
func (k *checkup) line(ctx context.Context) {
	f := Finding{Matter: "test line"}
	if k.noStore {
		k.tell(Finding{Matter: f.Matter, Grade: Fail, Found: "not tried: InfluxDB cannot be used", Next: "mend what is above first"})
		return
	}
	s, err := collector.OpenStore(k.c)
	if err != nil {
		k.tell(Finding{Matter: f.Matter, Grade: Fail, Found: err.Error(), Next: "mend influx.url"})
		return
	}
	defer s.Close()
	was := time.Now()
	for _, tier := range []telemetry.Tier{telemetry.Detail, telemetry.Ledger} {
		if err := k.roundTrip(ctx, s, tier); err != nil {
			k.tell(Finding{Matter: f.Matter, Grade: Fail, Found: fmt.Sprintf("%s: %v", tier, err), Next: "look at InfluxDB's own log (journalctl -u influxdb): a full disk is answered with 500, by 1.8 until it is restarted"})
			return
		}
	}
	k.pass(f.Matter, "written into both and read back in %d ms", time.Since(was).Milliseconds())
}

// roundTrip writes the point of this day, with a value that was never there, and looks for it.
func (k *checkup) roundTrip(ctx context.Context, s *store.Store, tier telemetry.Tier) error {
	at, mark := k.Now().Truncate(24*time.Hour).UnixMilli(), time.Now().UnixNano()
	host, err := os.Hostname()
	if err != nil {
		host = "collector"
	}
	text := fmt.Sprintf("%s,by=%s mark=%di %d\n", testLine, strings.NewReplacer(" ", "-", ",", "-", "=", "-").Replace(host), mark, at)
	if err := s.Write(ctx, tier, []byte(text)); err != nil {
		return err
	}
	series, err := s.Query(ctx, tier, fmt.Sprintf("SELECT mark FROM %s WHERE time = %dms", testLine, at))
	if err != nil {
		return err
	}
	for _, one := range series {
		for _, row := range one.Values {
			if n, ok := row[len(row)-1].(json.Number); ok && n.String() == fmt.Sprint(mark) {
				return nil
			}
		}
	}
	return errors.New("InfluxDB says that it has stored a line, and does not give it back")
}
