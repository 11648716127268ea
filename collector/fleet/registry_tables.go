package fleet

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a time zone is checked against the same table on every machine

	"github.com/BurntSushi/toml"

	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/telemetry"
)

// Site is what the programme knows of one site. Only ID is required.
type Site struct {
	ID         string  `toml:"id"`
	Name       string  `toml:"name,omitempty"` // for people; the id where it is empty
	District   string  `toml:"district,omitempty"`
	Operator   string  `toml:"operator,omitempty"`   // who runs the link
	Technology string  `toml:"technology,omitempty"` // such as fibre, 4G, VSAT
	Latitude   float64 `toml:"latitude,omitzero"`    // degrees north, -90 to 90; 0 and 0 where unknown
	Longitude  float64 `toml:"longitude,omitzero"`   // degrees east, -180 to 180
	Population int     `toml:"population,omitzero"`  // people served; 0 where unknown
	TimeZone   string  `toml:"time_zone,omitempty"`  // IANA name, such as Africa/Kampala; "" is UTC
}

// Title is the name, or the id where there is no name.
func (s Site) Title() string {
	if s.Name != "" {
		return s.Name
	}
	return s.ID
}

// maxSiteText bounds each text of a site, in bytes.
const maxSiteText = 200

// check joins every fault of a site; key is where it stands in the document.
func (s Site) check(doc *conf.Doc, key string) error {
	var faults []error
	fault := func(field, format string, a ...any) { faults = append(faults, doc.Faultf(key+field, format, a...)) }
	if err := telemetry.CheckID("site", s.ID); err != nil {
		fault("id", "%w", err)
	}
	for _, t := range []struct{ field, text string }{{"name", s.Name}, {"district", s.District}, {"operator", s.Operator}, {"technology", s.Technology}} {
		if len(t.text) > maxSiteText {
			fault(t.field, "text of %d bytes, at most %d are allowed", len(t.text), maxSiteText)
		}
	}
	if !(s.Latitude >= -90 && s.Latitude <= 90) { // so written, it refuses NaN too
		fault("latitude", "got %v, want -90 to 90 degrees", s.Latitude)
	}
	if !(s.Longitude >= -180 && s.Longitude <= 180) {
		fault("longitude", "got %v, want -180 to 180 degrees", s.Longitude)
	}
	if s.Population < 0 {
		fault("population", "got %d, want 0 or more", s.Population)
	}
	if _, err := time.LoadLocation(s.TimeZone); err != nil || s.TimeZone == "Local" {
		fault("time_zone", "got %q, want an IANA name such as \"Africa/Kampala\"", s.TimeZone)
	}
	return errors.Join(faults...)
}

// toml is the site as an entry of the file.
func (s Site) toml() (string, error) {
	var b bytes.Buffer
	e := toml.NewEncoder(&b)
	e.Indent = ""
	err := e.Encode(struct {
		Site []Site `toml:"site"`
	}{[]Site{s}})
	if err != nil {
		return "", fmt.Errorf("write site %s as TOML: %w", s.ID, err)
	}
	return b.String(), nil
}

// siteTable is what sites.toml holds, sorted by id.
type siteTable []Site

func parseSites(file string, data []byte) (siteTable, error) {
	var f struct {
		Site []Site `toml:"site"`
	}
	doc, err := conf.Parse(file, data, &f)
	if doc == nil {
		return nil, err
	}
	faults := []error{err}
	seen := map[string]bool{}
	for i, s := range f.Site {
		key := fmt.Sprintf("site[%d].", i)
		faults = append(faults, s.check(doc, key))
		if seen[s.ID] {
			faults = append(faults, doc.Faultf(key+"id", "site %q is there twice", s.ID))
		}
		seen[s.ID] = true
	}
	slices.SortFunc(f.Site, func(a, b Site) int { return strings.Compare(a.ID, b.ID) })
	return f.Site, errors.Join(faults...)
}
