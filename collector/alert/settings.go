package alert

import "time"

// Settings say what is worth an alert. A length of time or a bound of 0 switches its rule off.
type Settings struct {
	UnreachableAfter  time.Duration // since the site's last word
	DownAfter         time.Duration // since the site says that it is down
	DegradedAfter     time.Duration
	BatteryBelowPct   float64 // and not charging; over when it is 10 points higher
	DiskAbovePct      float64 // over when it is 5 points lower
	SpoolAbovePct     float64 // of SpoolBytes; over when it is half of that
	SpoolBytes        int64   // how much an agent may keep: its spool_max_bytes
	SpoolAfter        time.Duration
	ClockAfter        time.Duration // since an agent that is connected does not know the time
	BudgetMB          int64         // data of an agent in a calendar month (UTC), 10^6 bytes, where the site has none of its own
	BudgetAbovePct    float64
	CertificateWithin time.Duration // before its end
	OwnAfter          time.Duration // a fault of the NOC itself

	RecoverAfter time.Duration // how long a site has to be well for its alert to be over
	GroupWindow  time.Duration // sites of one group that go out within it have one cause
	FlapOutages  int           // so many outages within an hour are flapping
	FlapQuiet    time.Duration // and it is over after so long without another
	FlapAfter    time.Duration // an outage of a site that flaps is an alert of its own when it lasts so long
	LostPct      float64       // so many of the sites lost within GroupWindow, of different groups, are the NOC's own fault
	Grace        time.Duration // for sites to come back after a start of the collector, or a fault of the NOC
	Repeat       time.Duration // how often people are told again of what is critical, goes on and nobody has acknowledged
}

// Defaults are the settings of the example file.
func Defaults() Settings {
	return Settings{
		UnreachableAfter: 5 * time.Minute, DownAfter: 2 * time.Minute, DegradedAfter: 30 * time.Minute,
		BatteryBelowPct: 20, DiskAbovePct: 90, SpoolAbovePct: 50, SpoolBytes: 4 << 20, SpoolAfter: 30 * time.Minute, ClockAfter: 30 * time.Minute,
		BudgetMB: 15, BudgetAbovePct: 90, CertificateWithin: 30 * 24 * time.Hour, OwnAfter: time.Minute,
		RecoverAfter: 2 * time.Minute, GroupWindow: 5 * time.Minute, FlapOutages: 4, FlapQuiet: 30 * time.Minute, FlapAfter: 30 * time.Minute,
		LostPct: 80, Grace: 5 * time.Minute, Repeat: 6 * time.Hour,
	}
}

const (
	settle     = 90 * time.Second // how long a site has to be seen as lost, however long ago it spoke: agents that report rarely would raise alerts with each broken connection
	flapWithin = time.Hour
	lostLeast  = 5                // fewer sites prove nothing of the NOC
	slowWindow = time.Hour        // what GroupWindow is to troubles that come slowly: batteries, clocks, disks
	fresh      = 2 * time.Hour    // what was told of a battery or a disk longer ago is no reason for an alert
	dayRetry   = 24 * time.Hour   // so long a delivery is tried
	keepEnded  = 200              // alerts that are over
	keepTries  = 200              // deliveries
	endedShown = 15 * time.Minute // how long Alertmanager is told that an alert is over
)
