package sampler

import (
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// Clients is how many use the link at one moment. A count that is not known is -1. Who they are is never kept: neither
// an address nor a name leaves the functions that count.
type Clients struct {
	Stations int64 // associated with an access point of this machine
	Leases   int64 // addresses that its DHCP server has given out and that have not run out
}

// Line is the clients line; nil when neither count is known.
func (c Clients) Line(at time.Time) *telemetry.Line {
	l := telemetry.NewLine("clients", at)
	if c.Stations >= 0 {
		l.Int("wifi_stations", c.Stations)
	}
	if c.Leases >= 0 {
		l.Int("dhcp_leases", c.Leases)
	}
	if len(l.Fields) == 0 {
		return nil
	}
	return l
}

// Count is the one number for an hour's clients_max: the stations, who are here now; the leases, which live on for hours
// after their owner has left, only where no access point is run by this machine. False when neither is known.
func (c Clients) Count() (int64, bool) {
	if c.Stations >= 0 {
		return c.Stations, true
	}
	return c.Leases, c.Leases >= 0
}

// Counter counts clients.
type Counter struct {
	Leases   []LeaseFile           // default: LeaseFiles
	Stations func() (int64, error) // default: Stations
}

// Read counts now. The zero time says that the clock is not known: then every lease that is listed counts.
func (c Counter) Read(now time.Time) Clients {
	files, stations := c.Leases, c.Stations
	if files == nil {
		files = LeaseFiles()
	}
	if stations == nil {
		stations = Stations
	}
	found := Clients{Stations: -1, Leases: countLeases(files, now)}
	if n, err := stations(); err == nil {
		found.Stations = n
	}
	return found
}
