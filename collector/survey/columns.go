package survey

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/sheet"
)

// names are the headers by which a value of a site is known, without case, spaces and signs. What stands behind the
// bar is taken only where no other column has the value: a province for the district, a village for the name.
func names(key string) (own, weak []string) {
	list := map[string]string{
		"id":               "id siteid sitecode code siteno sitenumber | site",
		"name":             "name sitename villagename | village location site place",
		"district":         "district districtname | subdistrict province region county governorate tehsil taluka upazila woreda",
		"operator":         "operator isp provider operatorname internetprovider serviceprovider internetserviceprovider carrier",
		"upstream":         "upstream tower relay backbone parentsite parent",
		"data_budget_mb":   "databudget databudgetmb monthlybudget monthlydata datalimit",
		"technology":       "technology tech linktype connectiontype accesstechnology linktechnology | type link connection",
		"latitude":         "latitude lat gpslatitude gpslat | y",
		"longitude":        "longitude lon lng long gpslongitude gpslon gpslong | x",
		"population":       "population pop people inhabitants peopleserved populationserved",
		"students":         "students pupils learners enrolment enrollment studentsenrolled studentcount numberofstudents numberofpupils totalstudents",
		"service_hours":    "servicehours hours openinghours workinghours",
		"target_down_mbps": "targetdown downtarget downloadtarget targetdownload targetdownloadspeed downloadspeedtarget | download down downloadspeed",
		"target_up_mbps":   "targetup uptarget uploadtarget targetupload targetuploadspeed uploadspeedtarget | upload up uploadspeed",
		"time_zone":        "timezone tz",
	}
	a, b, _ := strings.Cut(list[key], "|")
	return strings.Fields(a), strings.Fields(b)
}

// Keys are the values that a spreadsheet can bring.
func Keys() []string {
	var keys []string
	for _, f := range (fleet.Site{}).Fields() {
		keys = append(keys, f.Key)
	}
	return keys
}

// Column is a column of the table that brings a value.
type Column struct {
	At     int    // from 0
	Header string // as it stands in the table
	Key    string
	scale  float64 // of a speed, to Mbit/s; 0 where the header names no unit
}

// headers is what was found out about the header row.
type headers struct {
	row     int
	columns []Column
	leftOut []string
	width   int
}

var speedUnit = regexp.MustCompile(`(?i)([kmg])\s?(?:(bytes?)|(b)|bits?)\s?(?:/|p)\s?s(?:ec)?\b`)

// unit is the factor from a text such as "kbps" or "Mbit/s" to Mbit/s; 0 where there is none.
func unit(text string) (scale float64, rest string, err error) {
	m := speedUnit.FindStringSubmatchIndex(text)
	if m == nil {
		return 0, text, nil
	}
	found := text[m[0]:m[1]]
	if capital := m[6] >= 0 && text[m[6]] == 'B'; m[4] >= 0 || capital && (strings.Contains(found, "/") || found != strings.ToUpper(found)) {
		return 0, text, fmt.Errorf("%q may be bytes; write Mbit/s or kbit/s", found)
	}
	scale = map[string]float64{"k": 0.001, "m": 1, "g": 1000}[strings.ToLower(text[m[2]:m[3]])]
	return scale, text[:m[0]] + text[m[1]:], nil
}

// plain is a header without what people write differently: case, spaces, signs, and what stands in brackets.
func plain(header string) string {
	if i := strings.IndexAny(header, "(["); i > 0 {
		header = header[:i]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, header)
}

// same compares headers as --map names them.
func same(a, b string) bool {
	return strings.EqualFold(strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " "))
}

// known counts the cells of a row that are headers.
func known(row sheet.Row, o *Options) (n int) {
	for _, cell := range row.Cells {
		hit := false
		for header := range o.Map {
			hit = hit || same(header, cell)
		}
		_, cell, _ = unit(cell)
		for _, key := range Keys() {
			own, weak := names(key)
			hit = hit || plain(cell) != "" && (slices.Contains(own, plain(cell)) || slices.Contains(weak, plain(cell)))
		}
		if hit {
			n++
		}
	}
	return n
}

// match finds the column of each value: by --map, by its own names, then by weaker ones.
func match(row sheet.Row, o *Options) (headers, error) {
	h := headers{row: row.Number, width: len(row.Cells)}
	var faults []error
	fault := func(format string, a ...any) {
		faults = append(faults, fmt.Errorf("row %d: %w", row.Number, fmt.Errorf(format, a...)))
	}
	taken := make([]string, len(row.Cells)) // key of each column
	take := func(key string, fits func(cell string) bool) bool {
		var at []int
		for i, cell := range row.Cells {
			if taken[i] == "" && cell != "" && fits(cell) {
				at = append(at, i)
			}
		}
		if len(at) > 1 {
			fault("columns %s and %s both are %s; say which with --map '%s=%s'", nameOf(row, at[0]), nameOf(row, at[1]), key, row.Cells[at[0]], key)
		}
		if len(at) > 0 {
			taken[at[0]] = key
		}
		return len(at) > 0
	}
	has := map[string]bool{}
	for _, key := range Keys() {
		for header, to := range o.Map {
			if to == key {
				has[key] = take(key, func(cell string) bool { return same(cell, header) })
				if !has[key] {
					fault("has no column %q, which --map names; there are: %s", header, strings.Join(quoted(row.Cells), ", "))
				}
			}
		}
	}
	for _, weaker := range []bool{false, true} {
		for _, key := range Keys() {
			own, weak := names(key)
			if weaker {
				own = weak
			}
			if !has[key] {
				for _, name := range own {
					if !weaker {
						name = ""
					}
					if has[key] = take(key, func(cell string) bool {
						scale, cell, _ := unit(cell)
						if key == "upstream" && scale != 0 { // "Upstream (Mbit/s)" is a speed
							return false
						}
						return plain(cell) == name || !weaker && slices.Contains(own, plain(cell))
					}); has[key] {
						break
					}
				}
			}
		}
	}
	for i, cell := range row.Cells {
		switch key := taken[i]; {
		case cell == "":
			h.leftOut = append(h.leftOut, "column "+letters(i)+", which has no header")
		case key == "" || key == "id" && o.IDFrom != "" && o.IDFrom != "id":
			h.leftOut = append(h.leftOut, nameOf(row, i))
		default:
			c := Column{At: i, Header: cell, Key: key}
			if strings.HasPrefix(key, "target_") {
				var err error
				if c.scale, _, err = unit(cell); err != nil {
					fault("column %s: %w", nameOf(row, i), err)
				}
			}
			h.columns = append(h.columns, c)
		}
	}
	need := "id"
	if o.IDFrom != "" {
		need = o.IDFrom
	}
	if !has[need] && len(faults) == 0 {
		fault("no column is the %s of a site; name it with --map 'HEADER=%s'%s; there are: %s", need, need,
			map[bool]string{true: ", or have ids made of names with --id-from name"}[need == "id"], strings.Join(quoted(row.Cells), ", "))
	}
	return h, errors.Join(faults...)
}

// nameOf is a column as a spreadsheet program names it, and its header.
func nameOf(row sheet.Row, at int) string { return fmt.Sprintf("%s %q", letters(at), row.Cells[at]) }

// letters names a column: A, B, … Z, AA.
func letters(at int) string {
	name := ""
	for at++; at > 0; at = (at - 1) / 26 {
		name = string(rune('A'+(at-1)%26)) + name
	}
	return name
}

func quoted(cells []string) []string {
	var out []string
	for _, c := range cells {
		if c != "" {
			out = append(out, fmt.Sprintf("%q", c))
		}
	}
	return out
}
