package fleet

import (
	"bytes"
	"errors"
	"fmt"
	"time"
	_ "time/tzdata" // a time zone is checked against the same table on every machine

	"github.com/BurntSushi/toml"

	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/internal/hours"
	"github.com/smartvillage/nabz/telemetry"
)

// Site is what the programme knows of one site. Only ID is required.
type Site struct {
	ID             string  `toml:"id" json:"id"`                                            // a-z, 0-9 and "-", at most 63 characters
	Name           string  `toml:"name,omitempty" json:"name"`                              // for people; the id where it is empty
	District       string  `toml:"district,omitempty" json:"district"`                      // where it is
	Operator       string  `toml:"operator,omitempty" json:"operator"`                      // who runs the link
	Upstream       string  `toml:"upstream,omitempty" json:"upstream,omitempty"`            // what it hangs on and fails with, such as a tower or a fibre; sites that share one share their alerts. "": operator and district
	Technology     string  `toml:"technology,omitempty" json:"technology"`                  // such as fibre, 4G, VSAT
	Latitude       float64 `toml:"latitude,omitzero" json:"latitude"`                       // degrees north, -90 to 90; 0 and 0 where unknown
	Longitude      float64 `toml:"longitude,omitzero" json:"longitude"`                     // degrees east, -180 to 180
	Population     int     `toml:"population,omitzero" json:"population"`                   // people served; 0 where unknown
	Students       int     `toml:"students,omitzero" json:"students,omitempty"`             // of the school that the link serves; 0 where unknown or none
	ServiceHours   string  `toml:"service_hours,omitempty" json:"service_hours"`            // by the site's own clock, such as "Mo-Fr 08:00-16:00"; "" where not told
	TargetDownMbps float64 `toml:"target_down_mbps,omitzero" json:"target_down_mbps"`       // what the operator has contracted to deliver, Mbit/s; 0 is no target
	TargetUpMbps   float64 `toml:"target_up_mbps,omitzero" json:"target_up_mbps"`           // the same, up
	DataBudgetMB   int     `toml:"data_budget_mb,omitzero" json:"data_budget_mb,omitempty"` // what each of its agents may use in a month, 10^6 bytes; 0: alert.budget_mb counts
	TimeZone       string  `toml:"time_zone,omitempty" json:"time_zone"`                    // IANA name, such as Africa/Kampala; "" is UTC
}

// SiteField is one value of a site, under its key in the file.
type SiteField struct {
	Key   string
	Value any // string, int or float64
}

// Fields are the values of a site in the order of the file, those that are not known among them.
func (s Site) Fields() []SiteField {
	return []SiteField{{"id", s.ID}, {"name", s.Name}, {"district", s.District}, {"operator", s.Operator}, {"upstream", s.Upstream}, {"technology", s.Technology},
		{"latitude", s.Latitude}, {"longitude", s.Longitude}, {"population", s.Population}, {"students", s.Students}, {"service_hours", s.ServiceHours},
		{"target_down_mbps", s.TargetDownMbps}, {"target_up_mbps", s.TargetUpMbps}, {"data_budget_mb", s.DataBudgetMB}, {"time_zone", s.TimeZone}}
}

// Title is the name, or the id where there is no name.
func (s Site) Title() string {
	if s.Name != "" {
		return s.Name
	}
	return s.ID
}

// Located tells whether the site's place is known.
func (s Site) Located() bool { return s.Latitude != 0 || s.Longitude != 0 }

const (
	maxSiteText = 200     // bytes of each text of a site
	maxTarget   = 1000000 // Mbit/s
	maxStudents = 1000000 // of one school
)

// Check joins every fault of a site, each beginning with the key of the value.
func (s Site) Check() error { return s.check(nil, "", zoneTable{}) }

// zoneTable remembers which names are time zones: five thousand sites share a few.
type zoneTable map[string]bool

func (t zoneTable) has(name string) bool {
	known, asked := t[name]
	if !asked {
		_, err := time.LoadLocation(name)
		known = err == nil && name != "Local"
		t[name] = known
	}
	return known
}

// check joins every fault of a site; key is where it stands in the document.
func (s Site) check(doc *conf.Doc, key string, zones zoneTable) error {
	var faults []error
	fault := func(field, format string, a ...any) { faults = append(faults, doc.Faultf(key+field, format, a...)) }
	if err := telemetry.CheckID("site", s.ID); err != nil {
		fault("id", "%w", err)
	}
	for _, t := range []struct{ field, text string }{{"name", s.Name}, {"district", s.District}, {"operator", s.Operator},
		{"upstream", s.Upstream}, {"technology", s.Technology}, {"service_hours", s.ServiceHours}} {
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
	if s.DataBudgetMB < 0 || s.DataBudgetMB > maxTarget {
		fault("data_budget_mb", "got %d, want 0 to %d MB", s.DataBudgetMB, maxTarget)
	}
	if s.Population < 0 {
		fault("population", "got %d, want 0 or more", s.Population)
	}
	if s.Students < 0 || s.Students > maxStudents {
		fault("students", "got %d, want 0 to %d", s.Students, maxStudents)
	}
	if _, err := hours.Parse(s.ServiceHours); err != nil && len(s.ServiceHours) <= maxSiteText {
		fault("service_hours", "%w", err)
	}
	for _, t := range []struct {
		field string
		mbps  float64
	}{{"target_down_mbps", s.TargetDownMbps}, {"target_up_mbps", s.TargetUpMbps}} {
		if !(t.mbps >= 0 && t.mbps <= maxTarget) {
			fault(t.field, "got %v, want 0 to %d Mbit/s", t.mbps, maxTarget)
		}
	}
	if !zones.has(s.TimeZone) {
		fault("time_zone", "got %q, want an IANA name such as \"Africa/Kampala\"", s.TimeZone)
	}
	return errors.Join(faults...)
}

// sitesTOML is the sites as entries of the file.
func sitesTOML(sites ...Site) (string, error) {
	var b bytes.Buffer
	e := toml.NewEncoder(&b)
	e.Indent = ""
	err := e.Encode(struct {
		Site []Site `toml:"site"`
	}{sites})
	if err != nil {
		return "", fmt.Errorf("write sites as TOML: %w", err)
	}
	return b.String(), nil
}
