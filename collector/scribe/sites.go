package scribe

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/telemetry"
)

const (
	siteAgain = 20 * time.Hour     // a site is told again after it, so that each day has its lines: detail may be kept for a day alone
	siteBack  = 7 * 24 * time.Hour // how far back the last lines are looked for, here and by the dashboards
	atOnce    = 5000               // lines in a request
	lookAgain = 10 * time.Minute   // how often a roster that has not changed is gone through all the same
)

// sites tells of the sites. What InfluxDB was told last is known, so that a line is written only for what changed.
type sites struct {
	told map[string]toldSite
	read bool // what InfluxDB has was taken in
	seen []fleet.Site
	gone time.Time // through all of it, without an error
}

// toldSite is the last line of a site.
type toldSite struct {
	line *telemetry.Line
	text string // of its fields
	at   time.Time
}

// siteLine is what the sites file says of a site. A site whose place is not known has none, one without target no target.
func siteLine(s fleet.Site, at time.Time, listed int64) *telemetry.Line {
	label := s.ID
	if s.Name != "" && s.Name != s.ID {
		label = s.Name + " (" + s.ID + ")"
	}
	l := telemetry.NewLine("site", at).Tag("site", s.ID).Int("listed", listed).Str("name", s.Title()).Str("label", label).Str("choice", "*;*;"+s.ID+";.*").
		Str("district", s.District).Str("operator", s.Operator).Str("technology", s.Technology)
	if s.Located() {
		l.Float("latitude", s.Latitude).Float("longitude", s.Longitude)
	}
	for _, n := range []struct {
		key   string
		value int64
	}{{"population", int64(s.Population)}, {"target_down_bps", int64(1e6*s.TargetDownMbps + 0.5)}, {"target_up_bps", int64(1e6*s.TargetUpMbps + 0.5)}} {
		if n.value > 0 {
			l.Int(n.key, n.value)
		}
	}
	if s.ServiceHours != "" {
		l.Str("service_hours", s.ServiceHours)
	}
	if s.TimeZone != "" {
		l.Str("time_zone", s.TimeZone)
	}
	return l
}

// write tells what is news: sites that are new, changed or gone, and those told of so long ago that the day would lack them.
func (s *sites) write(ctx context.Context, p Parts) error {
	if !s.read {
		if err := s.restore(ctx, p); err != nil {
			return fmt.Errorf("read back what was told of the sites: %w", err)
		}
		s.read = true
	}
	var news []toldSite
	now, here, all := p.Now(), map[string]bool{}, roster(p.Roster)
	if slices.Equal(all, s.seen) && now.Sub(s.gone) < lookAgain {
		return nil
	}
	tell := func(l *telemetry.Line) error {
		text, err := fieldsOf(l)
		old, ok := s.told[l.GetTag("site")]
		if err == nil && (!ok || old.text != text || now.Sub(old.at) >= siteAgain) {
			news = append(news, toldSite{l, text, now})
		}
		return err
	}
	for _, site := range all {
		here[site.ID] = true
		if err := tell(siteLine(site, now, 1)); err != nil {
			return err
		}
	}
	for id, old := range s.told {
		if listed, _ := old.line.GetInt("listed"); here[id] || listed == 0 {
			continue
		}
		l := *old.line
		l.Time, l.Fields = now.UnixMilli(), nil
		l.Int("listed", 0)
		l.Fields = append(l.Fields, slices.DeleteFunc(slices.Clone(old.line.Fields), func(f telemetry.Field) bool { return f.Key == "listed" })...)
		if err := tell(&l); err != nil {
			return err
		}
	}
	for some := range slices.Chunk(news, atOnce) {
		if err := s.send(ctx, p, some); err != nil {
			return err
		}
	}
	s.seen, s.gone = all, now
	return nil
}

// send writes lines to both tiers: panels that ask one of them need not ask the other too. Lines that did not come to both are written again, at a later time.
func (s *sites) send(ctx context.Context, p Parts, some []toldSite) (err error) {
	var text []byte
	for _, t := range some {
		if text, err = t.line.Append(text); err != nil {
			return err
		}
	}
	for _, tier := range []telemetry.Tier{telemetry.Ledger, telemetry.Detail} {
		if err := p.Database.Write(ctx, tier, text); err != nil {
			return fmt.Errorf("tell of %d sites: %w", len(some), err)
		}
	}
	for _, t := range some {
		s.told[t.line.GetTag("site")] = t
	}
	return nil
}

// roster are the sites of the file, and those that only agents name.
func roster(r fleet.Roster) []fleet.Site {
	all := r.Sites()
	known := map[string]bool{}
	for _, s := range all {
		known[s.ID] = true
	}
	for _, a := range r.Agents() {
		if !known[a.Site] {
			known[a.Site] = true
			all = append(all, fleet.Site{ID: a.Site})
		}
	}
	return all
}

// fieldsOf is a line's fields as text.
func fieldsOf(l *telemetry.Line) (string, error) {
	timeless := *l
	timeless.Time = 0
	text, err := timeless.Append(nil)
	return string(text), err
}

// siteFields are the fields of the schema, in the order in which siteLine writes them.
func siteFields() []telemetry.FieldSpec {
	for _, m := range telemetry.OwnSchema() {
		if m.Name == "site" {
			return m.Fields
		}
	}
	return nil
}

// restore reads the last line of each site from the ledger.
func (s *sites) restore(ctx context.Context, p Parts) error {
	fields := siteFields()
	columns := make([]string, len(fields))
	for i, f := range fields {
		columns[i] = `"` + f.Key + `"`
	}
	columns[0] = `last("listed") AS "listed"` // the others come from the same line
	series, err := p.Database.Query(ctx, telemetry.Ledger, fmt.Sprintf(`SELECT %s FROM "site" WHERE time > %dms GROUP BY "site"`,
		strings.Join(columns, ", "), p.Now().Add(-siteBack).UnixMilli()))
	if err != nil {
		return err
	}
	for _, one := range series {
		for _, row := range one.Values {
			l := lineOf(one.Tags["site"], fields, row)
			text, err := fieldsOf(l)
			if err != nil {
				return err
			}
			s.told[one.Tags["site"]] = toldSite{l, text, time.UnixMilli(l.Time)}
		}
	}
	return nil
}

// lineOf is a row as the line that it was.
func lineOf(site string, fields []telemetry.FieldSpec, row []any) *telemetry.Line {
	l := telemetry.NewLine("site", time.Time{}).Tag("site", site)
	for i, v := range row {
		n, number := v.(json.Number)
		text, isText := v.(string)
		switch {
		case i == 0:
			l.Time, _ = n.Int64()
		case i > len(fields) || v == nil:
		case number && fields[i-1].Type == telemetry.Float:
			x, _ := n.Float64()
			l.Float(fields[i-1].Key, x)
		case number:
			x, _ := n.Int64()
			l.Int(fields[i-1].Key, x)
		case isText:
			l.Str(fields[i-1].Key, text)
		}
	}
	return l
}
