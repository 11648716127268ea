package alert

import "time"

// Rule is what is wrong.
type Rule string

// The rules. Those about one site carry its id in Alert.Sites, or those of several where one cause is probable for all.
const (
	Unreachable Rule = "unreachable" // the collector has lost the site, and why is not known
	Down        Rule = "down"
	Degraded    Rule = "degraded"
	Flapping    Rule = "flapping" // goes out and comes back again and again: one alert instead of many
	Battery     Rule = "battery"
	Disk        Rule = "disk"   // the agent's disk fills
	Spool       Rule = "spool"  // what waits in the agent's spool grows beyond what it may hold
	Clock       Rule = "clock"  // the agent does not know the time
	Budget      Rule = "budget" // the agent's data of this month
	Twins       Rule = "twins"  // two machines work as one agent
	Certificate Rule = "certificate"
	Collector   Rule = "collector" // broker or intakes
	InfluxDB    Rule = "influxdb"
)

// Rules lists all of them, the NOC's own last.
func Rules() []Rule {
	return []Rule{Unreachable, Down, Degraded, Flapping, Battery, Disk, Spool, Clock, Budget, Twins, Certificate, Collector, InfluxDB}
}

// Own tells whether the rule is about the NOC itself, and not about a site.
func (r Rule) Own() bool { return r == Certificate || r == Collector || r == InfluxDB }

// Severity is how much it matters.
type Severity string

// The severities.
const (
	Critical Severity = "critical" // somebody should look now
	Warning  Severity = "warning"  // today
	Info     Severity = "info"     // when there is time
)

// Alert is one thing to know, about one site, about several with a common cause, or about the NOC itself. It is a copy.
type Alert struct {
	ID       string // unique for ever; fit for a URL
	Rule     Rule
	Severity Severity
	Sites    []string // by id, all that were part of it; empty for the NOC's own
	Over     []string // those of Sites that are well again, while others are not
	Site     string   // the one for which it was raised; "" where these were several
	District string   // of the first of them
	Operator string   // of the first of them
	Group    string   // what they share, in words: "Karakoram Link in Hunza"; "" for one site
	Cause    string   // the probable cause, in words; "" where none is known
	Title    string   // one line for people
	Text     string   // more lines for people

	Began  time.Time // when the trouble began
	Raised time.Time // when it became an alert
	Ended  time.Time // zero: it goes on

	Acknowledged   time.Time // zero: by nobody. Nothing more is told of it until it is over
	AcknowledgedBy string
}

// Active tells whether the trouble goes on.
func (a *Alert) Active() bool { return a.Ended.IsZero() }

// What a delivery tells.
const (
	Raised    = "raised"
	Changed   = "changed"  // more sites, another cause: to channels that replace what they showed, never a second page
	Repeated  = "repeated" // critical, goes on, and nobody has acknowledged it
	Recovered = "recovered"
	Tested    = "test"
)

// Delivery is one attempt to tell one channel.
type Delivery struct {
	At      time.Time
	Alert   string // its ID, or that of a notice; "" for a test and for the heartbeat
	Channel string // its name, without what is secret of it
	What    string
	Attempt int       // from 1
	Err     string    // "" when it was taken
	Next    time.Time // when it is tried again; zero: not any more
}
