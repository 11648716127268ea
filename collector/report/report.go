package report

import (
	"time"

	"github.com/smartvillage/nabz/collector/benchmark"
	"github.com/smartvillage/nabz/telemetry"
)

// Definition names the meaning of the figures and the form of the JSON. It changes when either does.
const Definition = "nabz-figures/1"

// Report is a value: the same ledger and the same asked give the same bytes of canonical JSON. A fraction is 0 to 1 with six decimals,
// a time in milliseconds, a rate in bit/s; what nothing stands behind is left out or null.
type Report struct {
	Definition   string                `json:"definition"`
	Asked        Asked                 `json:"asked"`
	From         time.Time             `json:"from"` // UTC, as are all times
	To           time.Time             `json:"to"`   // exclusive; of a provisional report asked.as_of
	Provisional  bool                  `json:"provisional"`
	Programme    Findings              `json:"programme"` // all sites, weighted by site-time
	Before       Before                `json:"before"`    // the period before
	Distribution Distribution          `json:"distribution"`
	Days         []Day                 `json:"days"`
	Benchmarks   []benchmark.Judgement `json:"benchmarks"` // in the order in which they were asked for
	Sites        []SiteReport          `json:"sites"`      // by id
	LeftOut      []LeftOut             `json:"left_out"`
}

// Asked is all that a report depends on beside the ledger, so that it can be made again from the two alone.
type Asked struct {
	Programme  string                `json:"programme"` // its name, for people
	Period     string                `json:"period"`    // as Period.Text has it
	TimeZone   string                `json:"time_zone"` // IANA name
	AsOf       *time.Time            `json:"as_of"`     // of a period that was not over; null: it was
	Sites      []string              `json:"sites"`     // how they were chosen, as Select returns it
	PeakHours  string                `json:"peak_hours"`
	Benchmarks []benchmark.Benchmark `json:"benchmarks"` // whole, so that a file that changes later changes nothing here
	Roster     []Entry               `json:"roster"`     // the sites file's say of each chosen site, by id
}

// Entry is what the sites file said of a site. 0 and "" are not known.
type Entry struct {
	Site          string `json:"site"`
	Name          string `json:"name"`
	District      string `json:"district"`
	Operator      string `json:"operator"`
	Technology    string `json:"technology"`
	TimeZone      string `json:"time_zone"` // "" is that of the report
	Population    int    `json:"population"`
	Students      int    `json:"students"` // of the site's school
	TargetDownBps int64  `json:"target_down_bps"`
	TargetUpBps   int64  `json:"target_up_bps"`
}

// Findings are the figures of a site, or of several together.
type Findings struct {
	Sites      int        `json:"sites"` // that are counted
	Time       Figures    `json:"time"`
	WatchedMs  int64      `json:"watched_ms"` // up, degraded or down: an agent ran, and counted what latency, loss, volume and clients stand on
	Outages    Outages    `json:"outages"`
	Throughput Throughput `json:"throughput"`
	Latency    Latency    `json:"latency"`
	Loss       Loss       `json:"loss"`
	Volume     Volume     `json:"volume"`
	Clients    Clients    `json:"clients"`
	Services   []Service  `json:"services"` // by name
}

// SiteReport is one site's figures.
type SiteReport struct {
	Site        string     `json:"site"`
	Agents      []string   `json:"agents"`       // that the ledger has heard in the period
	CountedFrom *time.Time `json:"counted_from"` // the hour in which it was first heard, where that is within the period
	Findings
	Before *float64 `json:"availability_before"` // in the period before
}

// Before is what the period before was like for the same sites, each counted from when it was first heard.
type Before struct {
	Period     string     `json:"period"`
	From       time.Time  `json:"from"`
	To         time.Time  `json:"to"`
	Sites      int        `json:"sites"`
	Time       Figures    `json:"time"`
	Throughput Throughput `json:"throughput"`
}

// LeftOut is a site that is in no figure.
type LeftOut struct {
	Site   string `json:"site"`
	Reason string `json:"reason"`  // NeverHeard or NotListed
	ToldMs int64  `json:"told_ms"` // what the ledger has of it in the period
}

// Why a site is left out.
const (
	NeverHeard = "never_heard" // no agent of it had told anything up to the end of the period
	NotListed  = "not_listed"  // the ledger has it, the sites file does not
)

// OutageCount counts outages of one kind. An outage is an unbroken stretch of down or off(power); by cause it is a stretch in
// one state with one cause.
type OutageCount struct {
	State     telemetry.State `json:"state"` // "" with Cause "": of all kinds
	Cause     telemetry.Cause `json:"cause"`
	Count     int             `json:"count"`      // that began in the period
	FiveMin   int             `json:"five_min"`   // of those, at least five minutes long within the period
	Ms        int64           `json:"ms"`         // time within the period
	CarriedIn int             `json:"carried_in"` // that had begun before
	GoOn      int             `json:"go_on"`      // that had not ended when the period did
	Restored  int             `json:"restored"`   // that began in it, and were followed by up or degraded in it
	RestoreMs int64           `json:"restore_ms"` // those together
	MeanMs    *int64          `json:"mean_restore_ms"`
	LongestMs int64           `json:"longest_ms"` // within the period
	ErrMs     int64           `json:"err_ms"`     // the uncertainties of their ends added up
}

// Outages are the outages of all causes, of each, and the longest.
type Outages struct {
	All     OutageCount   `json:"all"`
	Causes  []OutageCount `json:"causes"`  // down: local, backhaul, dns; off: power
	Longest []LongOutage  `json:"longest"` // of a site 3, of all together 20
}

// LongOutage is one of the longest outages of a period.
type LongOutage struct {
	Site   string            `json:"site"`
	From   time.Time         `json:"from"`
	Ms     int64             `json:"ms"` // within the period
	Causes []telemetry.Cause `json:"causes"`
	Early  bool              `json:"began_before_period"`
	Goes   bool              `json:"at_end_of_period"`
}

// Throughput is what speed tests found.
type Throughput struct {
	Sites   int   `json:"sites"` // with a test
	All     Tests `json:"all"`
	Peak    Tests `json:"peak"`     // that began in peak hours by the clock of the site
	OffPeak Tests `json:"off_peak"` // all others
}

// Tests are some speed tests. A test may have measured one way only.
type Tests struct {
	Tests int  `json:"tests"`
	Down  Rate `json:"down"`
	Up    Rate `json:"up"`
}

// Rate is one direction. Quantiles are nearest ranks, so each is a value that was measured.
type Rate struct {
	Tests      int      `json:"tests"`
	MedianBps  *int64   `json:"median_bps"`
	P5Bps      *int64   `json:"p5_bps"`
	P95Bps     *int64   `json:"p95_bps"`
	WithTarget int      `json:"with_target"` // tests at sites that have one
	OnTarget   int      `json:"on_target"`
	Share      *float64 `json:"share_on_target"`
}

// Latency is the distribution of round trips, from the agents' hourly histograms.
type Latency struct {
	Sites   int       `json:"sites"`
	Answers int64     `json:"answers"`
	Within  []Bucket  `json:"within"` // cumulative, without the last, which is Answers
	Median  *Quantile `json:"median"`
	P95     *Quantile `json:"p95"`
}

// Bucket counts the answers that took at most so long.
type Bucket struct {
	LeMs    int64    `json:"le_ms"`
	Answers int64    `json:"answers"`
	Share   *float64 `json:"share"`
}

// Quantile lies between two edges of the histogram; nearer it is not known.
type Quantile struct {
	OverMs   int64  `json:"over_ms"`
	AtMostMs *int64 `json:"at_most_ms"` // null: over the last edge
}

// Loss is what of the agents' questions was not answered, over their count.
type Loss struct {
	Sites int      `json:"sites"`
	Sent  int64    `json:"sent"`
	Lost  int64    `json:"lost"`
	Share *float64 `json:"share"`
}

// Volume is what went through the link, all uses together. Of several agents at a site the one that saw more in an hour counts.
type Volume struct {
	Sites   int   `json:"sites"`
	RxBytes int64 `json:"rx_bytes"`
	TxBytes int64 `json:"tx_bytes"`
}

// Clients are the machines that used a link at once, where agents can count them. Of several sites the sums are of each site's figure.
type Clients struct {
	Sites    int      `json:"sites"`
	Most     *int64   `json:"most"`
	MeanPeak *float64 `json:"mean_hour_peak"` // mean over hours of the most in each hour, two decimals
}

// Service is how long a service could have been used in its own opening hours, over how long agents watched it in them.
type Service struct {
	Service  string   `json:"service"`
	Sites    int      `json:"sites"`
	ReadyMs  int64    `json:"ready_ms"`
	WindowMs int64    `json:"window_ms"`
	Share    *float64 `json:"share"`
}

// Distribution is how availability is spread over sites whose figure is citable.
type Distribution struct {
	Sites        int     `json:"sites"`
	NotCitable   int     `json:"not_citable"` // all other sites that are counted
	Availability Spread  `json:"availability"`
	WithoutPower Spread  `json:"availability_without_power"`
	Best         []Place `json:"best"`
	Worst        []Place `json:"worst"`
}

// Spread are nearest-rank quantiles over sites, and counts in bands.
type Spread struct {
	Sites  int      `json:"sites"`
	Min    *float64 `json:"min"`
	P5     *float64 `json:"p5"`
	P25    *float64 `json:"p25"`
	Median *float64 `json:"median"`
	P75    *float64 `json:"p75"`
	P95    *float64 `json:"p95"`
	Max    *float64 `json:"max"`
	Bands  []Band   `json:"bands"`
}

// Band counts the sites from a fraction on, and below the next band's.
type Band struct {
	From  float64 `json:"from"`
	Sites int     `json:"sites"`
}

// Day is the time that was lost on one day by the clock of the report's zone, all sites together.
type Day struct {
	Day            string `json:"day"` // 2026-10-01
	DownLocalMs    int64  `json:"down_local_ms"`
	DownBackhaulMs int64  `json:"down_backhaul_ms"`
	DownDNSMs      int64  `json:"down_dns_ms"`
	OffPowerMs     int64  `json:"off_power_ms"`
}

// Place is a site in a ranking.
type Place struct {
	Site         string   `json:"site"`
	Availability *float64 `json:"availability"`
	WithoutPower *float64 `json:"availability_without_power"`
}
