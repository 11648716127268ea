package checkup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/people"
	"github.com/smartvillage/nabz/dashboards"
)

// users looks at who may sign in at the board.
func (k *checkup) users(context.Context) {
	if k.intakeOnly() {
		return
	}
	f := Finding{Matter: "users"}
	p, err := people.Open(k.c.Users())
	if err != nil {
		k.tell(Finding{Matter: f.Matter, Grade: Fail, Found: err.Error(), Next: "mend the line that it names, or bring the file back from a backup"})
		return
	}
	operators, all := 0, p.Users()
	for _, u := range all {
		if u.Role.Allows(people.Operator) {
			operators++
		}
	}
	f.Found = fmt.Sprintf("%d may sign in, %d of them as operator", len(all), operators)
	switch {
	case len(all) == 0 && !k.c.Web.Open:
		f.Grade, f.Found, f.Next = Fail, "nobody can sign in: "+k.c.Users()+" names no user", "nabz-collector user add NAME --role operator"
	case operators == 0 && !k.c.Web.Open:
		f.Grade, f.Next = Warn, "nobody can acknowledge or plan maintenance: nabz-collector user add NAME --role operator"
	}
	if err := k.mayUse(k.c.Users()); err != nil {
		f.Grade, f.Found, f.Next = Fail, err.Error(), fmt.Sprintf("chown %s:%s %s", k.Service, k.Service, k.c.Users())
	}
	k.tell(f)
}

// mayUse tells why the service's user cannot read a file that is there.
func (k *checkup) mayUse(file string) error {
	if err := k.readable(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s may not read %s: %w", k.who(), file, err)
	}
	return nil
}

// sites looks at the programme's list of sites.
func (k *checkup) sites(context.Context) {
	f := Finding{Matter: "sites"}
	r, err := fleet.OpenRegistry(k.c.SitesFile, k.c.AgentsFile)
	if err != nil {
		k.tell(Finding{Matter: f.Matter, Grade: Fail, Found: err.Error(), Next: "mend the line that it names, or bring the file back from a backup; a running collector goes on with what it had"})
		return
	}
	k.registry = r
	f.Found = fmt.Sprintf("%s lists %d sites", k.c.SitesFile, len(r.Sites()))
	if len(r.Sites()) == 0 {
		f.Grade, f.Next = Warn, "nabz-collector site import sites.xlsx --dry-run, or site add ID"
	}
	if err := k.mayUse(k.c.SitesFile); err != nil {
		f.Grade, f.Found, f.Next = Fail, err.Error(), "chmod 644 "+k.c.SitesFile
	}
	k.tell(f)
}

// agents looks at who may sign in at the broker.
func (k *checkup) agents(context.Context) {
	if k.registry == nil {
		return // told with the sites
	}
	f := Finding{Matter: "agents"}
	counts := map[string]int{}
	busy := map[string]bool{}
	for _, a := range k.registry.Credentials() {
		switch {
		case !a.Revoked.IsZero():
			counts["revoked"]++
			continue
		case a.Enrolled:
			counts["enrolled"]++
		case a.Until.Before(k.Now()):
			counts["expired"]++
		default:
			counts["invited"]++
		}
		busy[a.Address.Site] = true
	}
	without := 0
	for _, s := range k.registry.Sites() {
		if !busy[s.ID] {
			without++
		}
	}
	f.Found = fmt.Sprintf("%d may sign in, %d have a token that waits, %d a token that has expired, %d are revoked; sites without one: %d",
		counts["enrolled"], counts["invited"], counts["expired"], counts["revoked"], without)
	switch {
	case counts["enrolled"]+counts["invited"] == 0:
		f.Grade, f.Next = Warn, "nabz-collector agent add SITE/main makes a token; on the router: nabz-agent enroll TOKEN"
	case without > 0:
		f.Next = "nabz-collector agent add --every-site makes a token for each of these sites"
	}
	if err := k.mayUse(k.c.AgentsFile); err != nil {
		f.Grade, f.Found, f.Next = Fail, err.Error(), fmt.Sprintf("chown %s:%s %s", k.Service, k.Service, k.c.AgentsFile)
	}
	k.tell(f)
}

// alerts names who is told. Nothing is sent.
func (k *checkup) alerts(context.Context) {
	if k.intakeOnly() {
		return
	}
	f := Finding{Matter: "alerts"}
	if file := k.c.Alert.URLsFile; file != "" {
		if err := k.mayUse(file); err != nil {
			k.tell(Finding{Matter: f.Matter, Grade: Fail, Found: err.Error(), Next: fmt.Sprintf("chown root:%s %s; chmod 640 %s", k.Service, file, file)})
			return
		}
	}
	ways, err := k.c.AlertWays()
	if err != nil {
		k.tell(Finding{Matter: f.Matter, Grade: Fail, Found: err.Error(), Next: "mend it: as long as it is wrong the collector does not start"})
		return
	}
	var names []string
	for _, ch := range ways.Channels {
		names = append(names, ch.Name())
	}
	f.Found, f.Next = "told are "+strings.Join(names, ", "), "not sent here: nabz-collector alert test sends each something that is no alert"
	switch {
	case len(names) == 0:
		f.Grade, f.Found, f.Next = Warn, "nobody is told of an alert", "set alert.urls_file or alert.alertmanager, then nabz-collector alert test; docs/noc.md says how"
	case ways.Heartbeat == "":
		f.Found += "; nobody would notice that this machine is dead"
		f.Next += ". A line \"heartbeat https://…\" in alert.urls_file has somebody outside wait for a sign of life"
	default:
		f.Found += "; a heartbeat goes out"
	}
	k.tell(f)
}

// grafana asks all queries of the dashboards, where they are installed here.
func (k *checkup) grafana(ctx context.Context) {
	source := filepath.Join(k.GrafanaDir, "provisioning", "datasources", "nabz.yaml")
	if _, err := os.Stat(source); err != nil {
		return // it is nobody's duty to have one
	}
	f := Finding{Matter: "Grafana"}
	switch old, err := dashboards.Outdated(k.GrafanaDir); {
	case k.noStore:
		k.tell(Finding{Matter: f.Matter, Grade: Fail, Found: "not tried: InfluxDB cannot be used", Next: "mend what is above first"})
		return
	case err != nil:
		k.tell(Finding{Matter: f.Matter, Grade: Fail, Found: err.Error(), Next: "nabz-collector dashboards install --grafana-dir " + k.GrafanaDir + " writes it anew"})
		return
	case len(old) > 0:
		f.Grade, f.Next = Warn, fmt.Sprintf("nabz-collector dashboards install --grafana-dir %s --board-url URL; systemctl restart grafana-server", k.GrafanaDir)
		f.Found = fmt.Sprintf("%s are not those of this program; ", strings.Join(old, ", "))
	}
	s, err := collector.OpenStore(k.c)
	if err != nil {
		return // told with InfluxDB
	}
	defer s.Close()
	now := k.Now()
	tried, err := dashboards.Check(ctx, s, dashboards.All(""), now.Add(-24*time.Hour), now)
	if err != nil {
		return // stopped
	}
	bad := 0
	for _, t := range tried {
		if t.Err != nil {
			if bad++; bad == 1 {
				f.Next = "nabz-collector dashboards check names each; the first is " + t.Dashboard + ", " + t.Panel
			}
		}
	}
	if f.Found += fmt.Sprintf("InfluxDB answers %d of the %d queries of its dashboards", len(tried)-bad, len(tried)); bad > 0 {
		f.Grade = Fail
	}
	k.tell(f)
}

// What a collector opens beside a connection for each agent: the board's visitors, agents that enrol, InfluxDB, files.
const otherFiles = 2048 + 256 + 200

// files looks whether there may be as many connections as there are agents.
func (k *checkup) files(context.Context) {
	if k.runs == nil || k.c.MQTT.Broker != "" {
		return
	}
	limit, ok := k.runs.metric("process_max_fds")
	open, _ := k.runs.metric("process_open_fds")
	if !ok {
		return // this system does not tell
	}
	agents := 0
	if k.registry != nil {
		agents = len(k.registry.Agents())
	}
	f := Finding{Matter: "open files", Found: fmt.Sprintf("%.0f of %.0f in use, %d agents", open, limit, agents)}
	const raise = "systemctl edit nabz-collector, with [Service] and LimitNOFILE=65536, then restart it"
	switch {
	case int(limit) < agents+otherFiles:
		f.Grade, f.Found, f.Next = Fail, fmt.Sprintf("%s: not all agents can be connected at once", f.Found), raise
	case int(limit) < min(k.c.MQTT.MaxConnections, 10*max(agents, 100))+otherFiles:
		f.Grade, f.Found, f.Next = Warn, fmt.Sprintf("%s; mqtt.max_connections is %d", f.Found, k.c.MQTT.MaxConnections), raise
	}
	k.tell(f)
}
