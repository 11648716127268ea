package survey

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/sheet"
)

// Options are what the one who imports says.
type Options struct {
	Workbook bool              // numbers were told as numbers
	Map      map[string]string // header to key, for columns whose header says nothing
	IDFrom   string            // "": ids are as the table has them; "name" or "id": made of it
	TimeZone string            // of sites whose row has none
}

// Survey is a table of sites that has been read.
type Survey struct {
	HeaderRow int
	Columns   []Column
	LeftOut   []string // headers of columns that are not used
	Sites     []Entry
}

// Entry is one row.
type Entry struct {
	Row  int
	Site fleet.Site
	told map[string]bool // keys that the row has a value for
}

// searched is how many rows that are not empty may stand before the headers and among them.
const searched = 20

// Read finds the headers and reads every row. The error joins all faults.
func Read(rows iter.Seq2[sheet.Row, error], o Options) (*Survey, error) {
	var s Survey
	var faults []error
	var h *headers
	var first []sheet.Row
	byID := map[string]int{} // to the row
	zones := map[string]error{}
	take := func(row sheet.Row) {
		e, bad := h.entry(row, &o, zones)
		if id := e.Site.ID; id != "" {
			if before, twice := byID[id]; twice {
				bad = append(bad, fmt.Errorf("row %d: the id %q is that of row %d already; each site has one row", row.Number, id, before))
			} else {
				byID[id] = row.Number
			}
		}
		s.Sites = append(s.Sites, e)
		faults = append(faults, bad...)
	}
	begin := func() error {
		best, most := -1, 0
		for i, row := range first {
			if n := known(row, &o); n > most {
				best, most = i, n
			}
		}
		switch {
		case len(first) == 0:
			return errors.New("has no row; a table of sites begins with a row of headers")
		case best < 0:
			return fmt.Errorf("has no row of headers among its first %d; name columns with --map 'HEADER=id' and the like; row %d has: %s",
				len(first), first[0].Number, strings.Join(quoted(first[0].Cells), ", "))
		}
		found, err := match(first[best], &o)
		if err != nil {
			return err
		}
		h = &found
		s.HeaderRow, s.Columns = h.row, h.columns
		for _, row := range first[best+1:] {
			take(row)
		}
		return nil
	}
	for row, err := range rows {
		if err != nil {
			return nil, errors.Join(append(faults, err)...)
		}
		if h != nil {
			take(row)
			continue
		}
		if first = append(first, row); len(first) == searched {
			if err := begin(); err != nil {
				return nil, err
			}
		}
	}
	if h == nil {
		if err := begin(); err != nil {
			return nil, err
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	s.LeftOut = h.leftOut
	if len(s.Sites) == 0 {
		return nil, fmt.Errorf("has no row of a site below its headers in row %d", h.row)
	}
	return &s, nil
}

// entry reads one row.
func (h *headers) entry(row sheet.Row, o *Options, zones map[string]error) (Entry, []error) {
	e := Entry{Row: row.Number, told: map[string]bool{}}
	var faults []error
	values := map[string]string{}
	for _, c := range h.columns {
		if c.At >= len(row.Cells) || row.Cells[c.At] == "" {
			continue
		}
		text := row.Cells[c.At]
		values[c.Key], e.told[c.Key] = text, true
		if err := e.set(c, text, o, zones); err != nil {
			faults = append(faults, fmt.Errorf("row %d, column %s %q: got %q, %w", row.Number, letters(c.At), c.Header, short(text), err))
		}
	}
	fault := func(format string, a ...any) {
		faults = append(faults, fmt.Errorf("row %d: %w", row.Number, fmt.Errorf(format, a...)))
	}
	if o.IDFrom == "name" {
		if text, ok := values["name"]; !ok {
			fault("has no name to make an id of")
		} else if id, err := idOf(text); err != nil {
			fault("no id can be made of the name %q: %w", short(text), err)
		} else {
			e.Site.ID = id
		}
	} else if values["id"] == "" {
		fault("has no id; give the site one, or delete what stands in the row")
	}
	if e.told["latitude"] != e.told["longitude"] {
		fault("has one of latitude and longitude; give both or neither")
	}
	for i := h.width; i < len(row.Cells); i++ {
		if row.Cells[i] == "" {
			continue
		}
		if o.Workbook {
			h.leftOut = append(h.leftOut, "column "+letters(i)+", which has no header")
			h.width = i + 1
		} else {
			fault("has %q in column %s, beyond the headers; a comma within a value has to stand in quotation marks", short(row.Cells[i]), letters(i))
			break
		}
	}
	if o.TimeZone != "" && !e.told["time_zone"] {
		e.Site.TimeZone = o.TimeZone
	}
	return e, faults
}

// String is the column in words: "B \"Village\" is name".
func (c Column) String() string { return fmt.Sprintf("%s %q is %s", letters(c.At), c.Header, c.Key) }

// with is the site as the row would have it: what the row does not tell stays as it was.
func (e *Entry) with(now fleet.Site) fleet.Site {
	s, told := now, e.Site
	for _, f := range []struct {
		key      string
		to, from *string
	}{{"name", &s.Name, &told.Name}, {"district", &s.District, &told.District}, {"operator", &s.Operator, &told.Operator},
		{"upstream", &s.Upstream, &told.Upstream}, {"technology", &s.Technology, &told.Technology}, {"service_hours", &s.ServiceHours, &told.ServiceHours}, {"time_zone", &s.TimeZone, &told.TimeZone}} {
		if e.told[f.key] {
			*f.to = *f.from
		}
	}
	for _, f := range []struct {
		key      string
		to, from *float64
	}{{"latitude", &s.Latitude, &told.Latitude}, {"longitude", &s.Longitude, &told.Longitude},
		{"target_down_mbps", &s.TargetDownMbps, &told.TargetDownMbps}, {"target_up_mbps", &s.TargetUpMbps, &told.TargetUpMbps}} {
		if e.told[f.key] {
			*f.to = *f.from
		}
	}
	if e.told["population"] {
		s.Population = told.Population
	}
	if e.told["students"] {
		s.Students = told.Students
	}
	if e.told["data_budget_mb"] {
		s.DataBudgetMB = told.DataBudgetMB
	}
	return s
}

// short cuts a long value for a message.
func short(text string) string {
	if r := []rune(text); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return text
}

// Check tells what is wrong with the options.
func (o Options) Check() error {
	var faults []error
	if o.IDFrom != "" && o.IDFrom != "name" && o.IDFrom != "id" {
		faults = append(faults, fmt.Errorf("--id-from: got %q, want name or id", o.IDFrom))
	}
	seen := map[string]string{}
	for _, header := range slices.Sorted(maps.Keys(o.Map)) {
		key := o.Map[header]
		switch other, twice := seen[key]; {
		case !slices.Contains(Keys(), key):
			faults = append(faults, fmt.Errorf("--map: got %q for %q, want one of %s", key, header, strings.Join(Keys(), ", ")))
		case twice:
			faults = append(faults, fmt.Errorf("--map: both %q and %q are %s; one column has each value", other, header, key))
		}
		seen[key] = header
	}
	if err := (fleet.Site{ID: "x", TimeZone: o.TimeZone}).Check(); err != nil {
		faults = append(faults, fmt.Errorf("--time-zone: got %q, want an IANA name such as Asia/Karachi", o.TimeZone))
	}
	return errors.Join(faults...)
}
