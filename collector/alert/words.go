package alert

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/telemetry"
)

// mostNamed is how many sites an alert names.
const mostNamed = 20

func bytesText(n int64) string {
	switch {
	case n >= 10e6:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.0f kB", float64(n)/1e3)
}

// lastTold is what a site said last, in words: "up", "down: backhaul, battery 11 %, not charging".
func lastTold(st *fleet.Status) string {
	words := []string{string(st.Told.State)}
	if st.Told.Cause != "" {
		words[0] += ": " + string(st.Told.Cause)
	}
	for i := range st.Agents {
		a := &st.Agents[i]
		if a.Mains != nil && !*a.Mains {
			words = append(words, "no mains")
		}
		if a.BatteryPct != nil {
			words = append(words, fmt.Sprintf("battery %.0f %%", *a.BatteryPct))
			if a.Charging != nil && !*a.Charging && *a.BatteryPct < 95 {
				words = append(words, "not charging")
			}
		}
	}
	return strings.Join(words, ", ")
}

func quality(st *fleet.Status) string {
	var words []string
	if st.LossPct != nil {
		words = append(words, fmt.Sprintf("loss %.0f %%", *st.LossPct))
	}
	if st.LatencyMs != nil {
		words = append(words, fmt.Sprintf("latency %.0f ms", *st.LatencyMs))
	}
	return strings.Join(words, ", ")
}

// what is the trouble of a rule, behind the name of a site or "14 of 15 sites of X in Y".
func (r Rule) what(several bool) string {
	is, has := "is", "has"
	if several {
		is, has = "are", "have"
	}
	switch r {
	case Unreachable:
		return is + " unreachable"
	case Down:
		return is + " down"
	case Degraded:
		return is + " degraded"
	case Flapping:
		return map[bool]string{false: "goes out and comes back again and again", true: "go out and come back again and again"}[several]
	case Battery:
		return has + " a low battery"
	case Disk:
		return has + " a full disk"
	case Spool:
		return has + " much waiting to be sent"
	case Clock:
		return map[bool]string{false: "does not know the time", true: "do not know the time"}[several]
	case Budget:
		return has + " nearly used the data of this month"
	case Twins:
		return has + " two machines that work as one agent"
	}
	return is + " in trouble"
}

// describe puts an alert about sites into words. Members are those with the trouble, by site; of is how many sites the group has.
func (e *Engine) describe(a *record, members map[string]*trouble, of int) {
	first := a.Sites[0]
	n := len(members)
	several := a.Group != ""
	switch {
	case several && n == 0:
		a.Title = fmt.Sprintf("%d sites of %s: %s", len(a.Sites), a.Group, strings.TrimPrefix(a.Rule.what(true), "are "))
	case several:
		a.Title = fmt.Sprintf("%d of %d sites of %s %s", n, max(of, n), a.Group, a.Rule.what(n != 1))
	default:
		a.Title = e.title(first) + " " + a.Rule.what(false)
	}
	if n > 0 {
		a.Cause = probable(a, members, of)
	}
	var lines []string
	lines = append(lines, fmt.Sprintf("since %s", e.clock(a.Began)))
	if a.Cause != "" {
		lines = append(lines, "probable cause: "+a.Cause)
	}
	named := 0
	for _, id := range a.Sites {
		t := members[id]
		if t == nil {
			continue
		}
		if named++; named > mostNamed {
			lines = append(lines, fmt.Sprintf("and %d more", n-mostNamed))
			break
		}
		line := t.Detail
		if several {
			line = strings.TrimSuffix(e.title(id)+": "+t.Detail, ": ")
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	if len(a.Over) > 0 && n > 0 {
		lines = append(lines, fmt.Sprintf("well again: %d", len(a.Over)))
	}
	a.Text = strings.Join(lines, "\n")
}

// probable is what a trouble comes from, as far as what was told allows a guess.
func probable(a *record, members map[string]*trouble, of int) string {
	told := map[telemetry.Cause]int{}
	noMains, empty := 0, 0
	for _, t := range members {
		told[t.Cause]++
		if strings.Contains(t.Detail, "no mains") {
			noMains++
		}
		if strings.Contains(t.Detail, "not charging") {
			empty++
		}
	}
	n := len(members)
	if !slices.Contains([]Rule{Unreachable, Down, Flapping, Degraded}, a.Rule) {
		return ""
	}
	shared := "the network of " + a.Group
	if a.Key.Upstream != "" {
		shared = a.Key.Upstream + ", which all of them hang on"
	}
	switch {
	case noMains*2 > n:
		return "a power cut: they said last that there was no mains"
	case a.Group != "" && told[telemetry.CauseDNS]*2 > n:
		return "name servers: addresses answer, names do not"
	case a.Group != "" && told[telemetry.CauseBackhaul]*2 > n:
		return shared + ": gateways answer, nothing behind them does"
	case a.Group != "" && (n >= 3 && 2*n >= of || n == of):
		return shared + ", or the power there: they went out together"
	case a.Group != "":
		return "not certain: they went out within minutes of each other, and others of the group did not"
	case empty > 0:
		return "an empty battery"
	case told[telemetry.CauseLocal] > 0:
		return "the site itself: its gateway is silent"
	case told[telemetry.CauseBackhaul] > 0:
		return "its link: the gateway answers, nothing behind it does"
	case told[telemetry.CauseDNS] > 0:
		return "name servers: addresses answer, names do not"
	}
	return ""
}

// title is a site's name.
func (e *Engine) title(id string) string {
	if st := e.sites[id]; st != nil {
		return st.Site.Title()
	}
	return id
}

func (e *Engine) clock(t time.Time) string {
	return t.In(e.c.Now().Location()).Format("2006-01-02 15:04 MST")
}
