package survey

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/sheet"
)

// table is rows, each with cells kept apart by "|"; the first is row 1.
func table(lines ...string) iter.Seq2[sheet.Row, error] {
	return func(yield func(sheet.Row, error) bool) {
		for i, l := range lines {
			if l != "" && !yield(sheet.Row{Number: i + 1, Cells: strings.Split(l, "|")}, nil) {
				return
			}
		}
	}
}

func TestCoordinatesAreReadAsPeopleWriteThemOrRefused(t *testing.T) {
	for text, want := range map[string]float64{
		"33.6894": 33.6894, "33,6894": 33.6894, "-1.285": -1.285, "−1,285": -1.285, "33.6894°": 33.6894, "0": 0, "90": 90, "+7": 7,
		"33.6894 N": 33.6894, "33.6894° S": -33.6894, "N 33.6894": 33.6894, "S33": -33, "33.5 north": 33.5, "South 1.5": -1.5,
		`33°41'22"N`: 33.6894444, "33°41′22″ N": 33.6894444, "33º 41’ 22,5” s": -33.6895833, "33d 41m 22s N": 33.6894444, "33 41 22 N": 33.6894444,
		"33:41:22": 33.6894444, "-33°41'": -33.6833333, "33° 41.367' N": 33.68945, "33 deg 41 min N": 33.6833333, "N 33°41'22\"": 33.6894444,
		"3.3E1": 33, "-9.99E-2": -0.0999,
	} {
		if got, err := coordinate(text, latitude); got != want || err != nil {
			t.Errorf("%q: got %v, %v; want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"91": "is beyond 90 degrees; want", "336894": "has it lost its decimal point?", "33 689": "is no angle; want degrees such as 33.6894, 33,6894 or", "33.689.123": "is no angle",
		"-33 N": "has a sign and a side", "33 E": "E is no side for a latitude, which is N or S; are the columns swapped?", "33 O": "O is west to some and east to others",
		"33°61'N": "60 minutes or seconds, or more", "33°41.5'22\"N": "minutes with a fraction, and seconds too", "": "is no angle", "N": "is no angle",
		"n/a": "is no angle", "1e999": "want degrees", "NaN": "is no angle", "33°41'22\"N 72°54'30\"E": "is no side", "1,234.5": "is no angle", "3.3E9": "want degrees",
	} {
		if got, err := coordinate(text, latitude); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v; want an error with %q", text, got, err, want)
		}
	}
	if got, err := coordinate("-179,5", longitude); got != -179.5 || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestNumbersAreReadAsPeopleWriteThemOrRefused(t *testing.T) {
	type reader = func(text string, workbook bool) (float64, error)
	readers := map[string]reader{
		"whole":   func(text string, _ bool) (float64, error) { n, err := whole(text); return float64(n), err },
		"decimal": decimal,
		"kbps":    func(text string, workbook bool) (float64, error) { return mbps(text, 0.001, workbook) },
		"mbps":    func(text string, workbook bool) (float64, error) { return mbps(text, 0, workbook) },
	}
	tests := []struct {
		reader, text string
		workbook     bool
		want         float64
		fault        string
	}{
		{"whole", "1234", false, 1234, ""}, {"whole", "1,234", false, 1234, ""}, {"whole", "1 234", false, 1234, ""}, {"whole", "1'234'567", false, 1234567, ""},
		{"whole", "1.234.567", false, 1234567, ""}, {"whole", "1200.0", false, 1200, ""}, {"whole", "1E3", true, 1000, ""}, {"whole", "0", false, 0, ""},
		{"whole", "1.234", false, 0, "may be 1234 or a fraction; write 1234"}, {"whole", "1.5", false, 0, "want a whole number"}, {"whole", "12,34", false, 0, "want a whole number"},
		{"whole", "-5", false, 0, "want a whole number"}, {"whole", "1,234.567", false, 0, "want a whole number"}, {"whole", "about 900", false, 0, "want a whole number"},
		{"whole", "9999999999999", false, 0, "want a whole number"}, {"whole", "٣", false, 0, "want a whole number"},
		{"decimal", "12.5", false, 12.5, ""}, {"decimal", "12,5", false, 12.5, ""}, {"decimal", "1,234.5", false, 1234.5, ""}, {"decimal", "1.234,5", false, 1234.5, ""},
		{"decimal", "1 234,5", false, 1234.5, ""}, {"decimal", "0,512", false, 0.512, ""}, {"decimal", "1.125", true, 1.125, ""}, {"decimal", "1,234,567", false, 1234567, ""},
		{"decimal", "1,500", false, 0, "may be 1500 or 1.5; write it so"}, {"decimal", "1.125", false, 0, "may be 1125 or 1.1250; write it so"}, {"decimal", "1,125", true, 0, "may be 1125 or 1.1250"},
		{"decimal", "1.1250", false, 1.125, ""}, {"decimal", "1,2,3", false, 0, "want a number"}, {"decimal", ".5", false, 0, "want a number"}, {"decimal", "5.", false, 0, "want a number"},
		{"decimal", "Inf", false, 0, "want a number"}, {"decimal", "0x10", false, 0, "want a number"}, {"decimal", "1_000", false, 0, "want a number"},
		{"kbps", "512", false, 0.512, ""}, {"kbps", "2 Mbps", false, 2, ""}, {"mbps", "512 kbit/s", false, 0.512, ""}, {"mbps", "1 Gbps", false, 1000, ""}, {"mbps", "10MBPS", false, 10, ""},
		{"mbps", "10", false, 10, ""}, {"mbps", "10 MB/s", false, 0, `"MB/s" may be bytes; write Mbit/s or kbit/s`}, {"mbps", "10 MBps", false, 0, "may be bytes"}, {"mbps", "-1", false, 0, "want 0 or more"},
		{"mbps", "10/2", false, 0, "want a number"},
	}
	for _, tt := range tests {
		got, err := readers[tt.reader](tt.text, tt.workbook)
		if got != tt.want || tt.fault == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("%s %q (workbook %v): got %v, %v; want %v, %q", tt.reader, tt.text, tt.workbook, got, err, tt.want, tt.fault)
		}
	}
}

func TestIdsAreMadeOfNames(t *testing.T) {
	for name, want := range map[string]string{"Gokina": "gokina", " Aït Ben-Haddou (north) ": "ait-ben-haddou-north", "Nuur'ad": "nuurad", "GB_001/2": "gb-001-2",
		"Ñandú Straße Øst": "nandu-strasse-ost", "Ƙofar Ɓirni": "kofar-birni", "Hà Nội": "ha-noi", "½ way": ""} {
		if got, err := idOf(name); got != want || (err != nil) != (want == "") {
			t.Errorf("%q: got %q, %v; want %q", name, got, err, want)
		}
	}
	for name, want := range map[string]string{"گوکینا 2": "is no letter of a-z or like one", "--": "no letter and no digit", strings.Repeat("long ", 20): "99 characters long, and 63 are allowed"} {
		if got, err := idOf(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %q, %v; want an error with %q", name, got, err, want)
		}
	}
}

func TestColumnsAreFoundByTheirHeaders(t *testing.T) {
	tests := []struct {
		name  string
		row   string
		o     Options
		want  string // key at column, in order of columns
		left  string
		fault string
	}{
		{"synonyms, case and spaces", " SITE code|Village Name|lat|LNG|I.S.P.|Type|tz|Opening hours", Options{}, "A id, B name, C latitude, D longitude, E operator, F technology, G time_zone, H service_hours", "", ""},
		{"units and brackets", "ID|Population (2023)|Download target (kbps)|Upload Mbit/s", Options{}, "A id, B population, C target_down_mbps, D target_up_mbps", "", ""},
		{"students", "id|No. of Pupils|Number of students (2026)", Options{Map: map[string]string{"Number of students (2026)": "students"}}, "A id, C students", `B "No. of Pupils"`, ""},
		{"students by another word", "id|Enrolment", Options{}, "A id, B students", "", ""},
		{"what it hangs on, and not a speed", "id|Tower|Data budget (MB)", Options{}, "A id, B upstream, C data_budget_mb", "", ""},
		{"a speed, and not what it hangs on", "id|Upstream (Mbit/s)", Options{}, "A id", `B "Upstream (Mbit/s)"`, ""},
		{"the better name wins", "Site|Site ID|Village|Province|District", Options{}, "B id, C name, E district", `A "Site", D "Province"`, ""},
		{"a province where there is no district", "Site|Name|Province", Options{}, "A id, B name, C district", "", ""},
		{"site is the name where there is a code", "Code|Site", Options{}, "A id, B name", "", ""},
		{"unknown columns are told", "id|Remarks||Chief", Options{}, "A id", `B "Remarks", column C, which has no header, D "Chief"`, ""},
		{"mapped", "Kennung|Ort|id", Options{Map: map[string]string{"kennung": "id"}}, "A id", `B "Ort", C "id"`, ""},
		{"ids of names", "id|name", Options{IDFrom: "name"}, "B name", `A "id"`, ""},
		{"two for one", "id|ISP|Operator", Options{}, "", "", `row 1: columns B "ISP" and C "Operator" both are operator; say which with --map 'ISP=operator'`},
		{"mapped to what is not there", "id|name", Options{Map: map[string]string{"Ort": "name"}}, "", "", `row 1: has no column "Ort", which --map names; there are: "id", "name"`},
		{"no id", "name|lat", Options{}, "", "", `no column is the id of a site; name it with --map 'HEADER=id', or have ids made of names with --id-from name; there are: "name", "lat"`},
		{"bytes", "id|Download (MB/s)", Options{}, "", "", `column B "Download (MB/s)": "MB/s" may be bytes`},
	}
	for _, tt := range tests {
		h, err := match(sheet.Row{Number: 1, Cells: strings.Split(tt.row, "|")}, &tt.o)
		if tt.fault != "" {
			if err == nil || !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("%s: got %v, want %q", tt.name, err, tt.fault)
			}
			continue
		}
		var got []string
		for _, c := range h.columns {
			got = append(got, letters(c.At)+" "+c.Key)
		}
		if s := strings.Join(got, ", "); s != tt.want || strings.Join(h.leftOut, ", ") != tt.left || err != nil {
			t.Errorf("%s: got %q, left out %q, %v; want %q, left out %q", tt.name, s, h.leftOut, err, tt.want, tt.left)
		}
	}
	if letters(0)+letters(25)+letters(26)+letters(701)+letters(702) != "AZAAZZAAA" {
		t.Error("columns are not named as a spreadsheet program does")
	}
}

func TestEveryFaultOfEveryRowIsTold(t *testing.T) {
	_, err := Read(table("All sites", "id|name|lat|lon|population|tz|hours", "", "GB_001|x|33.6x|72 S|1.234|PKT|8-16", "a|A|1|2|3|UTC|24/7", "a|A|||#REF!||", "|x", "b||5|||||zzz", "c|a\x01b"), Options{})
	want := []string{
		`row 4, column A "id": got "GB_001", want an id of a-z, 0-9 and "-"; --id-from id makes it "gb-001"`,
		`row 4, column C "lat": got "33.6x", is no angle; want degrees such as 33.6894, 33,6894 or 33°41'22"N`,
		`row 4, column D "lon": got "72 S", S is no side for a longitude, which is E or W; are the columns swapped?`,
		`row 4, column E "population": got "1.234", may be 1234 or a fraction; write 1234`,
		`row 4, column F "tz": got "PKT", want an IANA name such as Asia/Karachi`,
		`row 4, column G "hours": got "8-16", want hours such as "Mo-Fr 08:00-16:00, Sa 09:00-12:00", or 24/7`,
		`row 6, column E "population": got "#REF!", which is a formula of the spreadsheet that failed; mend it, or leave the cell empty`,
		`row 6: the id "a" is that of row 5 already; each site has one row`,
		`row 7: has no id; give the site one, or delete what stands in the row`,
		`row 8: has one of latitude and longitude; give both or neither`,
		`row 8: has "zzz" in column H, beyond the headers; a comma within a value has to stand in quotation marks`,
		`row 9, column B "name": got "a\x01b", which has a sign in it that cannot be read; type the cell again`,
	}
	if got := strings.Split(fmt.Sprint(err), "\n"); !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for text, rows := range map[string][]string{
		"has no row; a table": nil, "has no row of headers among its first 2; name": {"q|r", "1|2"}, "no row of a site below its headers in row 1": {"id|name"},
	} {
		if _, err := Read(table(rows...), Options{}); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: got %v, want %q", rows, err, text)
		}
	}
	broken := errors.New("row 3: broken")
	if _, err := Read(func(yield func(sheet.Row, error) bool) {
		_ = yield(sheet.Row{Number: 1, Cells: []string{"id"}}, nil) && yield(sheet.Row{Number: 2, Cells: []string{"a"}}, nil) && yield(sheet.Row{}, broken)
	}, Options{}); !errors.Is(err, broken) {
		t.Errorf("a table that breaks off: got %v", err)
	}
}

func TestAPlanTellsNewFromSameFromOther(t *testing.T) {
	s, err := Read(table("id|name|operator|population", "new|New||5", "same|Same||", "other|Other|B|7"), Options{TimeZone: "Asia/Karachi"})
	if err != nil {
		t.Fatal(err)
	}
	now := []fleet.Site{{ID: "other", Name: "Other", Operator: "A", Population: 6, Technology: "4G"}, {ID: "same", Name: "Same", Operator: "A", Population: 3}}
	if _, err := s.Plan(now, false); err == nil || err.Error() != `row 4: site "other" is there and differs: operator "A" → "B", population 6 → 7; --update takes what the table says` {
		t.Errorf("got %v", err)
	}
	p, err := s.Plan(now, true)
	if err != nil {
		t.Fatal(err)
	}
	if want := (fleet.Site{ID: "new", Name: "New", Population: 5, TimeZone: "Asia/Karachi"}); len(p.Add) != 1 || p.Add[0] != want {
		t.Errorf("added %+v, want %+v", p.Add, want)
	}
	if want := (fleet.Site{ID: "other", Name: "Other", Operator: "B", Population: 7, Technology: "4G"}); len(p.Update) != 1 || p.Update[0] != want || p.Unchanged != 1 {
		t.Errorf("updated %+v, want %+v; %d unchanged, want 1", p.Update, want, p.Unchanged)
	}
}

func TestStudentsComeFromTheTableAndAnEmptyCellTellsNothing(t *testing.T) {
	s, err := Read(table("id|population|students", "a|1,200|430", "b||", "c|85|1300"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Plan([]fleet.Site{{ID: "b", Students: 60}}, true)
	if err != nil {
		t.Fatal(err)
	}
	if want := (fleet.Site{ID: "a", Population: 1200, Students: 430}); len(p.Add) != 2 || p.Add[0] != want || p.Unchanged != 1 {
		t.Errorf("added %+v, want %+v first; %d unchanged, want 1", p.Add, want, p.Unchanged)
	}
	if want := `row 4: site "c" has 1300 students and serves 85 people; is one the other?`; !slices.Contains(p.Warnings, want) {
		t.Errorf("warnings are %q, want %q among them", p.Warnings, want)
	}
	_, err = Read(table("id|students", "a|1000001", "b|3.5"), Options{})
	if want := "row 2, column B \"students\": got \"1000001\", students: got 1000001, want 0 to 1000000\nrow 3, column B \"students\": got \"3.5\", want a whole number such as 1234 or 1,234"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestAnUpstreamAndADataBudgetComeFromTheTable(t *testing.T) {
	s, err := Read(table("id|upstream|monthly data", "a|tower  Duikar|15", "b||"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Plan([]fleet.Site{{ID: "b", Upstream: "tower Altit", DataBudgetMB: 4}}, true)
	if err != nil {
		t.Fatal(err)
	}
	if want := (fleet.Site{ID: "a", Upstream: "tower Duikar", DataBudgetMB: 15}); len(p.Add) != 1 || p.Add[0] != want || p.Unchanged != 1 {
		t.Errorf("added %+v, %d unchanged; want %+v, and b as it was", p.Add, p.Unchanged, want)
	}
}

func TestWhatIsImplausibleIsAWarning(t *testing.T) {
	rows := []string{"id|lat|lon|population|download"}
	for i := range 12 {
		rows = append(rows, fmt.Sprintf("near-%d|%v|%v|900|10", i, 33+float64(i)/10, 72+float64(i)/10))
	}
	rows = append(rows, "swapped|72.5|33.5|900|10", "zero|0|0|900|10", "far|-33.5|72.5|900|10", "many|33|72|240000000|10", "fast|33|72|900|4000")
	s, err := Read(table(rows...), Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Plan(nil, false)
	want := []string{`row 14: site "swapped" lies at 72.5, 33.5, far from the others; with latitude and longitude the other way round it would be among them`,
		`row 15: site "zero" lies at 0, 0, in the sea,`, `row 16: site "far" lies at -33.5, 72.5, far from the others, most of which are between`,
		`row 17: site "many" serves 240000000 people;`, `row 18: site "fast" has a target of more than 1000 Mbit/s; is it in kbit/s?`}
	if err != nil || len(p.Warnings) != len(want) {
		t.Fatalf("got %v, %q; want %q", err, p.Warnings, want)
	}
	for i, w := range want {
		if !strings.HasPrefix(p.Warnings[i], w) {
			t.Errorf("got  %s\nwant %s…", p.Warnings[i], w)
		}
	}
}

func TestWhatAnImportWritesASecondLeavesUnchanged(t *testing.T) {
	text := rapid.SampledFrom([]string{"", "Gokina", " Aït  Ben ", "x \"y\"", "33", "Mo"})
	rapid.Check(t, func(t *rapid.T) {
		rows := []string{"id|name|district|operator|lat|lon|population|hours|download|upload (kbps)|tz"}
		for _, id := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,5}`), 1, 8, rapid.ID).Draw(t, "ids") {
			lat, lon := rapid.Float64Range(-90, 90).Draw(t, "lat"), rapid.Float64Range(-180, 180).Draw(t, "lon")
			place := rapid.SampledFrom([]string{"|", fmt.Sprintf("%.5f|%.5f", lat, lon), strings.ReplaceAll(fmt.Sprintf("%.4f|%.4f", lat, lon), ".", ","),
				fmt.Sprintf("%d°%d'%dN|%d:%d:%.1f W", int(math.Abs(lat))%90, int(math.Abs(lon))%60, 7, int(math.Abs(lon))%180, 8, math.Trunc(10*math.Mod(math.Abs(lat), 60))/10)}).Draw(t, "place") // 59.96 would be written as 60.0, which no clock or map has
			rows = append(rows, strings.Join([]string{id, text.Draw(t, "name"), text.Draw(t, "district"), text.Draw(t, "operator"), place,
				rapid.SampledFrom([]string{"", "0", "1 200", "1,200"}).Draw(t, "population"), rapid.SampledFrom([]string{"", "24/7", "Mo – Fr 08:00 - 16:00"}).Draw(t, "hours"),
				rapid.SampledFrom([]string{"", "0", "4", "2,5", "512 kbps"}).Draw(t, "down"), rapid.SampledFrom([]string{"", "0", "64", "333"}).Draw(t, "up"),
				rapid.SampledFrom([]string{"", "UTC", "Asia/Karachi"}).Draw(t, "tz")}, "|"))
		}
		var now []fleet.Site
		for round := range 2 {
			s, err := Read(table(rows...), Options{})
			if err != nil {
				t.Fatal(err)
			}
			p, err := s.Plan(now, false)
			if err != nil {
				t.Fatal(err)
			}
			for _, site := range p.Add {
				if err := site.Check(); err != nil {
					t.Fatalf("%+v cannot be written: %v", site, err)
				}
			}
			if round == 1 && (len(p.Add)+len(p.Update) > 0 || p.Unchanged != len(now)) {
				t.Fatalf("the second import would change %+v", p)
			}
			now = append(now, p.Add...)
		}
	})
}

// A coordinate is within its range, and the same when it is written as a plain number.
func FuzzCoordinate(f *testing.F) {
	for _, s := range []string{"33.6894", "33,6894 N", `33°41'22"N`, "S 1.5", "-0", "1e-5", "33 41 22 W", "180", "72d 54m", "O 5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, a := range []axis{latitude, longitude} {
			v, err := coordinate(text, a)
			if err != nil {
				continue
			}
			if !(math.Abs(v) <= a.max) {
				t.Fatalf("%q: %v is beyond %v", text, v, a.max)
			}
			again, err := coordinate(fmt.Sprint(v), a)
			if err != nil || again != v {
				t.Fatalf("%q is %v, which reads as %v, %v", text, v, again, err)
			}
		}
	})
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"1,234.5", "1.234,5", "1 234", "1'234", "2 Mbps", "1e3", "0,512"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, workbook bool) {
		if n, err := whole(text); err == nil && n < 0 {
			t.Errorf("%q: %d people", text, n)
		}
		if v, err := mbps(text, 0, workbook); err == nil && !(v >= 0 && !math.IsInf(v, 0)) {
			t.Errorf("%q: %v Mbit/s", text, v)
		}
	})
}
